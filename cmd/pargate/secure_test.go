package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
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
