package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// exchange is one request and its response, as a tap saw them.
type exchange struct {
	method string
	url    *url.URL
	target string // the request target, as it was on the wire (RFC 9112 §3.2)
	header http.Header
	body   []byte

	status       int
	answerHeader http.Header
	answer       []byte
}

// bytesOfURL is how long the URL is: in an address bar, or in a log.
func (x exchange) bytesOfURL() int { return len(x.url.String()) }

// location returns where the response redirects to; nil when it does not.
func (x exchange) location() *url.URL {
	to, err := x.url.Parse(x.answerHeader.Get("Location"))
	if err != nil || x.status < 300 || x.status > 399 || x.answerHeader.Get("Location") == "" {
		return nil
	}
	return to
}

// maxBody is how much a request may bring: any page in a person's browser can post to a port, and a tap keeps all of it.
// It is more than pargate and the servers take.
const maxBody = 256 << 10

// maxSeen and maxKept are how much a tap keeps: the first of what passes by. The longest attack needs forty.
const (
	maxSeen = 400
	maxKept = 8 << 20 // bytes of the bodies
)

// tap keeps what passes by, in order, and hands it to the film.
type tap struct {
	film *film // nil: there is none
	at   lane  // who sends or receives here

	mu     sync.Mutex
	seen   []exchange
	bytes  int // of their bodies
	missed int // exchanges that there was no room for
}

func (t *tap) add(x exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := len(x.body) + len(x.answer)
	if len(t.seen) == maxSeen || t.bytes+size > maxKept {
		t.missed++
		return
	}
	t.seen = append(t.seen, x)
	t.bytes += size
}

// hasAll reports whether there was room for all that passed by.
func (t *tap) hasAll() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.missed == 0
}

// all returns the exchanges for which keep returns true; nil keeps all.
func (t *tap) all(keep func(exchange) bool) []exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	if keep == nil {
		return slices.Clone(t.seen)
	}
	var found []exchange
	for _, x := range t.seen {
		if keep(x) {
			found = append(found, x)
		}
	}
	return found
}

// to matches requests to a path.
func to(method, path string) func(exchange) bool {
	return func(x exchange) bool { return x.method == method && x.url.Path == path }
}

// inFrontOf returns next with the tap on it.
func (t *tap) inFrontOf(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := drain(r.Body)
		if err != nil {
			return nil, err
		}
		sent := r.Clone(r.Context())
		if r.Body != nil {
			sent.Body = io.NopCloser(bytes.NewReader(body))
		}
		if sent.Header.Get("User-Agent") == "" {
			sent.Header.Set("User-Agent", "pargate-demo")
		}
		x := exchange{method: sent.Method, url: sent.URL, target: sent.URL.RequestURI(), header: sent.Header.Clone(), body: body}
		if len(body) > 0 || sent.Method == http.MethodPost {
			x.header.Set("Content-Length", strconv.Itoa(len(body))) // the transport adds it
		}
		var connection string // its two ends
		sent = sent.WithContext(httptrace.WithClientTrace(sent.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			connection = c.Conn.LocalAddr().String() + " " + c.Conn.RemoteAddr().String()
			t.film.announce(connection, t.at, x)
		}}))
		response, err := next.RoundTrip(sent)
		if err != nil {
			return nil, err
		}
		answer, err := drain(response.Body)
		if err != nil {
			return nil, err
		}
		response.Body = io.NopCloser(bytes.NewReader(answer))
		x.status, x.answerHeader, x.answer = response.StatusCode, response.Header.Clone(), answer
		t.add(x)
		t.film.received(connection, t.at, x)
		return response, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// around returns next with the tap on it. A response leaves when the tap has all of it, so that whoever has received
// it finds it here.
func (t *tap) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := drain(http.MaxBytesReader(w, r.Body, maxBody))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprintf("a request may bring %d bytes here", maxBody), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request did not arrive", http.StatusBadRequest)
			return
		}
		x := exchangeOf(r, body)
		connection := r.RemoteAddr
		if own, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			connection += " " + own.String()
		}
		arrival := t.film.arrived(connection, t.at, x)
		inner := r.Clone(r.Context())
		inner.Body = io.NopCloser(bytes.NewReader(body))

		kept := &keptResponse{header: http.Header{}}
		next.ServeHTTP(kept, inner)
		kept.complete(r.Method)
		x.status, x.answerHeader, x.answer = max(kept.status, http.StatusOK), kept.header, kept.body.Bytes()
		t.add(x)
		t.film.answered(arrival, x)

		for name, values := range kept.header {
			w.Header()[name] = values
		}
		w.WriteHeader(x.status)
		w.Write(x.answer)
	})
}

// exchangeOf is a request that was read, without its response.
func exchangeOf(r *http.Request, body []byte) exchange {
	return exchange{method: r.Method, target: r.RequestURI, header: r.Header.Clone(), body: body,
		url: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}}
}

// keptResponse is a response that is written later.
type keptResponse struct {
	header http.Header
	status int // zero: not said yet
	body   bytes.Buffer
}

func (k *keptResponse) Header() http.Header { return k.header }

func (k *keptResponse) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

func (k *keptResponse) Write(p []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	return k.body.Write(p)
}

// complete adds what net/http would add later, so that it is seen.
func (k *keptResponse) complete(method string) {
	status := max(k.status, http.StatusOK)
	if _, set := k.header["Date"]; !set {
		k.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return
	}
	if _, set := k.header["Content-Type"]; !set && k.body.Len() > 0 {
		k.header.Set("Content-Type", http.DetectContentType(k.body.Bytes()))
	}
	k.header.Set("Content-Length", strconv.Itoa(k.body.Len()))
}

func drain(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	defer body.Close()
	return io.ReadAll(body)
}
