package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// handshakeTimeout is how long a client may take to open TLS.
const handshakeTimeout = 10 * time.Second

// secure is a listener of connections on which TLS has been opened. net/http would open it itself, but then nothing could
// look at what is framed inside.
type secure struct {
	net.Listener
	config  *tls.Config
	timeout time.Duration // of one handshake
	log     *zap.Logger

	ctx    context.Context // ends with the listener
	cancel context.CancelFunc
	open   chan net.Conn
	failed chan error // of the listener
	begin  sync.Once
}

func newSecure(l net.Listener, config *tls.Config, log *zap.Logger) *secure {
	s := &secure{Listener: l, config: config, timeout: handshakeTimeout, log: log, open: make(chan net.Conn), failed: make(chan error)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Accept implements net.Listener.
func (s *secure) Accept() (net.Conn, error) {
	s.begin.Do(func() { go s.acceptAll() })
	select {
	case c := <-s.open:
		return c, nil
	case err := <-s.failed:
		return nil, err
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It ends what is being opened, too.
func (s *secure) Close() error {
	s.cancel()
	return s.Listener.Close()
}

// acceptAll takes connections until the listener fails for good. What passes (too many open files) is told to net/http, which
// waits for a moment before it accepts again.
func (s *secure) acceptAll() {
	for s.ctx.Err() == nil {
		c, err := s.Listener.Accept()
		if err == nil {
			go s.shakeHands(c)
			continue
		}
		select {
		case s.failed <- err:
		case <-s.ctx.Done():
		}
	}
}

// shakeHands opens TLS and hands the connection on: one of HTTP/2 as it is, since net/http must know it by its type.
func (s *secure) shakeHands(c net.Conn) {
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	conn := tls.Server(c, s.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		s.explain(c, err)
		c.Close()
		return
	}
	var ready net.Conn = conn
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		ready = &framedTLS{framed{Conn: conn}, conn}
	}
	select {
	case s.open <- ready:
	case <-s.ctx.Done():
		conn.Close()
	}
}

// explain tells what went wrong with a handshake: to the log, and to who speaks plain HTTP. Who leaves without a word may be a
// balancer that looks, every other second, whether somebody is there.
func (s *secure) explain(c net.Conn, err error) {
	var odd tls.RecordHeaderError
	if errors.As(err, &odd) && odd.Conn != nil && looksLikeHTTP(odd.RecordHeader) {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		io.WriteString(odd.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nThis address speaks https.\n")
	}
	level := zap.InfoLevel
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		level = zap.DebugLevel
	}
	s.log.Log(level, "TLS was not opened", zap.String("client", peerName(addressOf(c))), zap.String("error", withoutOffers(err)))
}

// withoutOffers is the error of a handshake without what the client has offered, which can be many kilobytes of its own words.
func withoutOffers(err error) string {
	text := err.Error()
	for _, before := range []string{" ([", "; client offered: "} {
		text, _, _ = strings.Cut(text, before)
	}
	return text
}

// looksLikeHTTP reports whether what should have been a TLS record begins a request.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}
