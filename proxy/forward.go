package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"pargate/proxy/oauth"
)

// forward sends the request upstream, as it was bound when it belongs to a flow, and the response back through
// Server.respond.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) error {
	if err := s.awaitBody(w, r); err != nil {
		return err
	}
	if x := exchangeOf(r); hasBody(r) && !x.bodyArrived {
		up, ctx, cancel := newUpload(w, r, s.UpstreamTimeout)
		defer cancel(nil)
		defer up.stall.Stop()
		x.upload = up
		r = r.WithContext(ctx)
		r.Body = up
	}
	s.proxy.ServeHTTP(w, r)
	return nil
}

func (s *Server) newReverseProxy(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:      transport,
		Rewrite:        s.rewrite,
		ModifyResponse: s.respond,
		ErrorHandler:   s.upstreamFailed,
		BufferPool:     new(buffers),
		ErrorLog:       log.New(io.Discard, "", 0), // it would log addresses with queries
	}
}

// rewrite makes the outbound request. Headers are set here and nowhere else: what is set before the proxy takes
// the client's Connection header apart can be removed by it.
func (s *Server) rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In)
	p.Out.URL = s.target(p.In, x)
	if p.Out.Host = p.In.Host; p.Out.Host == "" { // HTTP/1.0: the upstream's own name is nobody's business
		if public := s.publicURL(x); public != nil {
			p.Out.Host = public.Host
		}
	}
	if x.out != nil {
		x.out.applyTo(p.Out)
	}
	if x.endpoints != nil && (x.place.protected() || x.place == atOIDC || x.place == atOAuth) {
		p.Out.Host = x.endpoints.public.Host
	}
	dropForwardingHeaders(p.Out.Header, x.origin.trusted, x.place.protected(), s.mustPush(), s.ClientCertHeader)
	h := p.Out.Header
	forbidReplay(p.Out)
	h.Del("Upgrade") // no tunnels: what goes through one, nobody sees
	h.Del("Http2-Settings")
	h.Del("Connection")
	h.Del("Expect")
	if public := s.publicURL(x); public != nil {
		h["X-Forwarded-Proto"] = []string{public.Scheme}
		h["X-Forwarded-Host"] = []string{public.Host}
	}
	if x.origin.chain != "" {
		h["X-Forwarded-For"] = []string{x.origin.chain}
	}
	if s.readsPages(x) {
		x.askReadable(p.Out)
	}
	h["X-Request-Id"] = []string{x.id}
	h[hopHeader] = []string{s.hop}
	if h.Del("Cookie"); len(x.cookies) > 0 {
		h["Cookie"] = x.cookies
	}
}

// hopHeader names this process to itself: a request that comes back with it has gone in a circle.
const hopHeader = "Pargate-Hop"

// forbidReplay keeps the transport from sending a POST without a body a second time because the caller's headers say
// that this does no harm (net/http honours Idempotency-Key).
func forbidReplay(out *http.Request) {
	if out.Body == nil && (out.Header["Idempotency-Key"] != nil || out.Header["X-Idempotency-Key"] != nil) {
		out.Body = io.NopCloser(strings.NewReader(""))
	}
}

// target is the same path and query at the upstream, byte for byte.
func (s *Server) target(in *http.Request, x *exchange) *url.URL {
	target := &url.URL{
		Scheme: s.Issuer.UpstreamURL.Scheme, Host: s.Issuer.UpstreamURL.Host,
		Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery,
	}
	if !strings.HasPrefix(x.path, "//") { // which Opaque would make an authority of
		target.Opaque = x.path
	}
	return target
}

// publicURL is what the upstream is called outside; nil when that is not known yet.
func (s *Server) publicURL(x *exchange) *url.URL {
	if x.endpoints != nil {
		return x.endpoints.public
	}
	return s.Issuer.PublicURL
}

// upstreamFailed answers a request whose response cannot be passed on: the upstream failed, or Server.respond said
// no. An error that is ours to tell is told; a client that has gone away is told nothing.
func (s *Server) upstreamFailed(w http.ResponseWriter, out *http.Request, err error) {
	var told *oauth.Error
	blamed := exchangeOf(out).upload.blame()
	switch {
	case errors.As(err, &told):
	case blamed != nil:
		err = blamed
	case errors.Is(err, context.Canceled) && out.Context().Err() != nil:
		s.abandon(out)
	case isTimeout(err):
		err = changedBy("UPSTREAM_TIMEOUT", badGateway(http.StatusGatewayTimeout, kindOf(err)))
	default:
		err = badGateway(http.StatusBadGateway, kindOf(err))
	}
	s.writePage(w, out, err)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// kindOf says for the log what went wrong with the upstream. The error's own text may repeat addresses and headers,
// which hold pushed parameters, codes and sessions.
func kindOf(err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case isTimeout(err):
		return errors.New("timeout")
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed")
	}
	return errors.New("the response is malformed")
}
