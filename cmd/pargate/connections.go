package main

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"pargate/proxy"
)

// maxConnections is how many connections there are at once. An idle one costs some ten KiB. One network, which may be a
// university or a carrier's, has a quarter of them, so that nobody takes all; the proxies in TRUSTED_PROXIES, which bring
// everybody's, may have them all.
const maxConnections = 16_384

// betweenRefusals is how often it is told at most that connections are refused.
const betweenRefusals = 10 * time.Second

// reserved is how many descriptors are kept for connections to Redis, and for files.
const reserved = 512

// connectionShares are the connections that the process can bear.
func connectionShares(trusted []netip.Prefix) *proxy.Shares {
	total := min(maxConnections, max(descriptors()-reserved-maxResponses(), descriptors()/4))
	return &proxy.Shares{Total: total, Each: total / 4, Free: trusted}
}

// maxResponses is how many connections to the upstream the process can bear. Who reads a response slowly holds one, too.
func maxResponses() int { return min(2048, descriptors()/4) }

// counting is a listener that ends connections at once for which there is no room.
type counting struct {
	net.Listener
	shares *proxy.Shares
	log    *zap.Logger
	refuse func(proxy.Denied) // counts one that is refused

	mu      sync.Mutex
	told    time.Time
	refused int // since then
}

// Accept implements net.Listener.
func (l *counting) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addressOf(c)
		giveBack, denied := l.shares.Take(addr)
		if denied == proxy.Granted {
			return &counted{c, giveBack}, nil
		}
		l.refuse(denied)
		abort(c)
		l.tell(addr, denied)
	}
}

// tell logs that connections are refused, not for each of them.
func (l *counting) tell(addr netip.Addr, denied proxy.Denied) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
	if now := time.Now(); now.Sub(l.told) >= betweenRefusals {
		l.log.Warn("connections refused"+l.advice(denied), zap.String("reason", string(denied)),
			zap.String("last_from", peerName(addr)), zap.Int("refused", l.refused))
		l.told, l.refused = now, 0
	}
}

// advice says what would let more of them in; empty when nothing here would.
func (l *counting) advice(denied proxy.Denied) string {
	switch {
	case denied == proxy.TooManyOfOne:
		return "; if these are a proxy's, name it in TRUSTED_PROXIES"
	case l.shares.Total < maxConnections:
		return "; more are borne where the process may have more files open (ulimit -n)"
	}
	return ""
}

func addressOf(c net.Conn) netip.Addr {
	peer, _ := c.RemoteAddr().(*net.TCPAddr) // who comes through a socket has none, whatever its own is called
	return peer.AddrPort().Addr().Unmap()
}

// peerName is an address for the log, as it is there for requests.
func peerName(addr netip.Addr) string {
	if !addr.IsValid() {
		return "unix"
	}
	return addr.String()
}

// abort closes a connection without waiting for what is on its way.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// counted gives its share back when it is closed.
type counted struct {
	net.Conn
	giveBack func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.giveBack()
	return c.Conn.Close()
}

// CloseWrite lets net/http end a connection so that the client still gets to read the answer.
func (c *counted) CloseWrite() error { return closeWrite(c.Conn) }

// plain is a listener of connections without TLS whose framing is looked at.
type plain struct{ net.Listener }

// Accept implements net.Listener.
func (l plain) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framed{Conn: c}, nil
}
