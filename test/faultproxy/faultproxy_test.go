package faultproxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pargate/test/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that answers each line with the same line.
func echo(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func connect(t *testing.T, p *faultproxy.Proxy) client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return client{c, bufio.NewReader(c)}
}

// say sends a line and reads the answer, for patience at most.
func (c client) say(line string, patience time.Duration) error {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	return c.hear(line, patience)
}

func (c client) hear(line string, patience time.Duration) error {
	c.SetReadDeadline(time.Now().Add(patience))
	got, err := c.lines.ReadString('\n')
	if err == nil && got != line+"\n" {
		err = fmt.Errorf("got %q, want %q", got, line)
	}
	return err
}

const (
	soon = 100 * time.Millisecond // for what must not come
	late = 10 * time.Second       // for what must
)

func silent(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func TestEverythingPassesUntilThereIsAFault(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	c := connect(t, p)
	for range 3 {
		if err := c.say("hello", late); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestAStalledConnectionGoesOnWhereItStopped(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	c := connect(t, p)
	p.Stall()
	if err := c.say("held back", soon); !silent(err) {
		t.Errorf("stalled: %v", err)
	}
	p.Heal()
	if err := c.hear("held back", late); err != nil {
		t.Errorf("healed: %v", err)
	}
}

func TestABlackHoleLosesWhatIsSent(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	lossy, idle := connect(t, p), connect(t, p)
	for _, c := range []client{lossy, idle} {
		if err := c.say("hello", late); err != nil {
			t.Fatal(err)
		}
	}
	p.BlackHole()
	if err := lossy.say("lost", soon); !silent(err) {
		t.Errorf("into the hole: %v", err)
	}
	if err := connect(t, p).say("lost", soon); !silent(err) {
		t.Errorf("on a new connection: %v", err)
	}
	p.Heal()
	if err := lossy.say("again", late); err == nil || silent(err) {
		t.Errorf("a connection that lost something: %v, want it cut", err)
	}
	if err := idle.say("again", late); err != nil {
		t.Errorf("a connection that lost nothing: %v", err)
	}
	if err := connect(t, p).say("again", late); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestOneReplyIsSwallowedAfterTheServerHasRead(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	c := connect(t, p)
	p.SwallowReply(2)
	for range 2 {
		if err := c.say("passes", late); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.say("swallowed", late); err == nil || silent(err) {
		t.Errorf("got %v, want the connection cut", err)
	}
	again := connect(t, p)
	for range 4 {
		if err := again.say("passes", late); err != nil {
			t.Errorf("later: %v", err)
		}
	}
}

func TestACutEndsTheConnectionsThatThereAre(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	c := connect(t, p)
	if err := c.say("hello", late); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := c.say("after", late); err == nil || silent(err) {
		t.Errorf("got %v, want the connection cut", err)
	}
	if err := connect(t, p).say("hello", late); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestADelayHoldsBackEachDirection(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	c := connect(t, p)
	p.Delay(50 * time.Millisecond)
	start := time.Now()
	if err := c.say("slow", late); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("there and back in %v", took)
	}
}

func TestFaultsCanBeForSomeConnectionsOnly(t *testing.T) {
	p := faultproxy.Start(t, echo(t))
	marked, other := connect(t, p), connect(t, p)
	if err := marked.say("psync here", late); err != nil {
		t.Fatal(err)
	}
	p.Only("PSYNC")
	p.BlackHole()
	if err := marked.say("lost", soon); !silent(err) {
		t.Errorf("the marked connection: %v", err)
	}
	if err := other.say("passes", late); err != nil {
		t.Errorf("the other: %v", err)
	}
}
