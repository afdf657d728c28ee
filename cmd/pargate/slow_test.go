package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/count"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// What a process may take, in KiB of resident memory. The first is promised of an idle one; a slow connection costs
// what its buffers and goroutines do.
const (
	maxIdle    = 40 << 10
	maxOfOne   = 20 // for each connection; some hold an answer that is not read
	maxOfTLS   = 32
	maxFlooded = 512 << 10
)

// largeAnswer is more than what the sockets between an upstream and a client hold.
const largeAnswer = 16 << 20

// slowKind is a way to be slow.
type slowKind struct {
	name  string
	share int                       // of a hundred
	begin func(c net.Conn) error    // what is sent and read first
	drip  string                    // sent over and over, a little at a time; empty: nothing is
	open  func(c net.Conn) net.Conn // TLS; nil: none
	until time.Duration             // by when the gateway has ended it
	reads bool                      // the client reads what comes
}

const asWebClient = "Authorization: Basic d2ViOnMzY3JldA==\r\nContent-Type: application/x-www-form-urlencoded\r\n"

func saying(text string) func(net.Conn) error {
	return func(c net.Conn) error {
		_, err := io.WriteString(c, text)
		return err
	}
}

// answeredThenStill asks for something large, reads that it is coming, and then nothing more.
func answeredThenStill(c net.Conn) error {
	io.WriteString(c, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	line := make([]byte, 12)
	if _, err := io.ReadFull(c, line); err != nil || string(line) != "HTTP/1.1 200" {
		return fmt.Errorf("%q %v", line, err)
	}
	return nil
}

var slowKinds = []slowKind{
	{name: "answers that nobody reads", share: 5, begin: answeredThenStill},
	{name: "uploads that do not end", share: 1, begin: saying("POST /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), drip: "1\r\nx\r\n", until: 45 * time.Second, reads: true},
	{name: "nothing", share: 14, begin: saying(""), until: 15 * time.Second, reads: true},
	{name: "heads that do not end", share: 30, begin: saying("GET /page HTTP/1.1\r\nHost: x\r\n"), drip: "X: y\r\n", until: 15 * time.Second, reads: true},
	{name: "pushes that do not end", share: 25, begin: saying("POST /par HTTP/1.1\r\nHost: x\r\n" + asWebClient + "Content-Length: 60000\r\n\r\nclient_id=web&x="), drip: "x", until: 27 * time.Second, reads: true},
	{name: "bodies that do not end", share: 25, begin: saying("POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"), drip: "x", until: 27 * time.Second, reads: true},
}

// TestSlowConnections opens 15,000 connections that are slow in every way there is, to the program as it is released,
// and measures what they take of it. Somebody else is served meanwhile, and afterwards they are gone.
func TestSlowConnections(t *testing.T) {
	t.Parallel()
	up := upstream.New(t, func(r *upstream.Recorder) {
		block := bytes.Repeat([]byte("x"), 64<<10)
		r.Handlers["/large"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			for range largeAnswer / len(block) {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}
	})
	p := startProcess(t, buildBinary(t), "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+writeFile(t, harness.Clients), "RATE_LIMIT=off")
	up.SetIssuer(p.public)
	p.waitReady(t)
	flood(t, p, nil, slowKinds)
}

// The same with TLS, which can be slow in opening too.
func TestSlowConnectionsWithTLS(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	config := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}}
	up := upstream.New(t)
	p := startProcess(t, buildBinary(t), append(environ, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+writeFile(t, harness.Clients), "RATE_LIMIT=off")...)
	p.public = strings.Replace(p.public, "http:", "https:", 1)
	up.SetIssuer(p.public)
	p.waitReady(t)
	hello := clientHello(t, config)
	open := func(c net.Conn) net.Conn { return tls.Client(c, config) }
	flood(t, p, config, []slowKind{
		{name: "nothing", share: 30, begin: saying(""), until: 15 * time.Second, reads: true},
		{name: "half of a first message", share: 30, begin: saying(hello[:len(hello)/2]), until: 15 * time.Second, reads: true},
		{name: "handshakes that stop", share: 30, begin: saying(hello), until: 15 * time.Second, reads: true},
		{name: "heads that do not end", share: 10, open: open, begin: saying("GET /page HTTP/1.1\r\nHost: x\r\n"), drip: "X: y\r\n", until: 15 * time.Second, reads: true},
	})
}

// clientHello is the first message of a client.
func clientHello(t *testing.T, config *tls.Config) string {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Client(client, config).Handshake()
	first := make([]byte, 8<<10)
	n, err := server.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	return string(first[:n])
}

// flood opens the connections, looks at the process while they are open and when they must be gone.
func flood(t *testing.T, p *process, config *tls.Config, kinds []slowKind) {
	most := maxOfOne
	if config != nil {
		most = maxOfTLS
	}
	full := count.Of(15_000)
	if full < 15_000 { // the steps by which the heap grows count for more
		most += most / 4
	}
	if descriptors() < full*5/4+1000 {
		t.Skipf("%d descriptors are too few for %d connections: skipped (ulimit -n)", descriptors(), full)
	}
	healthy := serveSomebody(t, p.public, config)
	harness.WaitFor(t, "somebody to be served", func() bool { return healthy.served.Load() > 20 })
	idle := p.memory(t, "VmRSS")
	if idle > maxIdle {
		t.Errorf("%d KiB when idle, want at most %d", idle, maxIdle)
	}
	idleDescriptors := p.descriptors(t)

	began := time.Now()
	address := p.public[strings.LastIndex(p.public, "/")+1:]
	var all []*slowConnection
	for _, kind := range kinds {
		before, start := p.memory(t, "VmRSS"), time.Now()
		opened := openSlow(t, address, kind, full*kind.share/100)
		all = append(all, opened...)
		t.Logf("%s: %d in %.1fs, %.1f KiB each", kind.name, len(opened), time.Since(start).Seconds(), float64(p.memory(t, "VmRSS")-before)/float64(max(len(opened), 1)))
	}
	open := p.descriptors(t)
	for time.Since(began) < 9*time.Second { // the first deadline has not come
		open = max(open, p.descriptors(t))
		time.Sleep(100 * time.Millisecond)
	}
	peak := p.memory(t, "VmHWM")
	if open < len(all)*9/10 {
		t.Errorf("only %d descriptors were open at a time for %d connections", open, len(all))
	}
	t.Logf("%d slow connections: %d KiB idle, at most %d KiB, %.1f KiB each; %d descriptors", len(all), idle, peak, float64(peak-idle)/float64(len(all)), open)
	if each := (peak - idle) / len(all); each > most && full >= 1500 || peak > maxFlooded {
		t.Errorf("too much: %d KiB each, %d KiB in all", each, peak)
	}

	for _, c := range all {
		c.wait(t)
	}
	const kept = 300 // connections to the upstream
	for p.descriptors(t) > idleDescriptors+kept {
		if time.Since(began) > 75*time.Second {
			t.Fatalf("%d descriptors are still open", p.descriptors(t))
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("all ended after %.0fs; somebody else was served %d times, within %v at most", time.Since(began).Seconds(), healthy.served.Load(), time.Duration(healthy.longest.Load()))
	healthy.end(t)
	p.waitForMemory(t, config, idle+64<<10)
}

// slowConnection is one of them.
type slowConnection struct {
	net.Conn
	kind   slowKind
	opened time.Time
	ended  chan time.Duration // how long it has lasted; nil: nobody reads
}

// openSlow opens n of a kind, from several addresses of this machine.
func openSlow(t *testing.T, address string, kind slowKind, n int) []*slowConnection {
	t.Helper()
	opened := make([]*slowConnection, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				c, err := dialSlow(address, kind, i)
				if err != nil {
					t.Errorf("%s, number %d: %v", kind.name, i, err)
					return
				}
				opened[i] = c
			}
		})
	}
	wg.Wait()
	opened = slices.DeleteFunc(opened, func(c *slowConnection) bool { return c == nil })
	t.Cleanup(func() {
		for _, c := range opened {
			c.Close()
		}
	})
	if kind.drip != "" {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				for _, c := range opened {
					io.WriteString(c, kind.drip) // it may have ended
				}
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Second):
				}
			}
		}()
		t.Cleanup(func() { cancel(); <-done })
	}
	return opened
}

func dialSlow(address string, kind slowKind, i int) (*slowConnection, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}, Timeout: 10 * time.Second}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if kind.open != nil {
		conn = kind.open(conn)
	}
	c := &slowConnection{Conn: conn, kind: kind, opened: time.Now()}
	if err := kind.begin(conn); err != nil {
		conn.Close()
		return nil, err
	}
	if kind.reads {
		c.ended = make(chan time.Duration, 1)
		go func() {
			io.Copy(io.Discard, struct{ io.Reader }{conn})
			c.ended <- time.Since(c.opened)
		}()
	}
	return c, nil
}

// wait waits until the gateway has ended the connection, in its time.
func (c *slowConnection) wait(t *testing.T) {
	t.Helper()
	if c.ended == nil { // whether the gateway has let go of it can only be seen there
		return
	}
	for {
		select {
		case lasted := <-c.ended:
			if lasted > c.kind.until {
				t.Fatalf("%s: ended after %v, want %v at most", c.kind.name, lasted, c.kind.until)
			}
			return
		default:
		}
		if time.Now().After(c.opened.Add(2 * c.kind.until)) {
			t.Fatalf("%s: still open after %v", c.kind.name, time.Since(c.opened))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// somebody is served while others are slow.
type somebody struct {
	served, longest atomic.Int64
	failure         atomic.Value
	cancel          context.CancelFunc
	done            chan struct{}
}

// serveSomebody pushes and asks for pages, on a connection that is kept and on new ones, until end.
func serveSomebody(t *testing.T, public string, config *tls.Config) *somebody {
	s := &somebody{done: make(chan struct{})}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	kept := &http.Transport{TLSClientConfig: config.Clone()}
	go func() {
		defer close(s.done)
		defer kept.CloseIdleConnections()
		for i := 0; ctx.Err() == nil; i++ {
			transport := kept
			if i%4 == 0 {
				transport = &http.Transport{TLSClientConfig: config.Clone(), DisableKeepAlives: true}
			}
			start := time.Now()
			if err := askOnce(ctx, transport, public, i%2 == 0); err != nil && ctx.Err() == nil {
				s.failure.CompareAndSwap(nil, err.Error())
			}
			s.served.Add(1)
			s.longest.Store(max(s.longest.Load(), int64(time.Since(start))))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { s.cancel(); <-s.done })
	return s
}

func askOnce(ctx context.Context, transport *http.Transport, public string, push bool) error {
	want, path, body := http.StatusOK, "/page", "hello"
	if push {
		want, path, body = http.StatusCreated, "/par", harness.Form().Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, public+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("web", "s3cret")
	res, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != want {
		return fmt.Errorf("%s: %s %v", path, res.Status, err)
	}
	return nil
}

func (s *somebody) end(t *testing.T) {
	s.cancel()
	<-s.done
	if failure := s.failure.Load(); failure != nil {
		t.Errorf("somebody who was not slow: %v", failure)
	}
}

// memory is a field of the process's status (VmRSS, VmHWM), in KiB.
func (p *process) memory(t *testing.T, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), field+":")
	n, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// descriptors is how many files and connections the process has open.
func (p *process) descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// waitForMemory waits until the process has given memory back. It works meanwhile, or nothing would be collected.
func (p *process) waitForMemory(t *testing.T, config *tls.Config, want int) {
	t.Helper()
	began := time.Now()
	transport := &http.Transport{TLSClientConfig: config.Clone()}
	defer transport.CloseIdleConnections()
	for p.memory(t, "VmRSS") > want {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d KiB a minute afterwards, want at most %d", p.memory(t, "VmRSS"), want)
		}
		for range 100 {
			if err := askOnce(t.Context(), transport, p.public, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d KiB %.0fs afterwards", p.memory(t, "VmRSS"), time.Since(began).Seconds())
}
