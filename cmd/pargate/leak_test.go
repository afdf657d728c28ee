package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"pargate/pushstore/storetest"
	"pargate/test/count"
	"pargate/test/harness"
)

// TestNothingGrows serves pushes, logins, refusals and hostile requests in rounds, and compares what the process holds
// behind each: memory, goroutines and descriptors. It is not parallel: it looks at the whole process.
func TestNothingGrows(t *testing.T) {
	const rounds, mayGrow = 6, 1 << 20
	round := time.Duration(count.Of(80_000)) * time.Millisecond / rounds
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // one that records nothing
		io.Copy(io.Discard, r.Body)
		switch {
		case strings.Contains(r.URL.Path, ".well-known"):
			http.NotFound(w, r)
		case r.URL.Path == "/authorize":
			http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?code=c0de&state="+r.URL.Query().Get("state"), http.StatusFound)
		}
	}))
	defer up.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	public := "http://" + listener.Addr().String()
	redis := storetest.StartRedis(t)
	g, err := build(load(t, "UPSTREAM_URL="+up.URL, "PUBLIC_URL="+public, "AUTHORIZE_PATH=/authorize", "TOKEN_PATH=/token", "RATE_LIMIT=off",
		"REDIS_URL=redis://"+redis.Addr, "CLIENTS_FILE="+writeFile(t, harness.Clients)), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	end := g.startBackground(t.Context(), zap.NewNop())
	s := newHTTPServer(g.server, zap.NewNop())
	go s.Serve(g.public(listener, s, zap.NewNop()))
	defer func() { s.Close(); end(); g.server.Close(); g.server.Store.Close() }()
	harness.WaitFor(t, "the upstream", func() bool { return g.server.Ready(t.Context()) == nil })

	var held [rounds]holding
	served := 0
	for i := range held {
		var wg sync.WaitGroup
		counts := make([]int, 2)
		for j := range counts {
			wg.Go(func() {
				for start := time.Now(); time.Since(start) < round || counts[j] < 3; counts[j]++ {
					serveEverything(t, public)
				}
			})
		}
		wg.Wait()
		served += counts[0] + counts[1]
		held[i] = whatIsHeld(g, up)
	}
	first, last := held[1], held[rounds-1] // the first round fills pools
	t.Logf("%d times everything; behind the second round %+v, behind the last %+v", served, first, last)
	if last.heap > first.heap+mayGrow || last.goroutines > first.goroutines+2 || last.descriptors > first.descriptors+2 {
		t.Errorf("it grows: %+v", held)
	}
}

// serveEverything is a login, a refused push, a foreign reference, a page and requests with odd framing.
func serveEverything(t *testing.T, public string) {
	b := harness.NewBrowser(public)
	push := b.Post(t, "/par", harness.Form().Encode(), func(r *http.Request) { r.SetBasicAuth("web", "s3cret") })
	if push.Status != http.StatusCreated {
		t.Errorf("push: %d %s", push.Status, push.Body)
		return
	}
	uri, _ := push.JSON(t)["request_uri"].(string)
	if res := b.Open(t, "web", uri); res.Status != http.StatusFound || !strings.Contains(res.Location, "code=c0de") {
		t.Errorf("login: %d %s", res.Status, res.Location)
	}
	b.Post(t, "/par", "client_id=web", func(r *http.Request) { r.SetBasicAuth("web", "s3cret") })
	b.Post(t, "/par", "client_id=post&client_secret=wrong")
	harness.NewBrowser(public).Get(t, harness.Short("web", uri))
	b.Get(t, "/page")
	for _, name := range []string{"both lengths", "a folded field", "two codings"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(public, "http://"))
		if err != nil {
			t.Error(err)
			return
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, oddFraming[name])
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// holding is what the process holds.
type holding struct{ heap, goroutines, descriptors int }

// whatIsHeld waits until what has been served has come to its end, and says what is held then: the least of some looks.
func whatIsHeld(g *gateway, up *httptest.Server) holding {
	var least holding
	for i := range 10 {
		time.Sleep(50 * time.Millisecond)
		g.server.Close() // idle connections
		up.CloseClientConnections()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		open, _ := os.ReadDir("/proc/self/fd") // none elsewhere than on Linux
		h := holding{int(m.HeapAlloc), runtime.NumGoroutine(), len(open)}
		if i == 0 {
			least = h
		}
		least = holding{min(least.heap, h.heap), min(least.goroutines, h.goroutines), min(least.descriptors, h.descriptors)}
	}
	return least
}

// TestNothingIsLeftOfAProgramThatHasEnded starts and ends the whole program many times.
func TestNothingIsLeftOfAProgramThatHasEnded(t *testing.T) {
	redis := storetest.StartRedis(t)
	environ := []string{"UPSTREAM_URL=http://127.0.0.1:1", "REDIS_URL=redis://" + redis.Addr, "CLIENTS_FILE=" + writeFile(t, harness.Clients)}
	again := func() {
		s := start(t, environ...)
		getText(t, s.admin+"/livez")
		s.stop(errInterrupt)
		if code := s.wait(t); code != exitOK {
			t.Fatalf("ended with %d: %s", code, s.logs)
		}
	}
	again()
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 20 {
		again()
	}
	harness.WaitFor(t, "the goroutines to end", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before
	})
}
