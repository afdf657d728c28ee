package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	firstMeasured    = 1 << 10
	lastMeasured     = 64 << 10
	measureWithin    = 256              // bytes between what is taken and what is refused, when measuring ends
	measureRequests  = 20               // to the upstream, metadata apart
	measureTime      = 10 * time.Second // for all of them
	measureTryTime   = 3 * time.Second  // for one
	measureReadBytes = 64 << 10         // of an error page

	// headRoom is what a browser's cookies and headers need, where they share one limit with the query.
	headRoom = 2 << 10
)

// Limit is how long a query the upstream takes at its authorization endpoint, as far as that was measured. Lengths are
// those of the query with which a request goes upstream, which MaxQueryBytes bounds too.
type Limit struct {
	Path      string // the authorization endpoint that was asked
	Answer    string // how it answers what it takes
	Taken     int    // bytes of the longest query that it took
	Refused   int    // bytes of the shortest that it refused; zero means that it took all that were tried
	How       string // how it refused that
	WholeHead bool   // it says that the head is too large (431), so cookies and headers count too
}

// Usable is the length up to which a browser's requests are taken too. The measuring ones carry neither cookies nor
// more than a few headers; where those share the limit with the query they get room.
func (l Limit) Usable() int {
	if l.WholeHead {
		return max(l.Taken-headRoom, 0)
	}
	return l.Taken
}

// next is the length to try next: twice the last, until one is refused, then halfway between. Zero is the end.
func (l Limit) next() int {
	switch {
	case l.Refused > 0 && l.Refused-l.Taken <= measureWithin, l.Refused == 0 && l.Taken >= lastMeasured:
		return 0
	case l.Refused > 0:
		return l.Taken + (l.Refused-l.Taken)/2
	case l.Taken < firstMeasured:
		return firstMeasured
	}
	return min(2*l.Taken, lastMeasured)
}

// MeasureLimit asks the upstream's authorization endpoint with longer and longer queries, and finds to within 256
// bytes, or as near as time and number of requests allow, which one it no longer takes. The requests start nothing:
// they have no client_id, no cookie and no credentials, only a parameter of ours.
//
// A query is taken when it is answered as two short ones are: with the same status, Content-Type, Location up to its
// query and, on an error page, title; what differs between the two short ones already (an id in the path of a login)
// is not compared. It is refused when the answer is another one (gunicorn and puma say 400, as the application may
// too), or when there is none, both times that it is tried. 413, 414 and 431 leave no doubt, and are believed at once.
//
// An error says why nothing can be said of the limit.
func (s *Server) MeasureLimit(ctx context.Context) (Limit, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	e := s.upstream.known()
	if e == nil {
		var err error
		if e, err = s.upstream.read(ctx); err != nil {
			return Limit{}, err
		}
	}
	m := &measurement{server: s, endpoints: e, path: e.authorize[0], left: measureRequests}
	return m.run(ctx)
}

// measurement is one run of MeasureLimit.
type measurement struct {
	server    *Server
	endpoints *endpoints
	path      string
	left      int // requests that may still be sent

	short  int // length of a short query
	normal answer
	stable []int // the marks of normal that can be compared
}

// errMeasureSpent means that time or requests are used up.
var errMeasureSpent = errors.New("it answers too slowly to be measured")

func (m *measurement) run(ctx context.Context) (Limit, error) {
	// 1. What the answer to a short query looks like.
	if err := m.learn(ctx); err != nil {
		return Limit{}, err
	}

	// 2. Longer ones, with a request and a fifth of the time kept for the last step.
	l := Limit{Path: m.path, Answer: m.normal.String(), Taken: m.short}
	m.left--
	end, _ := ctx.Deadline()
	searching, cancel := context.WithDeadline(ctx, end.Add(-time.Until(end)/5))
	defer cancel()
	doubted, err := m.search(searching, &l)
	if err != nil {
		return Limit{}, err
	}
	m.left = 1

	// 3. A server that has fallen over, or has had enough of us, has not refused a length.
	if doubted {
		if a, err := m.ask(ctx, m.short); err != nil || !m.isNormal(a) {
			return Limit{}, fmt.Errorf("after longer ones, %s no longer answers a short query as before", m.path)
		}
	}
	if l.Refused == 0 && !m.normal.isTelling() {
		return Limit{}, fmt.Errorf("%s answers %s to a query of any length", m.path, m.normal)
	}
	return l, nil
}

// learn finds out what the answers to two short queries have in common.
func (m *measurement) learn(ctx context.Context) error {
	m.short = len(m.query(0)) + 64
	one, err := m.ask(ctx, m.short)
	if err != nil {
		return err
	}
	m.short += 64
	if m.normal, err = m.ask(ctx, m.short); err != nil {
		return err
	}
	a := m.normal
	switch {
	case a.none != "":
		return fmt.Errorf("%s does not answer a short query: %s", m.path, a.none)
	case a.refusesLength(), a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable:
		return fmt.Errorf("%s answers %s to a short query", m.path, a)
	case a.status != one.status:
		return fmt.Errorf("%s answers short queries now with %s, now with %s", m.path, one, a)
	}
	for i := range a.marks {
		if a.marks[i] == one.marks[i] {
			m.stable = append(m.stable, i)
		}
	}
	return nil
}

// search narrows l down. doubted reports that the upstream has not said of the refused length that it is one.
func (m *measurement) search(ctx context.Context, l *Limit) (doubted bool, err error) {
	for n := l.next(); n > 0; n = l.next() {
		a, err := m.try(ctx, n)
		switch {
		case errors.Is(err, errMeasureSpent) && (l.Taken > m.short || l.Refused > 0):
			return doubted, nil
		case err != nil:
			return false, err
		case m.isNormal(a):
			l.Taken = n
		default:
			l.Refused, l.How, l.WholeHead = n, a.String(), a.status == http.StatusRequestHeaderFieldsTooLarge
			doubted = !a.refusesLength()
		}
	}
	return doubted, nil
}

// try asks again when the first answer leaves doubt: a closed connection may be chance.
func (m *measurement) try(ctx context.Context, n int) (answer, error) {
	a, err := m.ask(ctx, n)
	if err == nil && !m.isNormal(a) && !a.refusesLength() {
		a, err = m.ask(ctx, n)
	}
	if err == nil && a.status == http.StatusTooManyRequests {
		return answer{}, fmt.Errorf("%s answers %s; measure again later", m.path, a)
	}
	return a, err
}

// ask sends one query of n bytes. An error means that there are no more requests or time.
func (m *measurement) ask(ctx context.Context, n int) (answer, error) {
	if m.left <= 0 {
		return answer{}, errMeasureSpent
	}
	m.left--
	trying, cancel := context.WithTimeout(ctx, measureTryTime)
	defer cancel()
	req, err := m.request(trying, n)
	if err != nil {
		return answer{none: err.Error()}, nil
	}
	res, err := m.server.upstream.client.Transport.RoundTrip(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return answer{}, errMeasureSpent
	case err != nil:
		return answer{none: whyNoAnswer(err)}, nil
	}
	defer res.Body.Close()
	return newAnswer(res), nil
}

// request is one as Server.rewrite forwards them, from nobody.
func (m *measurement) request(ctx context.Context, n int) (*http.Request, error) {
	upstream := m.server.Issuer.UpstreamURL
	return m.server.fromNobody(ctx, m.endpoints, upstream.Scheme+"://"+upstream.Host+m.path+"?"+m.query(n), "")
}

// query is one of n bytes, or of as few as there can be: that of the endpoint's own URL, and our parameter.
func (m *measurement) query(n int) string {
	query := "pargate_size="
	if own := m.endpoints.authorizeQuery[m.path]; own != "" {
		query = own + "&" + query
	}
	return query + strings.Repeat("x", max(n-len(query), 0))
}

func (m *measurement) isNormal(a answer) bool {
	return a.none == "" && !slices.ContainsFunc(m.stable, func(i int) bool { return a.marks[i] != m.normal.marks[i] })
}

var titlePattern = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)
