package test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// overHTTP2 serves a gateway over HTTP/2 too, and returns a client of that and one of HTTP/1.1.
func overHTTP2(t *testing.T, g *harness.Gateway) map[string]*http.Client {
	t.Helper()
	server := httptest.NewUnstartedServer(g.Server)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	second := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	second.DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(second.CloseIdleConnections)
	return map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{DisableKeepAlives: true}}, "HTTP/2": {Transport: second}}
}

// A response may last and pause for as long as it likes: what is limited is how long the client takes for what it is sent.
func TestAResponseMayPauseLongerThanAWriteMayTake(t *testing.T) {
	t.Parallel()
	const patience = 200 * time.Millisecond
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.WriteTimeout = patience },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/events"] = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range 4 {
					io.WriteString(w, "data\n")
					http.NewResponseController(w).Flush()
					pause(r, 3*patience)
				}
			}
			r.Handlers["/poll"] = func(w http.ResponseWriter, r *http.Request) {
				pause(r, 5*patience)
				io.WriteString(w, "news")
			}
		},
	})
	for protocol, client := range overHTTP2(t, g) {
		base := g.URL
		if protocol == "HTTP/2" {
			base = strings.Replace(g.URL, "http://", "https://", 1)
		}
		for path, want := range map[string]string{"/events": "data\ndata\ndata\ndata\n", "/poll": "news"} {
			res, err := client.Get(base + path)
			if err != nil {
				t.Errorf("%s %s: %v", protocol, path, err)
				continue
			}
			arrived := time.Now()
			first := make([]byte, 1)
			io.ReadFull(res.Body, first)
			if path == "/events" && time.Since(arrived) > 2*patience {
				t.Errorf("%s: the first event came after %v", protocol, time.Since(arrived))
			}
			rest, err := io.ReadAll(res.Body)
			res.Body.Close()
			if got := string(first) + string(rest); err != nil || got != want || res.Proto != protocol && protocol == "HTTP/1.1" || protocol == "HTTP/2" && res.ProtoMajor != 2 {
				t.Errorf("%s %s over %s: %q %v", protocol, path, res.Proto, got, err)
			}
		}
	}
}

func pause(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// Who does not read what it has asked for is cut off, and the upstream with it; nothing piles up here meanwhile.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	t.Parallel()
	var begun, serving atomic.Int64
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.WriteTimeout = 300 * time.Millisecond },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/large"] = func(w http.ResponseWriter, _ *http.Request) {
				serving.Add(1)
				begun.Add(1)
				defer serving.Add(-1)
				io.Copy(w, io.LimitReader(endless{}, 256<<20))
			}
		},
	})
	for range 20 {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		io.WriteString(c, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	harness.WaitFor(t, "the responses to begin", func() bool { return begun.Load() == 20 })
	harness.WaitFor(t, "the responses to end", func() bool { return serving.Load() == 0 })

	// One that reads, slowly, gets all of it.
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET /page?"+strings.Repeat("x", 4000)+" HTTP/1.1\r\nHost: x\r\n\r\n")
	reader := bufio.NewReaderSize(c, 16)
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || len(body) < 4000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
