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

// steps are the ten of the story. The first one that is not what it should be is the last that is told.
var steps = []struct {
	title string
	tell  func(*story, context.Context) error
}{
	{"The client and the server", (*story).clientAndServer},
	{"A complex request", (*story).complexRequest},
	{"The endpoint", (*story).endpoint},
	{"The push", (*story).thePush},
	{"The request_uri", (*story).theRequestURI},
	{"The browser's short request", (*story).shortRequest},
	{"The code", (*story).code},
	{"The token request", (*story).tokenRequest},
	{"The tokens", (*story).tokens},
	{"The summary", (*story).summary},
}

// tell lets somebody sign in, and then prints what the taps have seen, step by step.
func tell(ctx context.Context, d *demo, out io.Writer) error {
	transport := newTransport()
	defer transport.CloseIdleConnections()
	s := &story{
		report: &report{out: out}, demo: d, transport: transport, operator: &http.Client{Transport: transport},
		browser: newBrowser(transport, d.clientSite.String()+callbackPath), issuer: d.gatewaySite.String(),
	}
	began := time.Now()
	var err error
	if s.page, err = s.browser.visit(ctx, d.clientSite.String()+"/"); err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	took := time.Since(began)
	for i, step := range steps {
		s.step(step.title)
		if err := step.tell(s, ctx); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if s.failed {
			return fmt.Errorf("step %d (%s) is not what it should be", i+1, step.title)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Done: one sign-in in %d ms, pushed requests in %s.\n", took.Milliseconds(), d.gateway.storeName)
	return nil
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
