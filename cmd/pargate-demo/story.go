package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// story is one sign-in, as the taps saw it. A step finds in it what the steps before have found.
type story struct {
	*report
	demo      *demo
	transport *http.Transport
	operator  *http.Client // asks what an operator would ask
	browser   *browser
	page      exchange // where the browser ended

	issuer     string
	push       exchange // the client's POST
	pushed     params   // its body
	plain      string   // the URL without PAR
	requestURI string
	short      exchange // the browser's first request to the gateway
	authorize  exchange // the legacy server's authorization request
	response   exchange // the gateway's redirect with the code
	token      exchange // the client's POST
}

// chapter is a part of what is told: a step, or what was before the first and after the last.
type chapter struct {
	step  int    // zero: none
	title string // of one that is no step
	tell  []func(*story, context.Context) error
}

// chapters are what is told, in order. The first one that is not what it should be is the last.
var chapters = []chapter{
	{title: "Before: the client and the server", tell: []func(*story, context.Context) error{(*story).clientAndServer}},
	{step: 1, tell: []func(*story, context.Context) error{(*story).complexRequest, (*story).endpoint, (*story).thePush}},
	{step: 2, tell: []func(*story, context.Context) error{(*story).keeping}},
	{step: 3, tell: []func(*story, context.Context) error{(*story).theRequestURI}},
	{step: 4, tell: []func(*story, context.Context) error{(*story).shortRequest}},
	{step: 5, tell: []func(*story, context.Context) error{(*story).opening}},
	{step: 6, tell: []func(*story, context.Context) error{(*story).forwarded}},
	{step: 7, tell: []func(*story, context.Context) error{(*story).loginPage}},
	{step: 8, tell: []func(*story, context.Context) error{(*story).signingIn, (*story).noSightings}},
	{step: 9, tell: []func(*story, context.Context) error{(*story).code}},
	{step: 10, tell: []func(*story, context.Context) error{(*story).tokenRequest, (*story).tokens}},
	{title: "Afterwards: what no longer works, and the difference", tell: []func(*story, context.Context) error{(*story).summary}},
}

// name is how a chapter is called.
func (c chapter) name() string {
	if c.step == 0 {
		return c.title
	}
	return steps[c.step-1].Title
}

// tell lets somebody sign in, and then prints what the taps have seen, step by step.
func tell(ctx context.Context, d *demo, out io.Writer) error {
	transport := newTransport()
	defer transport.CloseIdleConnections()
	s := &story{
		report: &report{out: out}, demo: d, transport: transport, operator: &http.Client{Transport: transport},
		browser: newBrowser(transport, d), issuer: d.gatewaySite.String(),
	}
	began := time.Now()
	var err error
	if s.page, err = s.browser.visit(ctx, d.begins()); err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	took := time.Since(began)
	for _, c := range chapters {
		s.chapter(c)
		for _, tell := range c.tell {
			if err := tell(s, ctx); err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
			if s.failed {
				return fmt.Errorf("%s: it is not what it should be", c.name())
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Done: one sign-in in %d ms, pushed requests in %s.\n", took.Milliseconds(), d.gateway.storeName)
	return nil
}

// chapter begins one, with the arrows of its step.
func (s *story) chapter(c chapter) {
	s.begin(c.step, c.name())
	for _, e := range s.demo.film.all() {
		if c.step > 0 && e.Step == c.step {
			s.seen(fmt.Sprintf("%s → %s", e.From, e.To), e.Title, inBytes(e.Bytes))
		}
	}
}

// arrows are those of a step that go from one to the other.
func (s *story) arrows(step int, from, to lane) (found []event) {
	for _, e := range s.demo.film.all() {
		if e.Step == step && e.From == from && e.To == to {
			found = append(found, e)
		}
	}
	return found
}

// only returns the one exchange that a tap should have seen; another number of them is a failed check.
func (s *story) only(what string, found []exchange) (exchange, error) {
	if len(found) == 1 {
		return found[0], nil
	}
	s.missed(what, "one", fmt.Sprintf("%d; the browser ended at %s with %d", len(found),
		clip(s.page.method+" "+s.page.url.String(), 50), s.page.status))
	return exchange{}, errors.New(what + ": not there")
}
