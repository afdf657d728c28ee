package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/test/harness"
)

// Those who open a connection and say nothing are in nobody's way, and do not stay.
func TestASilentHandshakeIsInNobodysWay(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newSecure(inner, &tls.Config{Certificates: []tls.Certificate{own.server}}, zap.NewNop())
	l.timeout = 500 * time.Millisecond
	accepted := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	var silent []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		silent = append(silent, c)
	}
	c, err := tls.Dial("tcp", inner.Addr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(c); string(said) != "hello" {
		t.Errorf("behind fifty who are silent: %q %v", said, err)
	}
	c.Close()
	for _, c := range silent {
		if _, err := io.ReadAll(c); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("one who says nothing stays")
			}
		}
	}
	l.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("at its end: %v", err)
	}
}

// What a client offers when it opens TLS is its own words, and no reason for long lines.
func TestNothingThatAClientOffersIsInTheLog(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	path := filepath.Join(socketDir(t), "s")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		core, logs := observer.New(zap.DebugLevel)
		inner, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		l := newSecure(inner, &tls.Config{Certificates: []tls.Certificate{own.server}, NextProtos: []string{"h2"}}, zap.New(core))
		go l.Accept()
		dial := func() net.Conn {
			d := net.Dialer{}
			if network == "unix" {
				d.LocalAddr = &net.UnixAddr{Name: filepath.Join(filepath.Dir(path), "canary"), Net: "unix"}
			}
			c, err := d.Dial(network, inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := dial()
		if tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: slices.Repeat([]string{"canary" + strings.Repeat("x", 200)}, 200)}).Handshake() == nil {
			t.Error("a protocol that there is not is spoken")
		}
		c.Close()
		harness.WaitFor(t, "the line", func() bool { return logs.Len() == 1 })
		line := logs.TakeAll()[0]
		said, client := line.ContextMap()["error"].(string), line.ContextMap()["client"]
		if !strings.Contains(said, "application protocols") || strings.Contains(said, "canary") || len(said) > 200 {
			t.Errorf("%s: the log says %.300s", network, said)
		}
		if want := map[string]string{"tcp": "127.0.0.1", "unix": "unix"}[network]; client != want || line.Level != zap.InfoLevel {
			t.Errorf("%s: the client is %v, at %v", network, client, line.Level)
		}
		if network == "tcp" { // as a balancer looks whether somebody is there
			dial().Close()
			harness.WaitFor(t, "the line of who leaves", func() bool { return logs.Len() == 1 })
			if got := logs.TakeAll()[0].Level; got != zap.DebugLevel {
				t.Errorf("who leaves without a word is told of at %v", got)
			}
		}
		l.Close()
	}
}
