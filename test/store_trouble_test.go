package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// strangeStore is a store in which a test replaces single operations.
type strangeStore struct {
	pushstore.Store
	look   func() (pushstore.State, error)                 // nil: as it is
	finish func(context.Context) (won, do bool, err error) // nil: as it is; do says that the store is to do it
}

func (s *strangeStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	if s.look != nil {
		return s.look()
	}
	return s.Store.Look(ctx, p, ref)
}

func (s *strangeStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	if s.finish != nil {
		if won, do, err := s.finish(ctx); !do {
			return won, err
		}
	}
	return s.Store.Finish(ctx, f, response)
}

func memory() pushstore.Store { return pushstore.NewMemory(pushstore.MemoryOptions{}) }

// stateOf is what the store knows of a request_uri of the client web.
func stateOf(t *testing.T, g *harness.Gateway, uri string) pushstore.State {
	t.Helper()
	ref := pushstore.Reference(strings.TrimPrefix(uri, oauth.RequestURIPrefix))
	state, err := g.Server.Store.Look(t.Context(), pushstore.Party{Issuer: g.URL, ClientID: "web"}, ref)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestAResponseWhoseEndIsNotRecordedIsWithheld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"the store breaks", errors.New("broken"), 503, "temporarily_unavailable"},
		{"the flow has ended", pushstore.ErrNotFound, 400, "invalid_request_uri"},
		{"it is another browser's by now", fmt.Errorf("finish: %w", pushstore.ErrTaken), 400, "invalid_request_uri"},
		{"another response was first", nil, 400, "invalid_request_uri"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := &strangeStore{Store: memory(), finish: func(context.Context) (bool, bool, error) { return false, false, c.err }}
			g := harness.Start(t, harness.Setup{Store: store, Upstream: answering(302, func(q url.Values) string {
				return "https://app.example/cb?code=s3crets&state=" + q.Get("state")
			})})
			res := harness.NewBrowser(g.URL).Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
			wantPage(t, g, res, c.status, c.code)
			if strings.Contains(fmt.Sprint(res.Body, res.Header), "s3crets") {
				t.Errorf("the code got out: %v %s", res.Header, res.Body)
			}
			if (res.Header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After = %q", res.Header.Get("Retry-After"))
			}
		})
	}
}

func TestTheEndOfAFlowIsRecordedAlsoWhenItsBrowserHasGone(t *testing.T) {
	t.Parallel()
	reached, noticed := make(chan struct{}), make(chan struct{})
	store := &strangeStore{Store: memory(), finish: func(ctx context.Context) (bool, bool, error) {
		close(reached)
		<-noticed
		return false, ctx.Err() == nil, ctx.Err()
	}}
	g := harness.Start(t, harness.Setup{Store: store, Upstream: func(r *upstream.Recorder) {
		r.Handlers["/last"] = func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Location", "https://app.example/cb?code=1&state=st4te")
			w.WriteHeader(http.StatusFound)
			http.NewResponseController(w).Flush()
			<-req.Context().Done() // the gateway has hung up, because its browser has
			close(noticed)
		}
	}})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	host := strings.TrimPrefix(g.URL, "http://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /last HTTP/1.1\r\nHost: "+host+"\r\nCookie: "+b.Cookies()[0].String()+"\r\n\r\n")
	<-reached
	c.Close()
	harness.WaitFor(t, "the end of the flow", func() bool { return stateOf(t, g, uri) == pushstore.Finished })
}

func TestAFirstVisitThatCannotBeLookedUpIsA503(t *testing.T) {
	t.Parallel()
	store := &strangeStore{Store: memory(), look: func() (pushstore.State, error) { return pushstore.Absent, errors.New("broken") }}
	g := harness.Start(t, harness.Setup{Store: store})
	res := harness.NewBrowser(g.URL).Get(t, harness.Short("web", g.Push(t, "web", "s3cret", harness.Form())))
	wantPage(t, g, res, 503, "temporarily_unavailable")
	if res.Header.Get("Retry-After") == "" || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("%v", res.Header)
	}
	wantUntouched(t, g)
}

func TestReadinessNamesAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: memory()}
	g := harness.Start(t, harness.Setup{Store: store})
	store.broken.Store(true)
	if reasons := g.Server.Ready(t.Context()); reasons["store"] != errBroken.Error() || reasons["upstream"] != "" {
		t.Errorf("%v", reasons)
	}
	store.broken.Store(false)
	if reasons := g.Server.Ready(t.Context()); reasons != nil {
		t.Errorf("afterwards: %v", reasons)
	}
}
