package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// relay is the wire between pargate and the legacy server, with a tap on it. What pargate sends is seen before the server has it, and
// what it receives before pargate has it; the bytes pass as they are, one request or response after the other.
type relay struct {
	film     *film
	to       string // host and port of the legacy server
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	ended bool
}

// newRelay leads to the legacy server from a free port.
func newRelay(ctx context.Context, to string, f *film) (*relay, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	r := &relay{film: f, to: to, listener: listener, open: map[net.Conn]bool{}}
	r.work.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			r.work.Go(func() { r.serve(in) })
		}
	})
	return r, nil
}

func (r *relay) url() *url.URL { return &url.URL{Scheme: "http", Host: r.listener.Addr().String()} }

// close ends it, with what is on its way. A nil relay has ended.
func (r *relay) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.ended = true
	for c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.listener.Close()
	r.work.Wait()
}

// hold keeps a connection until the relay or its other end lets it go; false: the relay has ended.
func (r *relay) hold(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[c] = true
	return !r.ended
}

func (r *relay) release(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

// serve passes on what comes on one connection, until one of its ends closes it.
func (r *relay) serve(in net.Conn) {
	defer r.release(in)
	out, err := net.Dial("tcp4", r.to)
	if err != nil {
		return
	}
	defer r.release(out)
	if !r.hold(in) || !r.hold(out) {
		return
	}
	connection := out.LocalAddr().String() + " " + out.RemoteAddr().String()
	requests, responses := newWiretap(in), newWiretap(out)
	for {
		request, err := http.ReadRequest(requests.reader)
		if err != nil {
			return
		}
		body, err := requests.rest(request.Body)
		if err != nil {
			return
		}
		x := exchangeOf(request, body)
		r.film.announce(connection, atGateway, x)
		if requests.passTo(out) != nil {
			return
		}
		response, err := http.ReadResponse(responses.reader, request)
		if err != nil {
			return
		}
		if x.answer, err = responses.rest(response.Body); err != nil {
			return
		}
		x.status, x.answerHeader = response.StatusCode, response.Header
		r.film.received(connection, atGateway, x)
		if responses.passTo(in) != nil || response.Close || request.Close {
			return
		}
	}
}

// wiretap reads one message after the other, and keeps the bytes of each until it is passed on.
type wiretap struct {
	reader *bufio.Reader
	raw    *bytes.Buffer
}

func newWiretap(from net.Conn) wiretap {
	var raw bytes.Buffer
	return wiretap{bufio.NewReader(io.TeeReader(from, &raw)), &raw}
}

// rest reads the body, with which the message ends: nobody here sends a second one before the first is answered.
func (w wiretap) rest(body io.ReadCloser) ([]byte, error) {
	defer body.Close()
	all, err := io.ReadAll(io.LimitReader(body, maxFilm+1))
	if len(all) > maxFilm {
		return nil, fmt.Errorf("more than %d bytes", maxFilm)
	}
	return all, err
}

func (w wiretap) passTo(c net.Conn) error {
	_, err := w.raw.WriteTo(c)
	return err
}
