package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// What asks for another protocol is an ordinary request, and what comes with it an ordinary body: no tunnel, in which
// nobody sees what is asked.
func TestNothingTravelsInATunnel(t *testing.T) {
	t.Parallel()
	for _, asks := range []string{"Upgrade: websocket\r\nConnection: Upgrade\r\n", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n",
		"Upgrade: anything\r\nConnection: keep-alive, Upgrade\r\n", "Upgrade: TLS/1.0, HTTP/2.0\r\nConnection: Upgrade\r\n", "Upgrade: websocket\r\n", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"} {
		// The upstream would switch to whatever it is asked for.
		var mu sync.Mutex
		seen := ""
		take := func() (all string) {
			mu.Lock()
			defer mu.Unlock()
			all, seen = seen, ""
			return all
		}
		g := inFrontOfTCP(t, func(c net.Conn) {
			reader := bufio.NewReader(c)
			for {
				req, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				body, _ := io.ReadAll(req.Body)
				if !strings.Contains(req.URL.Path, "/.well-known/") {
					mu.Lock()
					seen += fmt.Sprintf("[%s %s %v %q]", req.Method, req.RequestURI, req.Header, body)
					mu.Unlock()
				}
				if req.Header.Get("Upgrade") != "" {
					io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+req.Header.Get("Upgrade")+"\r\n\r\n")
					continue
				}
				io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			}
		}, nil)
		const inside = "GET /inside HTTP/1.1\r\nHost: x\r\n\r\n"
		for _, c := range []struct {
			sent string
			want int // requests that the upstream gets
		}{
			{"GET /page HTTP/1.1\r\nHost: x\r\n" + asks + "\r\n", 1},
			{fmt.Sprintf("POST /page HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", asks, len(inside), inside), 1},
			{fmt.Sprintf("POST /page HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", asks, len(inside), inside), 1},
		} {
			take()
			d := dialogWith(t, g)
			io.WriteString(d, c.sent)
			res, err := http.ReadResponse(d.Reader, nil)
			got := take()
			if err != nil || res.StatusCode != 404 || strings.Count(got, "/page") != c.want || strings.Contains(got, "[GET /inside") || strings.Contains(got, "Upgrade") || strings.Contains(strings.ToLower(got), "http2-settings") {
				t.Errorf("%q: %v %v, the upstream got %s", c.sent, res, err, got)
			}
		}
	}
}

// An upstream that answers before it has been sent the body leaves neither connection out of step (CVE-2024-24791).
func TestAnEarlyAnswerLeavesNoConnectionOutOfStep(t *testing.T) {
	t.Parallel()
	g := inFrontOfTCP(t, func(c net.Conn) {
		reader := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			if req.URL.Path == "/early" {
				io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nearly")
				io.Copy(io.Discard, req.Body)
				continue
			}
			io.Copy(io.Discard, req.Body)
			fmt.Fprintf(c, "HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s", len(req.URL.Path), req.URL.Path)
		}
	}, nil)
	for _, length := range []int{10, 100 << 10} {
		for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
			for i := range 10 {
				d := dialogWith(t, g)
				fmt.Fprintf(d, "POST /early HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", expect, length)
				if expect == "" {
					io.WriteString(d, strings.Repeat("x", length))
				}
				res, err := http.ReadResponse(d.Reader, nil)
				for err == nil && res.StatusCode == 100 {
					io.WriteString(d, strings.Repeat("x", length))
					res, err = http.ReadResponse(d.Reader, nil)
				}
				if err != nil {
					t.Fatalf("%d bytes, %q: %v", length, expect, err)
				}
				body, _ := io.ReadAll(res.Body)
				if res.StatusCode != 401 || string(body) != "early" {
					t.Errorf("%d bytes, %q: %d %q", length, expect, res.StatusCode, body)
				}
				path := fmt.Sprintf("/next-%d-%d", length, i)
				if res := harness.NewBrowser(g.URL).Get(t, path); res.Status != 404 || res.Body != path {
					t.Errorf("the next one, %s: %d %q", path, res.Status, res.Body)
				}
			}
		}
	}
}

// A browser that comes while the upstream is down has its request_uri still when it is up again.
func TestAFlowOutlivesAnUpstreamThatIsDown(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/authorize"] = func(w http.ResponseWriter, req *http.Request) {
			if down.Load() {
				panic(http.ErrAbortHandler)
			}
			http.Redirect(w, req, "/login?id=1", http.StatusFound)
		}
	}})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	mine, other := harness.NewBrowser(g.URL), harness.NewBrowser(g.URL)
	down.Store(true)
	bounce := mine.Get(t, harness.Short("web", uri))
	for range 3 {
		wantPage(t, g, mine.Get(t, bounce.Location), 502, "temporarily_unavailable")
	}
	down.Store(false)
	if res := mine.Get(t, bounce.Location); res.Status != 302 {
		t.Errorf("up again: %d %s", res.Status, res.Body)
	}
	if res := other.Get(t, harness.Short("web", uri)); res.Status != 400 {
		t.Errorf("another browser: %d", res.Status)
	}
}
