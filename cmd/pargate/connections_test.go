package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// from is a connection that comes from an address of the test's choice.
type from struct {
	net.Conn
	addr net.Addr
}

func (c from) RemoteAddr() net.Addr { return c.addr }

// fakeListener yields what it is given.
type fakeListener struct {
	net.Listener
	conns chan net.Conn
}

func (l fakeListener) Accept() (net.Conn, error) {
	c, open := <-l.conns
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func TestConnectionsOfOneNetworkAreBounded(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	fake := fakeListener{conns: make(chan net.Conn)}
	defer close(fake.conns)
	shares := &proxy.Shares{Total: 6, Each: 2, Free: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}}
	var refused atomic.Int64
	l := &counting{Listener: fake, shares: shares, log: zap.New(core), refuse: func(proxy.Denied) { refused.Add(1) }}
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil || c == nil {
				return
			}
			accepted <- c
		}
	}()
	// connect returns the accepted connection; nil when it was ended.
	connect := func(address string) net.Conn {
		t.Helper()
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close() })
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fake.conns <- from{server, addr}
		ended := make(chan struct{})
		go func() {
			client.Read(make([]byte, 1))
			close(ended)
		}()
		select {
		case c := <-accepted:
			return c
		case <-ended:
			return nil
		}
	}
	first := connect("198.51.100.1:1")
	if first == nil || connect("198.51.100.2:1") == nil {
		t.Fatal("the first two of a network are refused")
	}
	if connect("198.51.100.3:1") != nil {
		t.Error("the third one is not")
	}
	first.Close()
	first.Close() // net/http closes twice
	if connect("198.51.100.3:1") == nil {
		t.Error("what was closed still counts")
	}
	if connect("198.51.100.4:1") != nil {
		t.Error("what was closed twice counts twice")
	}
	for i := range 4 {
		if connect("203.0.113.7:1") == nil {
			t.Errorf("connection %d of a trusted proxy is refused", i)
		}
	}
	if connect("203.0.113.7:1") != nil || connect("[2001:db8::1]:1") != nil {
		t.Error("there is no bound in all")
	}
	if n := refused.Load(); n != 4 {
		t.Errorf("%d are counted as refused", n)
	}
	if n := logs.FilterMessageSnippet("TRUSTED_PROXIES").Len(); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

// Whom to trust is no advice for who has no more files to open.
func TestTheAdviceIsAboutTheLimitThatWasMet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total  int
		denied proxy.Denied
		advice string
	}{
		{100, proxy.TooManyOfOne, "TRUSTED_PROXIES"},
		{100, proxy.TooManyInAll, "ulimit -n"},
		{maxConnections, proxy.TooManyInAll, ""},
	} {
		core, logs := observer.New(zap.InfoLevel)
		l := &counting{shares: &proxy.Shares{Total: c.total}, log: zap.New(core)}
		l.tell(netip.MustParseAddr("203.0.113.7"), c.denied)
		l.tell(netip.MustParseAddr("203.0.113.7"), c.denied)
		if logs.Len() != 1 {
			t.Fatalf("%d lines", logs.Len())
		}
		for _, advice := range []string{"TRUSTED_PROXIES", "ulimit -n"} {
			if got := strings.Contains(logs.All()[0].Message, advice); got != (advice == c.advice) {
				t.Errorf("%d, %s: %q", c.total, c.denied, logs.All()[0].Message)
			}
		}
	}
}

// Who finds no room is ended at once, and room comes back.
func TestConnectionsInAllAreBounded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newHTTPServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), zap.NewNop())
	go s.Serve(plain{&counting{Listener: listener, shares: &proxy.Shares{Total: 5}, log: zap.NewNop(), refuse: func(proxy.Denied) {}}})
	t.Cleanup(func() { s.Close() })
	address := listener.Addr().String()
	open := func() (net.Conn, bool) {
		c, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNRESET) { // ended before it was seen to begin
			return nil, false
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		return c, err == nil && res.StatusCode == 200
	}
	var held []net.Conn
	for i := range 5 {
		c, ok := open()
		if !ok {
			t.Fatalf("connection %d is refused", i)
		}
		held = append(held, c)
	}
	if _, ok := open(); ok {
		t.Error("the sixth one is served")
	}
	held[0].Close()
	harness.WaitFor(t, "room", func() bool { _, ok := open(); return ok })
}

func TestTheProcessBearsTheConnectionsItTakes(t *testing.T) {
	t.Parallel()
	s := connectionShares(nil)
	if s.Total < 100 || s.Total > maxConnections || s.Total >= descriptors() || s.Each < 100 {
		t.Errorf("%d in all, %d of one, of %d descriptors", s.Total, s.Each, descriptors())
	}
}

// A head may have 64 KiB and what net/http adds to that, and no more, however it is made up.
func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	up := upstream.New(t)
	s := serveInside(t, "UPSTREAM_URL="+up.URL)
	const most = 64<<10 + 4096
	for name, c := range map[string]struct {
		head   string
		status string
	}{
		"a long target":            {"GET /page?" + strings.Repeat("q", 60<<10) + " HTTP/1.1\r\nHost: x\r\n", "200"},
		"one that is too long":     {"GET /page?" + strings.Repeat("q", most) + " HTTP/1.1\r\nHost: x\r\n", "431"},
		"a long field":             {"GET /page HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("v", 60<<10) + "\r\n", "200"},
		"one that is too long too": {"GET /page HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("v", most) + "\r\n", "431"},
		"a field that never ends":  {"GET /page HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("v", 4<<20), "431"},
		"a name that never ends":   {"GET /page HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("n", 4<<20), "431"},
		"ten thousand fields":      {"GET /page HTTP/1.1\r\nHost: x\r\n" + manyFields(10_000), "431"},
		"five thousand fields":     {"GET /page HTTP/1.1\r\nHost: x\r\n" + manyFields(5000), "431"},
	} {
		conn, err := net.Dial("tcp", s.listeners[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		go io.WriteString(conn, c.head+"Connection: close\r\n\r\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(line, "HTTP/1.1 "+c.status) {
			t.Errorf("%s: %q %v", name, line, err)
		}
		conn.Close()
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x%x: 1\r\n", i)
	}
	return b.String()
}

// The deadlines of the server itself, which only patience shows otherwise.
func TestTheServersDeadlines(t *testing.T) {
	t.Parallel()
	s := newHTTPServer(http.NotFoundHandler(), zap.NewNop())
	if s.ReadHeaderTimeout != 10*time.Second || s.IdleTimeout != 75*time.Second {
		t.Errorf("a head may take %v, a pause %v", s.ReadHeaderTimeout, s.IdleTimeout)
	}
	if s.ReadTimeout != 0 || s.WriteTimeout != 0 {
		t.Error("all of a body or of a response has a deadline, which cuts uploads and long polls")
	}
	if h := s.HTTP2; h.SendPingTimeout != 30*time.Second || h.PingTimeout != 15*time.Second || h.WriteByteTimeout != 30*time.Second || h.MaxReceiveBufferPerConnection != 1<<20 {
		t.Errorf("in HTTP/2 a silent client is asked after %v and given up %v later, a write that gets nowhere after %v; %d bytes are kept for nobody",
			h.SendPingTimeout, h.PingTimeout, h.WriteByteTimeout, h.MaxReceiveBufferPerConnection)
	}
	s.ReadHeaderTimeout, s.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(plain{listener})
	t.Cleanup(func() { s.Close() })
	for name, sent := range map[string]string{"nothing": "", "half a line": "GET / HT", "half a head": "GET / HTTP/1.1\r\nHost: x\r\n", "one request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, sent)
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}

func TestGODEBUGThatWeakensIsWarnedAbout(t *testing.T) {
	t.Parallel()
	for value, names := range map[string][]string{
		"": nil, "gctrace=1": nil, "httplaxcontentlength=0": nil, "tlsmlkem=0": nil, "http2client=0": nil,
		"httplaxcontentlength=1":             {"httplaxcontentlength=1"},
		"gctrace=1,tls10server=1, tls3des=1": {"tls10server=1", "tls3des=1"},
		"urlmaxqueryparams=0":                {"urlmaxqueryparams=0"},
		"urlmaxqueryparams=500000":           {"urlmaxqueryparams=500000"},
		"rsa1024min=0,urlstrictcolons=0":     {"rsa1024min=0", "urlstrictcolons=0"},
	} {
		code, stdout, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", "GODEBUG=" + value}, "check")
		if code != exitOK || strings.Count(stdout+stderr, "takes away protection") != len(names) {
			t.Errorf("%q: %d %s%s", value, code, stdout, stderr)
		}
		for _, name := range names {
			if !strings.Contains(stdout+stderr, name) {
				t.Errorf("%q: %s is not named: %s%s", value, name, stdout, stderr)
			}
		}
	}
	s := start(t, "UPSTREAM_URL=http://127.0.0.1:1", "GODEBUG=tlssha1=1")
	if !strings.Contains(s.logs.String(), "tlssha1=1 takes away protection") {
		t.Errorf("%s", s.logs)
	}
}
