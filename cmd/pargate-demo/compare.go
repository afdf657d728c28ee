package main

import (
	"context"
	"fmt"
	"strings"
)

// comparison is a sign-in with PAR beside the same without.
type comparison struct {
	With, Without measure
	Names         string // the values that were looked for
	Pushed        int    // bytes of the client's form
}

// measure is what one sign-in has left in a browser before the code.
type measure struct {
	Parameters int    // of the address that the client has sent it to
	Address    int    // bytes of that
	Longest    int    // bytes of the longest address in its history
	Addresses  int    // how many it had
	InHistory  string // names of the values that are in one of them
	Referer    int    // bytes of the longest Referer
	InReferer  string // names of the values that are in one
}

// Count returns how many names a list has.
func (measure) Count(list string) int { return count(list) }

// compare signs in once more, with a client that does not push, at a server of the same kind without a gateway.
func (t *take) compare(ctx context.Context) (*comparison, error) {
	s := t.setup
	s.direct, s.page = true, ""
	d, err := start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer d.close()
	transport := newTransport()
	defer transport.CloseIdleConnections()
	b := newBrowser(transport, d)
	x, err := b.visit(ctx, d.begins())
	if err != nil {
		return nil, fmt.Errorf("the same without PAR: %w", err)
	}
	if !b.signedIn(x) {
		return nil, fmt.Errorf("the same without PAR: the browser ended at %s with %d", x.url.Path, x.status)
	}
	c := &comparison{}
	var with, without params
	if c.With, with, err = t.film.measure(); err != nil {
		return nil, err
	}
	if c.Without, without, err = d.film.measure(); err != nil {
		return nil, err
	}
	if with.names() != without.names() {
		return nil, fmt.Errorf("the two requests differ: %s, and %s", with.names(), without.names())
	}
	c.Names = strings.Join(with.lookedFor(), ", ")
	for _, e := range t.film.all() {
		if e.Step == 1 && e.From == atClient {
			c.Pushed = len(e.seen.body)
		}
	}
	return c, nil
}

// measure looks at what the browser has sent, up to the code. It returns the request too, as the server has received it.
func (f *film) measure() (m measure, request params, err error) {
	var history, referers []string
	for _, e := range f.all() {
		if e.To == atServer && !e.answer && e.Step == 6 && request == nil {
			if request, err = parse(e.seen.url.RawQuery); err != nil {
				return m, nil, err
			}
		}
		if e.From != atBrowser || e.answer || e.Step < 4 || e.Step > 9 {
			continue
		}
		if referer := e.seen.header.Get("Referer"); referer != "" {
			referers = append(referers, referer)
			m.Referer = max(m.Referer, len(referer))
		}
		if e.To == atClient { // with the code
			continue
		}
		address := e.seen.url.String()
		if len(history) == 0 {
			m.Address, m.Parameters = len(address), strings.Count(e.seen.url.RawQuery, "&")+1
		}
		history = append(history, address)
		m.Longest = max(m.Longest, len(address))
	}
	m.Addresses, m.InHistory, m.InReferer = len(history), sightings(request, history...), sightings(request, referers...)
	return m, request, nil
}
