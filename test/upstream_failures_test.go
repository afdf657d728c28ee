package test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// Every way in which an upstream fails before its answer has begun ends in a page and a status that says whose fault it
// is, soon, and the gateway goes on. Each upstream here is one that speaks TCP only.
func TestAFailingUpstreamIsAPageInTime(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	answer := func(response string) func(net.Conn) {
		return func(c net.Conn) {
			readHead(c)
			io.WriteString(c, response)
		}
	}
	for _, c := range []struct {
		name   string
		serve  func(net.Conn) // nil: nobody listens
		status int
		within time.Duration
	}{
		{"refused", nil, 502, soon},
		{"ends before it answers", func(c net.Conn) { readHead(c) }, 502, soon},
		{"resets before it answers", func(c net.Conn) { readHead(c); reset(c) }, 502, soon},
		{"resets without reading", reset, 502, soon},
		{"never answers", func(c net.Conn) { io.Copy(io.Discard, c) }, 504, timeout + soon},
		{"stops in the head", func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le")
			io.Copy(io.Discard, c)
		}, 504, timeout + soon},
		{"ends in the head", answer("HTTP/1.1 200 OK\r\nContent-Le"), 502, soon},
		{"answers no HTTP", answer("SSH-2.0-OpenSSH_9.2p1\r\n"), 502, soon},
		{"answers nonsense", answer("HTTP/1.1 teapot\r\n\r\n"), 502, soon},
		{"answers with a head of 300 KiB", answer("HTTP/1.1 200 OK\r\nX-Large: " + strings.Repeat("x", 300<<10) + "\r\nContent-Length: 0\r\n\r\n"), 502, soon},
		{"answers with a field that is none", answer("HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n"), 502, soon},
		{"answers with two lengths", answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, soon},
		{"answers with a coding that is unknown", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: brotli\r\n\r\nab"), 502, soon},
		{"switches protocols", answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), 502, soon},
		{"sends early hints and ends", answer("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), 502, soon},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := inFrontOfTCP(t, c.serve, func(o *proxy.Options) { o.UpstreamTimeout = timeout })
			for _, method := range []string{"GET", "POST"} {
				began := time.Now()
				res := harness.NewBrowser(g.URL).Do(t, method, "/page?canary", strings.NewReader("body"))
				took := time.Since(began)
				wantPage(t, g, res, c.status, "temporarily_unavailable")
				if took > c.within {
					t.Errorf("%s: after %v", method, took)
				}
				if strings.Contains(res.Body, "canary") {
					t.Errorf("%s: the page repeats the query", method)
				}
			}
		})
	}
}

func TestAnUpstreamWhoseNameDoesNotExistIsAPageInTime(t *testing.T) {
	t.Parallel()
	g := harness.InFrontOf(t, listen(t), "http://pargate-test.invalid", harness.Setup{Unknown: true})
	began := time.Now()
	res := harness.NewBrowser(g.URL).Get(t, "/page")
	if took := time.Since(began); res.Status != 502 && res.Status != 504 || took > soon {
		t.Errorf("%d after %v", res.Status, took)
	}
}

// What breaks off must not look whole.
func TestATruncatedResponseIsNoWholeOne(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]string{
		"short of its length":        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning",
		"without its last chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n",
		"in the middle of a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nbeginning",
		"with a chunk of no size":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\nzz\r\n",
		"with a reset behind it":     "reset",
		"compressed and cut":         "gzip",
		"a page, for who is in none": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nbeginning",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := inFrontOfTCP(t, func(c net.Conn) {
				readHead(c)
				switch response {
				case "reset":
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning")
					reset(c)
				case "gzip":
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n\x1f\x8b")
				default:
					io.WriteString(c, response)
				}
			}, nil)
			client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
			res, err := client.Get(g.URL + "/page")
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if err == nil {
				t.Error("it ended as if it were whole")
			}
			if ok := harness.NewBrowser(g.URL).Do(t, "TRACE", "/page", nil); ok.Status != 405 {
				t.Errorf("afterwards: %d", ok.Status)
			}
		})
	}
}

// A connection that the upstream has closed while nobody used it costs nobody a request that may be sent again, and a
// POST at most that request: it is never sent twice.
func TestAConnectionThatHasEndedIsNotMet(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	g := inFrontOfTCP(t, func(c net.Conn) {
		connections.Add(1)
		reader := bufio.NewReader(c)
		if _, err := http.ReadRequest(reader); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok")
		if _, err := reader.ReadByte(); err == nil { // the next request's first byte
			reset(c)
		}
	}, nil)
	b := harness.NewBrowser(g.URL)
	for i := range 5 {
		for _, method := range []string{"GET", "OPTIONS"} {
			if res := b.Do(t, method, "/page", nil); res.Status != 404 {
				t.Fatalf("%s %d: %d %s", method, i, res.Status, res.Body)
			}
		}
	}
	if connections.Load() < 10 {
		t.Errorf("%d connections: none was met at its end", connections.Load())
	}
}

// The upstream's 1xx responses are not for browsers, its trailers are.
func TestInterimResponsesAreDroppedAndTrailersKept(t *testing.T) {
	t.Parallel()
	g := inFrontOfTCP(t, func(c net.Conn) {
		readHead(c)
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: <https://canary.example>\r\n\r\nHTTP/1.1 102 Processing\r\nX-Canary: 1\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n4\r\nbody\r\n0\r\nDigest: d1gest\r\n\r\n")
	}, nil)
	d := dialogWith(t, g)
	io.WriteString(d, "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	all, _ := io.ReadAll(d.Reader)
	if text := string(all); !strings.HasPrefix(text, "HTTP/1.1 200 ") || strings.Contains(strings.ToLower(text), "canary") || !strings.Contains(text, "Digest: d1gest") {
		t.Errorf("%s", text)
	}
}

// In a flow nothing goes to the browser that nobody has looked at, and what stands behind a body is not.
func TestTrailersAreDroppedInAFlow(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/authorize"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Announced")
			io.WriteString(w, "<p>a page")
			w.Header().Set("X-Announced", "c4nary")
			w.Header().Set(http.TrailerPrefix+"Location", "https://c4nary.example")
		}
		r.Handlers["/page"] = r.Handlers["/authorize"]
	}})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	cookie := b.Cookies()[0].Name + "=" + b.Cookies()[0].Value
	for _, path := range []string{strings.TrimPrefix(harness.Short("web", uri), g.URL), "/page"} {
		for cookie, kept := range map[string]bool{cookie: false, "": path == "/page"} {
			d := dialogWith(t, g)
			fmt.Fprintf(d, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n", path, strings.TrimPrefix(g.URL, "http://"), cookie)
			all, _ := io.ReadAll(d.Reader)
			if got := strings.Contains(string(all), "c4nary"); got != kept {
				t.Errorf("%s with cookie %q: trailers are there: %t\n%s", path, cookie, got, all)
			}
		}
	}
}

// Pages stay compressed as the upstream has sent them, or not, whatever the client says that it takes.
func TestCompressionIsBetweenUpstreamAndClient(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	io.WriteString(w, "a page")
	w.Close()
	asked := make(chan string, 4)
	g := inFrontOfTCP(t, func(c net.Conn) {
		asked <- readHead(c)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", packed.Len(), packed.String())
	}, nil)
	got := raw(t, g, "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.Contains(got, packed.String()) {
		t.Errorf("%q", got)
	}
	for len(asked) > 0 {
		if head := <-asked; strings.HasPrefix(head, "GET /page") && strings.Contains(strings.ToLower(head), "accept-encoding") {
			t.Errorf("the upstream was asked with %q", head)
		}
	}
}

// inFrontOfTCP starts a gateway in front of what serve does with each connection, or of nobody. Metadata is not answered.
func inFrontOfTCP(t *testing.T, serve func(net.Conn), options func(*proxy.Options)) *harness.Gateway {
	t.Helper()
	listener := listen(t)
	if serve == nil {
		listener.Close()
	} else {
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					serve(c)
				}()
			}
		}()
	}
	return harness.InFrontOf(t, listen(t), "http://"+listener.Addr().String(), harness.Setup{Unknown: true, Options: options})
}

// readHead reads a request's head, and returns it.
func readHead(c net.Conn) string {
	reader, head := bufio.NewReader(c), ""
	for {
		line, err := reader.ReadString('\n')
		head += line
		if err != nil || line == "\r\n" {
			return head
		}
	}
}

// reset ends a connection with a reset.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}
