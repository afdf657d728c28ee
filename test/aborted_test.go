package test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// waitingStore is one that answers to nobody's patience.
type waitingStore struct {
	pushstore.Store
	waits atomic.Bool
	asked chan struct{}
}

func (s *waitingStore) wait(ctx context.Context) error {
	if !s.waits.Load() {
		return nil
	}
	s.asked <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func (s *waitingStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	if err := s.wait(ctx); err != nil {
		return "", err
	}
	return s.Store.Put(ctx, p, r, window)
}

func (s *waitingStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	if err := s.wait(ctx); err != nil {
		return pushstore.Absent, err
	}
	return s.Store.Look(ctx, p, ref)
}

// leave sends a request, and goes away once something is asked for it.
func leave(t *testing.T, asked <-chan struct{}, req *http.Request) func() {
	return func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-asked; cancel() }()
		if res, err := http.DefaultTransport.RoundTrip(req.WithContext(ctx)); err == nil {
			res.Body.Close()
			t.Errorf("%s %s: %s", req.Method, req.URL.Path, res.Status)
		}
	}
}

// Strangers who push and go away would otherwise sound the alarm for pushes that fail.
func TestWhoGoesAwayHasMetNoFailure(t *testing.T) {
	t.Parallel()
	asked, store := make(chan struct{}, 8), &waitingStore{Store: memory(), asked: make(chan struct{}, 8)}
	g, m := metered(t, harness.Setup{
		Store:   store,
		Options: func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/token"] = func(_ http.ResponseWriter, req *http.Request) {
				asked <- struct{}{}
				<-req.Context().Done()
			}
		},
	})
	push := func(id, secret string) *http.Request {
		req, _ := http.NewRequest("POST", g.URL+"/par", strings.NewReader(harness.Form("client_id", id).Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(id, secret)
		return req
	}
	const gone, failed = `pargate_http_requests_total{code="none",method="POST",route="par"}`, `pargate_http_requests_total{code="5xx",method="POST",route="par"} 0`
	m.moves(t, "while the authorization server is asked", leave(t, asked, push("legacy", "x")), pushed("aborted"), gone, pushed("unavailable")+" 0", failed)
	store.waits.Store(true)
	m.moves(t, "while the store is asked", leave(t, store.asked, push("web", "s3cret")), pushed("aborted"), gone, pushed("store_error")+" 0", failed)
	visit, _ := http.NewRequest("GET", g.URL+harness.Short("web", "urn:ietf:params:oauth:request_uri:"+strings.Repeat("A", 43)), nil)
	m.moves(t, "a browser", leave(t, store.asked, visit), `pargate_http_requests_total{code="none",method="GET",route="authorize"}`, authorized("store_error")+" 0")
	if n := g.Logs.FilterMessage("refused").Len(); n > 0 {
		t.Errorf("%d refusals are logged", n)
	}
	if n := g.Logs.FilterMessage("client went away").Len(); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// A response whose head had gone out already shows its end nowhere else.
func TestAResponseThatBreaksOffIsToldOf(t *testing.T) {
	t.Parallel()
	tracer, spans := tracing(t)
	g := harness.Start(t, harness.Setup{
		Options: tracer,
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/authorize/broken"] = func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "the beginning")
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		},
	})
	for path, aborted := range map[string]bool{"/authorize/broken": true, "/authorize/whole": false} {
		spans.Reset()
		res, err := http.Get(g.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		want := map[bool]string{true: "aborted", false: "ok"}[aborted]
		if got := attributesOf(named(t, spans, "below")); !strings.Contains(got+" ", "pargate.outcome="+want+" ") {
			t.Errorf("%s: %s", path, got)
		}
		harness.WaitFor(t, "the line", func() bool { return g.Logs.FilterField(zap.String("path", path)).FilterMessage("request").Len() == 1 })
		line := g.Logs.FilterField(zap.String("path", path)).FilterMessage("request").All()[0].ContextMap()
		if line["status"] != int64(200) || (line["aborted"] == true) != aborted {
			t.Errorf("%s: %v", path, line)
		}
	}
}
