package test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// sized is an authorization server that is measured.
type sized struct {
	server      *httptest.Server
	connections atomic.Int64 // each measuring request has its own; some are refused before any handler sees them

	mu   sync.Mutex
	seen []*http.Request // of the authorization endpoint
}

func newSized(t *testing.T, authorize http.HandlerFunc, change ...func(*http.Server)) *sized {
	t.Helper()
	s := &sized{}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/authorize" {
			http.NotFound(w, r)
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, r.Clone(context.Background()))
		s.mu.Unlock()
		authorize(w, r)
	}))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	for _, f := range change {
		f(s.server.Config)
	}
	s.server.Start()
	t.Cleanup(s.server.Close)
	return s
}

// measure asks the server as a gateway that is called https://login.example.
func (s *sized) measure(ctx context.Context, t *testing.T) (proxy.Limit, error) {
	t.Helper()
	store := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: time.Minute})
	defer store.Close()
	gateway, err := proxy.New(proxy.Options{Store: store, Issuer: proxy.Issuer{
		UpstreamURL: mustParse(s.server.URL), PublicURL: mustParse("https://login.example"),
		AuthorizePaths: []string{"/authorize"}, TokenPath: "/token",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	return gateway.MeasureLimit(ctx)
}

func (s *sized) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// toLogin is what most servers say to somebody who has not logged in.
func toLogin(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/login?next="+r.RequestURI, http.StatusFound)
}

// above answers with refuse what has more than limit bytes of query, and the rest with take.
func above(limit int, refuse, take http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.RawQuery) > limit {
			refuse(w, r)
			return
		}
		take(w, r)
	}
}

// page answers with an HTML page of this title.
func page(status int, kind, title string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><head><title>%s</title></head></html>", title)
	}
}

func closing(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestMeasuringFindsWhatTheUpstreamTakes(t *testing.T) {
	t.Parallel()
	missing := page(400, "text/html; charset=utf-8", "Missing client_id")
	for name, c := range map[string]struct {
		limit     int // 0: of another kind
		authorize http.HandlerFunc
		how       string
	}{
		"414":                  {4094, above(4094, page(414, "text/html", "Too long"), toLogin), "414 text/html"},
		"431":                  {14000, above(14000, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(431) }, toLogin), "431"},
		"a closed connection":  {15000, above(15000, closing, toLogin), "the connection is closed without an answer"},
		"400 of another type":  {4060, above(4060, page(400, "text/html", "Bad Request"), missing), "400 text/html"},
		"400 of another title": {8100, above(8100, page(400, "text/html; charset=utf-8", "Bad Request"), missing), "400 text/html; charset=utf-8"},
		"another place":        {3000, above(3000, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/error?x", http.StatusFound) }, toLogin), "302 to /error"},
		"500":                  {2500, above(2500, page(500, "text/html", ""), toLogin), "500 text/html"},
		"less than the first":  {700, above(700, page(414, "text/html", "Too long"), toLogin), "414 text/html"},
		"a login with a new id": {6000, above(6000, closing, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login/"+rand.Text(), http.StatusFound)
		}), "the connection is closed without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newSized(t, c.authorize)
			got, err := up.measure(t.Context(), t)
			if err != nil {
				t.Fatal(err)
			}
			if got.Taken > c.limit || got.Refused <= c.limit || got.Refused-got.Taken > 256 || got.How != c.how || got.WholeHead != (c.how == "431") {
				t.Errorf("%+v, want a limit of %d, refused with %s", got, c.limit, c.how)
			}
			checkMeasuring(t, up)
		})
	}
}

// checkMeasuring: few requests, and such as start nothing.
func checkMeasuring(t *testing.T, up *sized) {
	t.Helper()
	// Four connections at most were for metadata, of which there is none.
	if n := len(up.requests()); n > 20 || up.connections.Load() > 24 {
		t.Errorf("%d requests over %d connections", n, up.connections.Load())
	}
	for _, r := range up.requests() {
		query := r.URL.Query()
		if len(query) != 1 || strings.Trim(query.Get("pargate_size"), "x") != "" || r.Method != http.MethodGet || r.ContentLength != 0 {
			t.Errorf("%s with %d parameters, %d bytes of body", r.Method, len(query), r.ContentLength)
		}
		for _, name := range []string{"Cookie", "Authorization", "Referer", "X-Forwarded-For"} {
			if r.Header[name] != nil {
				t.Errorf("%s: %s", name, r.Header[name])
			}
		}
		if r.Host != "login.example" || r.Header.Get("X-Forwarded-Host") != "login.example" || r.Header.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("%s %v", r.Host, r.Header)
		}
	}
}

// net/http counts the whole head, and refuses it before any handler sees it.
func TestMeasuringLeavesRoomWhereTheWholeHeadCounts(t *testing.T) {
	t.Parallel()
	up := newSized(t, toLogin, func(s *http.Server) { s.MaxHeaderBytes = 12 << 10 }) // and 4 KiB, it says
	got, err := up.measure(t.Context(), t)
	if err != nil || !got.WholeHead || !strings.HasPrefix(got.How, "431") || got.Taken < 15<<10 || got.Refused > 17<<10 || got.Usable() != got.Taken-2<<10 {
		t.Errorf("%+v %v", got, err)
	}
	checkMeasuring(t, up)
}

func TestMeasuringEndsAt64KiB(t *testing.T) {
	t.Parallel()
	up := newSized(t, toLogin)
	got, err := up.measure(t.Context(), t)
	want := proxy.Limit{Path: "/authorize", Answer: "302 to /login", Taken: 64 << 10}
	if err != nil || got != want || got.Usable() != 64<<10 {
		t.Errorf("%+v %v", got, err)
	}
	checkMeasuring(t, up)
	longest := up.requests()[len(up.requests())-1]
	if len(longest.URL.RawQuery) != 64<<10 {
		t.Errorf("the longest query had %d bytes", len(longest.URL.RawQuery))
	}
}

// What was measured is what MaxQueryBytes means, also where the endpoint's own URL has a query.
func TestMeasuringCountsAsPushesAreCounted(t *testing.T) {
	t.Parallel()
	const limit = 4 << 10
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.MaxQueryBytes = limit },
		Upstream: func(r *upstream.Recorder) {
			r.Authorize = "/authorize?tenant=a"
			r.Handlers["/authorize"] = above(limit, page(414, "text/html", ""), toLogin)
		},
	})
	got, err := g.Server.MeasureLimit(t.Context())
	if err != nil || got.Taken != limit {
		t.Fatalf("%+v %v", got, err)
	}
	if query := g.Upstream.Last().Query(); len(query) != 2 || query.Get("tenant") != "a" {
		t.Errorf("asked with %v", query)
	}
	sent := func(padding int) int {
		b := harness.NewBrowser(g.URL)
		if res := b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form("padding", strings.Repeat("x", padding)))); res.Status != 302 {
			t.Errorf("with %d bytes of padding: %d", padding, res.Status)
		}
		_, query, _ := strings.Cut(g.Upstream.Last().Target, "?")
		return len(query)
	}
	padding := 1 + limit - sent(1)
	if n := sent(padding); n != limit {
		t.Errorf("the longest push was sent on with %d bytes", n)
	}
	longer := harness.Form("padding", strings.Repeat("x", padding+1)).Encode()
	if res := harness.NewBrowser(g.URL).Post(t, "/par", longer, func(r *http.Request) { r.SetBasicAuth("web", "s3cret") }); res.Status != 413 {
		t.Errorf("one byte more: %d", res.Status)
	}
}

// With doubt at every step the requests end first; what is known then is right, if not as near.
func TestMeasuringIsBoundedInItsRequests(t *testing.T) {
	t.Parallel()
	up := newSized(t, above(33000, closing, toLogin))
	got, err := up.measure(t.Context(), t)
	if err != nil || got.Taken > 33000 || got.Refused <= 33000 || got.Refused-got.Taken > 2<<10 {
		t.Errorf("%+v %v", got, err)
	}
	if n := len(up.requests()); n != 20 {
		t.Errorf("%d requests", n)
	}
	checkMeasuring(t, up)
}

func TestAConnectionThatIsClosedByChanceIsNoRefusal(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	up := newSized(t, func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n > 2 && n%2 == 1 {
			closing(w, r)
		}
		toLogin(w, r)
	})
	if got, err := up.measure(t.Context(), t); err != nil || got.Taken != 64<<10 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestMeasuringIsBoundedInTime(t *testing.T) {
	t.Parallel()
	hanging := above(3000, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, toLogin)
	t.Run("where long queries hang", func(t *testing.T) {
		t.Parallel()
		start := time.Now()
		got, err := newSized(t, hanging).measure(t.Context(), t)
		if took := time.Since(start); err != nil || got.Taken != 2048 || got.Refused != 4096 || got.How != "no answer in time" || took > 10*time.Second {
			t.Errorf("%+v %v after %v", got, err, took)
		}
	})
	t.Run("where every query takes long", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		got, err := newSized(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(250 * time.Millisecond); toLogin(w, r) }).measure(ctx, t)
		if took := time.Since(start); err != nil || got.Refused != 0 || got.Taken < 1<<10 || got.Taken > 16<<10 || took > 3*time.Second {
			t.Errorf("%+v %v after %v", got, err, took)
		}
	})
	t.Run("where nothing is answered", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if got, err := newSized(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }).measure(ctx, t); err == nil || !strings.Contains(err.Error(), "too slowly") {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestWhatCannotBeMeasuredIsSaid(t *testing.T) {
	t.Parallel()
	var broken, asked, turns atomic.Int64
	for want, authorize := range map[string]http.HandlerFunc{
		"does not answer a short query: the connection is closed": closing,
		"answers 431 to a short query":                            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(431) },
		"answers 503 text/html to a short query":                  page(503, "text/html", ""),
		"answers 404 text/html to a query of any length":          page(404, "text/html", "Not here"),
		"answers 500 text/html to a query of any length":          page(500, "text/html", "Oops"),
		"answers short queries now with 400 text/html, now with 200 text/pl": func(w http.ResponseWriter, r *http.Request) {
			if turns.Add(1)%2 == 1 {
				page(400, "text/html", "")(w, r)
				return
			}
			page(200, "text/plain", "")(w, r)
		},
		"answers 429 text/plain; charset=utf-8; measure again later": func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) > 5 {
				http.Error(w, "slow down", http.StatusTooManyRequests)
				return
			}
			toLogin(w, r)
		},
		"after longer ones, /authorize no longer answers a short query": func(w http.ResponseWriter, r *http.Request) {
			if broken.Add(1) > 2 {
				closing(w, r)
			}
			toLogin(w, r)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			up := newSized(t, authorize)
			got, err := up.measure(t.Context(), t)
			if err == nil || !strings.Contains(err.Error(), want) || got != (proxy.Limit{}) {
				t.Errorf("%+v %v", got, err)
			}
			checkMeasuring(t, up)
		})
	}
}

func TestADeadUpstreamHasNoLimit(t *testing.T) {
	t.Parallel()
	up := newSized(t, toLogin)
	up.server.Close()
	if got, err := up.measure(t.Context(), t); err == nil {
		t.Errorf("%+v", got)
	}
}
