package faultproxy

import (
	"net"
	"sync"
	"time"
)

// link is one connection and its other half.
type link struct {
	client, server net.Conn
	done           chan struct{} // closed by close
	once           sync.Once

	// Under the proxy's lock.
	sent    []byte // by the client, the first 4 KiB
	lost    bool   // something was taken and not delivered
	awaited bool   // the client has sent something that has no reply yet
}

const sentKept = 4 << 10

func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

// serve carries one connection until either side ends it.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		client.Close()
		return
	}
	l := &link{client: client, server: server, done: make(chan struct{})}
	defer l.close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.conns[l] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, l)
		p.mu.Unlock()
	}()
	var wg sync.WaitGroup
	wg.Go(func() { p.carry(l, l.client, l.server, false) })
	wg.Go(func() { p.carry(l, l.server, l.client, true) })
	wg.Wait()
}

// carry copies one direction until it ends, and ends the other with it.
func (p *Proxy) carry(l *link, from, to net.Conn, reply bool) {
	defer l.close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.pass(l, to, buf[:n], reply) {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass does with one piece what the faults say, and reports whether the connection goes on.
func (p *Proxy) pass(l *link, to net.Conn, piece []byte, reply bool) bool {
	p.mu.Lock()
	if reply {
		isReply := l.awaited
		l.awaited = false
		if isReply && p.applies(l) && p.faults.swallow >= 0 {
			if p.faults.swallow--; p.faults.swallow < 0 {
				p.mu.Unlock()
				return false
			}
		}
	} else {
		l.awaited = true
		l.sent = append(l.sent, piece[:min(len(piece), sentKept-len(l.sent))]...)
	}
	delay := time.Duration(0)
	if p.applies(l) {
		delay = p.faults.delay
	}
	p.mu.Unlock()
	if delay > 0 && !l.sleep(delay) {
		return false
	}
	for {
		p.mu.Lock()
		f, changed := p.faults, p.changed
		if !p.applies(l) {
			f = faults{}
		}
		if f.blackHole {
			l.lost = true
		}
		p.mu.Unlock()
		switch {
		case f.blackHole:
			return true
		case !f.stalled:
			_, err := to.Write(piece)
			return err == nil
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

// sleep waits for d and reports whether the connection is still there.
func (l *link) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}
