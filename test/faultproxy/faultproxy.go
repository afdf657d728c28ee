// Package faultproxy is a TCP proxy for tests that breaks connections in the ways of networks: it stalls, cuts, loses
// what is sent, delays, and swallows one reply.
//
// It knows nothing of what it carries. A reply is what the server sends after the client has sent something, until the
// client sends again; that is exact for one request at a time on a connection.
package faultproxy

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between clients and one server. All faults apply to connections that exist and to new ones, from the
// next bytes on, until Heal; where Only was called, to those connections alone.
type Proxy struct {
	Addr string // host:port, where clients connect

	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever a fault changes
	faults  faults
	only    []byte // in what a client has sent; nil means every connection
	closed  bool
	conns   map[*link]bool
}

type faults struct {
	stalled   bool
	blackHole bool
	delay     time.Duration
	swallow   int // the replies that still pass before one is swallowed; -1 means none is
}

// Start starts a proxy in front of target on a free port of the loopback interface, and ends it with the test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, target: target, changed: make(chan struct{}),
		conns: map[*link]bool{}, faults: faults{swallow: -1}}
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Stall holds back everything in both directions until Heal, which lets it go on where it stopped.
func (p *Proxy) Stall() { p.set(func(f *faults) { f.stalled = true }) }

// BlackHole takes everything in both directions and delivers nothing, as a firewall that drops packets does. What was
// taken is lost, so Heal cuts the connections that lost something.
func (p *Proxy) BlackHole() { p.set(func(f *faults) { f.blackHole = true }) }

// Delay holds everything back for d in each direction.
func (p *Proxy) Delay(d time.Duration) { p.set(func(f *faults) { f.delay = d }) }

// SwallowReply lets n replies pass, counted over all connections from now on, and then loses one and cuts its
// connection: the server has done what it was asked for, and the client does not know.
func (p *Proxy) SwallowReply(n int) { p.set(func(f *faults) { f.swallow = n }) }

// Heal ends every fault.
func (p *Proxy) Heal() {
	p.set(func(f *faults) { *f = faults{swallow: -1} })
	p.cut(func(l *link) bool { return l.lost })
}

// Cut closes every connection that there is. New ones are taken.
func (p *Proxy) Cut() { p.cut(func(*link) bool { return true }) }

// Only restricts the faults to connections whose client has sent text within its first 4 KiB, in whatever case; "PSYNC"
// is the links of Redis' replicas. Empty means every connection again.
func (p *Proxy) Only(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.only = bytes.ToUpper([]byte(text))
	p.wake()
}

// Connections is how many there are.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Close ends the proxy and its connections, and returns when nothing of it runs.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.wake()
	p.mu.Unlock()
	p.listener.Close()
	p.cut(func(*link) bool { return true })
	p.running.Wait()
}

func (p *Proxy) set(change func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.faults)
	p.wake()
}

func (p *Proxy) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) cut(which func(*link) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		if which(l) && (p.closed || p.applies(l)) {
			l.close()
		}
	}
}

// applies reports whether faults are for l. The lock is held.
func (p *Proxy) applies(l *link) bool {
	return len(p.only) == 0 || bytes.Contains(bytes.ToUpper(l.sent), p.only)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}
