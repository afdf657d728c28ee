package pushstore_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"pargate/pushstore"
)

// verdict is what a proxy does with one command.
type verdict struct {
	reply   string // answered by the proxy, in RESP; the server never sees the command
	swallow bool   // the server runs it, its reply goes nowhere, and the connection is cut
	shift   bool   // from now on this connection answers with the reply before
}

// redisProxy stands between a store and Redis and lets a test decide about each command.
type redisProxy struct {
	addr   string
	server string

	mu     sync.Mutex
	judge  func(n int, command []string) verdict // n counts commands over all connections
	n      int
	closed bool
	conns  map[net.Conn]bool
}

// startProxy starts a proxy in front of server that passes everything on until the test says otherwise.
func startProxy(t *testing.T, server string) *redisProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &redisProxy{addr: l.Addr().String(), server: server, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.closed = true
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		wg.Wait()
	})
	return p
}

// decide counts commands from 0 again and asks judge about each.
func (p *redisProxy) decide(judge func(n int, command []string) verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.judge = 0, judge
}

// count returns how many commands came since decide.
func (p *redisProxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func (p *redisProxy) next(command []string) verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	if p.judge == nil {
		return verdict{}
	}
	return p.judge(p.n-1, command)
}

func (p *redisProxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return !p.closed
}

func (p *redisProxy) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer s.Close()
	if !p.track(c) || !p.track(s) {
		return
	}
	fromClient, fromServer := bufio.NewReader(c), bufio.NewReader(s)
	var before []byte
	shifted := false
	for {
		raw, err := readRESP(fromClient)
		if err != nil {
			return
		}
		v := p.next(words(raw))
		reply := []byte(v.reply)
		if v.reply == "" {
			if _, err := s.Write(raw); err != nil {
				return
			}
			if reply, err = readRESP(fromServer); err != nil {
				return
			}
		}
		shifted = shifted || v.shift
		answer := reply
		if shifted {
			answer = before
		}
		before = reply
		if v.swallow {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// readRESP reads one whole value of RESP 2 or 3 and returns its bytes.
func readRESP(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(string(bytes.TrimRight(line[1:], "\r\n")))
	switch line[0] {
	case '$', '=', '!':
		if n < 0 {
			return line, nil
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		return append(line, body...), nil
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for range n {
			item, err := readRESP(r)
			if err != nil {
				return nil, err
			}
			line = append(line, item...)
		}
	}
	return line, nil
}

// words returns the strings of a command.
func words(raw []byte) []string {
	r := bufio.NewReader(bytes.NewReader(raw))
	head, _ := r.ReadString('\n')
	n, _ := strconv.Atoi(head[1 : len(head)-2])
	var all []string
	for range n {
		item, err := readRESP(r)
		if err != nil {
			break
		}
		_, body, _ := bytes.Cut(item, []byte("\r\n"))
		all = append(all, string(bytes.TrimSuffix(body, []byte("\r\n"))))
	}
	return all
}

// dial returns a store with an hour per login. It reads more patiently than DialRedis' client, for a busy machine;
// the time of an operation is bounded all the same.
func dial(t *testing.T, config pushstore.RedisConfig) *pushstore.Redis {
	t.Helper()
	client, err := pushstore.DialPatiently(config)
	if err != nil {
		t.Fatal(err)
	}
	r := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: time.Hour})
	t.Cleanup(func() { r.Close() })
	return r
}
