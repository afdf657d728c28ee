package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// http2Gateway is a gateway that is spoken to in frames of the test's own.
type http2Gateway struct {
	address string
	roots   *x509.CertPool
	waiting atomic.Int64 // requests at the upstream that are not answered
}

func newHTTP2Gateway(t *testing.T) *http2Gateway {
	t.Helper()
	g := &http2Gateway{roots: x509.NewCertPool()}
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	g.roots.AppendCertsFromPEM([]byte(own.pem))
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Issuer = "http://127.0.0.1:1"
		r.Handlers["/slow"] = func(_ http.ResponseWriter, r *http.Request) {
			g.waiting.Add(1)
			defer g.waiting.Add(-1)
			<-r.Context().Done()
		}
	})
	s := serveInside(t, append(environ, "UPSTREAM_URL="+up.URL, "PUBLIC_URL=http://127.0.0.1:1")...)
	harness.WaitFor(t, "readiness", func() bool { return s.gateway.server.Ready(t.Context()) == nil })
	g.address = s.listeners[0].Addr().String()
	return g
}

// heard is what a frame of the server's says.
type heard struct {
	kind     http2.FrameType
	code     http2.ErrCode              // of RST_STREAM and GOAWAY
	status   string                     // of HEADERS
	settings map[http2.SettingID]uint32 // of SETTINGS; nil for an acknowledgement
}

func hear(f http2.Frame) heard {
	h := heard{kind: f.Header().Type}
	switch f := f.(type) {
	case *http2.GoAwayFrame:
		h.code = f.ErrCode
	case *http2.RSTStreamFrame:
		h.code = f.ErrCode
	case *http2.HeadersFrame:
		fields, err := hpack.NewDecoder(4096, nil).DecodeFull(f.HeaderBlockFragment())
		if err == nil && len(fields) > 0 {
			h.status = fields[0].Value
		}
	case *http2.SettingsFrame:
		if !f.IsAck() {
			h.settings = map[http2.SettingID]uint32{}
			f.ForeachSetting(func(s http2.Setting) error { h.settings[s.ID] = s.Val; return nil })
		}
	}
	return h
}

// dial opens a connection, and reads what the server sends into frames until it ends.
func (g *http2Gateway) dial(t *testing.T) (*http2.Framer, <-chan heard) {
	t.Helper()
	c, err := tls.Dial("tcp", g.address, &tls.Config{RootCAs: g.roots, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frames := make(chan heard, 1<<16)
	go func() {
		defer close(frames)
		for {
			f, err := framer.ReadFrame()
			if err != nil {
				return
			}
			frames <- hear(f)
		}
	}()
	return framer, frames
}

// request is the head of a GET, encoded.
func request(path string, more ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "x"}}, more...) {
		e.WriteField(f)
	}
	return b.Bytes()
}

func (g *http2Gateway) healthy(t *testing.T) {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: g.roots}}
	defer transport.CloseIdleConnections()
	began := time.Now()
	res, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("https://" + g.address + "/page")
	if err != nil {
		t.Error(err)
		return
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.ProtoMajor != 2 || time.Since(began) > 3*time.Second {
		t.Errorf("somebody else: %d after %v", res.StatusCode, time.Since(began))
	}
}

// ends reports whether the connection ends within a while.
func ends(frames <-chan heard) bool {
	timeout := time.After(20 * time.Second)
	for {
		select {
		case _, ok := <-frames:
			if !ok {
				return true
			}
		case <-timeout:
			return false
		}
	}
}

// Streams that are opened and reset at once (CVE-2023-39325) keep no request running, and stand in nobody's way.
func TestRapidResetsRunNothing(t *testing.T) {
	t.Parallel()
	g := newHTTP2Gateway(t)
	framer, _ := g.dial(t)
	before := runtime.NumGoroutine()
	most, stream := 0, uint32(1)
	head := request("/slow")
	for range 10_000 {
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head, EndStream: true, EndHeaders: true}) != nil ||
			framer.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
			break
		}
		stream += 2
		most = max(most, runtime.NumGoroutine())
	}
	g.healthy(t)
	if most-before > 2000 {
		t.Errorf("%d goroutines more", most-before)
	}
	harness.WaitFor(t, "the requests to end", func() bool { return g.waiting.Load() == 0 })
}

// One connection has a hundred requests at a time and no more.
func TestOneConnectionHasAHundredStreams(t *testing.T) {
	t.Parallel()
	g := newHTTP2Gateway(t)
	framer, frames := g.dial(t)
	var settings map[http2.SettingID]uint32
	for f := range frames {
		if settings = f.settings; settings != nil {
			break
		}
	}
	if settings[http2.SettingMaxConcurrentStreams] != 100 || settings[http2.SettingInitialWindowSize] != 64<<10 || settings[http2.SettingMaxHeaderListSize] > 80<<10 {
		t.Errorf("the server's settings: %v", settings)
	}
	framer.WriteSettingsAck()
	stream := uint32(1)
	for range 130 {
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: request("/slow"), EndStream: true, EndHeaders: true})
		stream += 2
	}
	refused := 0
	for f := range frames {
		if f.kind == http2.FrameRSTStream {
			refused++
		}
		if refused == 30 || f.kind == http2.FrameGoAway {
			break
		}
	}
	harness.WaitFor(t, "the hundred", func() bool { return g.waiting.Load() == 100 })
	if refused != 30 {
		t.Errorf("%d streams were refused", refused)
	}
	g.healthy(t)
}

// A head that never ends (CVE-2023-45288) ends the connection.
func TestAFloodOfContinuationsEndsTheConnection(t *testing.T) {
	t.Parallel()
	g := newHTTP2Gateway(t)
	framer, frames := g.dial(t)
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: request("/page")}); err != nil {
		t.Fatal(err)
	}
	filler := request("/page", hpack.HeaderField{Name: "x-filler", Value: string(bytes.Repeat([]byte("v"), 16<<10)), Sensitive: true})
	sent := 0
	for range 10_000 {
		if framer.WriteContinuation(1, false, filler[len(request("/page")):]) != nil {
			break
		}
		sent++
	}
	if closed := ends(frames); !closed || sent > 5000 {
		t.Errorf("%d frames were taken, closed %t", sent, closed)
	}
	g.healthy(t)
}

// What is about a connection has no place in HTTP/2 (RFC 9113 §8.2.2).
func TestHTTP2HasNoConnectionFields(t *testing.T) {
	t.Parallel()
	g := newHTTP2Gateway(t)
	for _, field := range []hpack.HeaderField{{Name: "connection", Value: "cookie"}, {Name: "transfer-encoding", Value: "chunked"}, {Name: "upgrade", Value: "h2c"}, {Name: "X-Upper", Value: "1"}} {
		framer, frames := g.dial(t)
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: request("/page", field), EndStream: true, EndHeaders: true})
		refused := false
		for f := range frames {
			if f.kind == http2.FrameHeaders || f.kind == http2.FrameRSTStream || f.kind == http2.FrameGoAway {
				refused = f.kind != http2.FrameHeaders || f.status == "400"
				break
			}
		}
		if !refused {
			t.Errorf("%s is taken", field.Name)
		}
	}
}

// A login by a browser that speaks HTTP/2, as browsers do where TLS ends here: net/http gives each of its requests a body
// that is not http.NoBody, also where there is none.
func TestALoginOverHTTP2(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	for _, required := range []string{"true", "false"} {
		up := upstream.New(t)
		s := start(t, append(environ, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+writeFile(t, harness.Clients), "PAR_REQUIRED="+required)...)
		public := strings.Replace(s.public, "http://", "https://", 1)
		up.SetIssuer(public)
		s.waitReady(t)
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
		t.Cleanup(transport.CloseIdleConnections)
		browser := harness.NewBrowser(public).KeepingAlive(transport)
		push := browser.Post(t, "/par", harness.Form().Encode(), func(r *http.Request) { r.SetBasicAuth("web", "s3cret") })
		requestURI, _ := push.JSON(t)["request_uri"].(string)
		home := browser.LogIn(t, browser.Get(t, harness.Short("web", requestURI)))
		if !strings.HasPrefix(home.Location, "https://app.example/cb?") || !strings.Contains(home.Location, "code=c0de") {
			t.Errorf("PAR_REQUIRED=%s: came home to %q, %d", required, home.Location, home.Status)
		}
		if res := browser.Get(t, "/authorize"); res.Status == http.StatusUnsupportedMediaType {
			t.Errorf("PAR_REQUIRED=%s: a GET without a body got %d", required, res.Status)
		}
	}
}
