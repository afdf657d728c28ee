package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Inspection asks the upstream what an operator wants to know before anybody depends on it. Everything it sends is from
// nobody: it has no cookies, follows no redirects, names a client that does not exist or a code_challenge to which nobody
// has the verifier, so that nothing of it can succeed, and it ends in time.
type Inspection struct {
	server *Server
	known  *endpoints
}

const (
	inspectTime    = 6 * time.Second // for one question, which may take several requests
	inspectTryTime = 3 * time.Second // for one request
	inspectBody    = 64 << 10        // of an answer, in bytes
)

// Inspect learns the upstream's endpoints. It changes nothing.
func (s *Server) Inspect(ctx context.Context) (*Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	e, err := s.upstream.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	return &Inspection{s, e}, nil
}

// PublicHost is the host that browsers and clients use.
func (i *Inspection) PublicHost() string { return i.known.public.Hostname() }

// PushPath is the path of the push endpoint; empty when the upstream's own has it.
func (i *Inspection) PushPath() string { return i.known.push }

// seen is an answer with all that may be asked of it.
type seen struct {
	answer
	*http.Response
	body         []byte // its beginning
	whole        bool   // the body did not break off
	asked, heard time.Time
}

// ask sends one request; a form makes it a POST.
func (i *Inspection) ask(ctx context.Context, path, query, form string) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTryTime)
	defer cancel()
	upstream := i.server.Issuer.UpstreamURL
	target := upstream.Scheme + "://" + upstream.Host + path
	if query != "" {
		target += "?" + query
	}
	req, err := i.server.fromNobody(ctx, i.known, target, form)
	if err != nil {
		return seen{}, err
	}
	a := seen{asked: time.Now()}
	if a.Response, err = i.server.upstream.client.Transport.RoundTrip(req); err != nil {
		return seen{}, errors.New(whyNoAnswer(err))
	}
	a.heard = time.Now()
	defer a.Response.Body.Close()
	a.body, err = io.ReadAll(io.LimitReader(a.Response.Body, inspectBody))
	a.whole = err == nil
	a.Response.Body = io.NopCloser(bytes.NewReader(a.body))
	a.answer = newAnswer(a.Response)
	return a, nil
}

// fromNobody is a request as Server.rewrite forwards them: a GET, or with a form a POST.
func (s *Server) fromNobody(ctx context.Context, e *endpoints, target, form string) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != "" {
		method, body = http.MethodPost, strings.NewReader(form)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Close = true // what one answer does to its connection must not be taken for the next answer
	req.Host = e.public.Host
	req.Header = http.Header{
		"X-Forwarded-Proto": {e.public.Scheme}, "X-Forwarded-Host": {e.public.Host}, "X-Request-Id": {rand.Text()[:16]},
		hopHeader: {s.hop}, "User-Agent": {"pargate"}, "Accept": {"text/html,*/*;q=0.8"},
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, nil
}

// ClockAhead is how far the upstream's clock is ahead of this machine's, by the Date of an answer, which has whole
// seconds; zero also when it is within what can be measured.
func (i *Inspection) ClockAhead(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	a, err := i.ask(ctx, i.known.authorize[0], i.known.authorizeQuery[i.known.authorize[0]], "")
	if err != nil {
		return 0, err
	}
	date, err := http.ParseTime(a.Header.Get("Date"))
	switch {
	case err != nil:
		return 0, errors.New("its answers have no Date")
	case a.Header.Get("Age") != "":
		return 0, errors.New("its answers come from a cache")
	case date.After(a.heard):
		return date.Sub(a.heard).Round(time.Second), nil
	case date.Add(time.Second).Before(a.asked):
		return date.Add(time.Second).Sub(a.asked).Round(time.Second), nil
	}
	return 0, nil
}

// UpstreamCertificates are those that the upstream shows, its own first, also where they are not trusted; nil where it
// speaks no TLS.
func (s *Server) UpstreamCertificates(ctx context.Context) ([]*x509.Certificate, error) {
	upstream := s.Issuer.UpstreamURL
	if upstream.Scheme != "https" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	port := upstream.Port()
	if port == "" {
		port = "443"
	}
	addr := net.JoinHostPort(upstream.Hostname(), port)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, kindOf(err)
	}
	secured, err := openTLS(ctx, conn, addr, s.UpstreamRoots)
	var refused *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return refused.UnverifiedCertificates, nil
	case err != nil:
		return nil, kindOf(err)
	}
	defer secured.Close()
	return secured.ConnectionState().PeerCertificates, nil
}
