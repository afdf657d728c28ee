package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// gatewayOnly is a server in front of nobody whose store says when it is asked.
func gatewayOnly(t *testing.T, upstream string) *Server {
	t.Helper()
	address, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	store := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: time.Minute})
	t.Cleanup(func() { store.Close() })
	s, err := New(Options{Issuer: Issuer{UpstreamURL: address}, Store: store, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Requests are counted for whom they come from, also behind a proxy that is trusted, and refused before anything is done
// for them.
func TestOneNetworkDoesNotTakeEveryRequest(t *testing.T) {
	t.Parallel()
	arrived, released := make(chan struct{}, 16), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-released:
		case <-r.Context().Done():
		}
	}))
	defer upstream.Close()
	s := gatewayOnly(t, upstream.URL)
	s.admission.Total, s.admission.Each = 4, 2
	ask := func(ctx context.Context, path, client string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil).WithContext(ctx)
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set("X-Forwarded-For", client)
		s.ServeHTTP(w, r)
		return w
	}
	done := make(chan int, 16)
	for _, client := range []string{"198.51.100.1", "198.51.100.2", "203.0.113.1"} {
		go func() { done <- ask(context.Background(), "/page", client).Code }()
		<-arrived
	}
	refused := func(path, client string) {
		t.Helper()
		if w := ask(t.Context(), path, client); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s from %s: %d %v", path, client, w.Code, w.Header())
		}
	}
	refused("/page", "198.51.100.3")
	refused("/par", "198.51.100.3")
	go func() { done <- ask(context.Background(), "/page", "203.0.113.2").Code }() // another network has room
	<-arrived
	refused("/page", "203.0.114.1") // nobody has
	for reason, want := range map[metrics.Crowd]float64{metrics.CrowdFromOne: 2, metrics.CrowdInAll: 1} {
		if got := testutil.ToFloat64(s.Metrics.RequestsRefused[reason]); got != want {
			t.Errorf("%v count as refused for reason %d, want %v", got, reason, want)
		}
	}
	close(released)
	for range 4 {
		if code := <-done; code != 200 {
			t.Errorf("one that was let in: %d", code)
		}
	}
	if w := ask(t.Context(), "/page", "198.51.100.3"); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// The figures of a gateway itself; the test above has smaller ones.
func TestRequestsAreBoundedUnlessATestSaysOtherwise(t *testing.T) {
	t.Parallel()
	s := gatewayOnly(t, "http://127.0.0.1:1")
	if a := &s.admission; a.Total != 20_000 || a.Each != 1024 || len(a.Free) != 1 {
		t.Errorf("%d in all, %d of one network, but for %v", a.Total, a.Each, a.Free)
	}
}

// HTTP/2 has no request line, and net/http lets through there what would break the one that goes upstream: a blank in an
// address ends it to some servers, and belongs to it to others.
func TestNoRequestLineIsBroken(t *testing.T) {
	t.Parallel()
	s := gatewayOnly(t, "http://127.0.0.1:1") // nobody is there
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/page HTTP/1.1", 400}, {"GET", "/page?a= /authorize", 400}, {"GET", "/page ", 400}, {"GET", "* ", 400},
		{"G ET", "/page", 400}, {"GET(", "/page", 400}, {"GET ", "/page", 400}, {"", "/page", 400}, {"GE\xffT", "/page", 400},
		{"GET", "/page?a=b&c", 502}, {"GET", "/page%20x?+", 502}, {"M-SEARCH", "/page", 502}, {"get", "/page", 502}, {"!#$%&'*+-.^_`|~9", "/page", 502},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/page", nil)
		r.Method, r.RequestURI, r.ProtoMajor = c.method, c.target, 2
		if s.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%q %q: %d, want %d", c.method, c.target, w.Code, c.status)
		}
	}
}

// A name that leads elsewhere by now is followed: idle connections do not last.
func TestIdleConnectionsAreOpenedAnew(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	upstream := httptest.NewUnstartedServer(http.NotFoundHandler())
	upstream.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	upstream.Start()
	defer upstream.Close()
	s := gatewayOnly(t, upstream.URL)
	ask := func() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "/page", strings.NewReader("")))
		if w.Code != 404 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	ask()
	ask()
	if n := opened.Load(); n != 1 {
		t.Fatalf("%d connections for two requests", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.upstream.renewConnections(ctx, 10*time.Millisecond)
	}()
	for deadline := time.Now().Add(10 * time.Second); opened.Load() < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the same connection is used for ever")
		}
		ask()
	}
	cancel()
	<-ended
}
