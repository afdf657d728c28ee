package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// site is an HTTP server on a free port of the loopback address.
type site struct {
	url      *url.URL
	listener net.Listener
	server   *http.Server
	ended    chan struct{} // nil: it does not serve yet

	mu     sync.Mutex
	unused map[net.Conn]bool // connections on which nothing has been asked: browsers keep some ready
}

// listen takes a port. Until serve is called, whoever connects waits.
func listen(ctx context.Context) (*site, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s := &site{
		url:      &url.URL{Scheme: "http", Host: listener.Addr().String()},
		listener: listener,
		unused:   map[net.Conn]bool{},
	}
	s.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, ConnState: s.note}
	return s, nil
}

func (s *site) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.unused, c); state == http.StateNew {
		s.unused[c] = true
	}
}

// closeUnused closes the connections that a Shutdown waits for as if something were on its way.
func (s *site) closeUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.unused {
		c.Close()
	}
}

// String returns the address, without a slash at its end.
func (s *site) String() string { return s.url.String() }

func (s *site) serve(h http.Handler) {
	s.server.Handler = h
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.server.Serve(s.listener) // ends with http.ErrServerClosed
	}()
}

// close lets the requests that are in flight end, for a second. A nil site is closed.
func (s *site) close() {
	switch {
	case s == nil:
		return
	case s.ended == nil:
		s.listener.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.listener.Close()
	s.closeUnused()
	if s.server.Shutdown(ctx) != nil {
		s.server.Close()
	}
	<-s.ended
}

// newTransport is how the client and the browser stand-in connect: directly, whatever proxy the environment names.
func newTransport() *http.Transport {
	return &http.Transport{DisableCompression: true, ResponseHeaderTimeout: 30 * time.Second}
}
