package proxy

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"pargate/proxy/oauth"
)

// forward sends the request upstream, with the query of its flow when there is one, and the response back through
// Server.respond.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) error {
	s.proxy.ServeHTTP(w, r)
	return nil
}

func (s *Server) newReverseProxy(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:      transport,
		Rewrite:        s.rewrite,
		ModifyResponse: s.respond,
		ErrorHandler:   s.upstreamFailed,
		ErrorLog:       log.New(discard{}, "", 0), // it would log addresses with queries
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// rewrite makes the outbound request. Headers are set here and nowhere else: what is set before the proxy takes
// the client's Connection header apart can be removed by it.
func (s *Server) rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In)
	p.Out.URL = s.target(p.In, x)
	p.Out.Host = p.In.Host
	if x.endpoints != nil && (x.place.protected() || x.place == atOIDC || x.place == atOAuth) {
		p.Out.Host = x.endpoints.public.Host
	}
	dropForwardingHeaders(p.Out.Header, x.place.protected())
	h := p.Out.Header
	h.Del("Upgrade") // no tunnels: what goes through one, nobody sees
	h.Del("Connection")
	h.Del("Expect")
	if public := s.publicURL(x); public != nil {
		h["X-Forwarded-Proto"] = []string{public.Scheme}
		h["X-Forwarded-Host"] = []string{public.Host}
	}
	if x.origin.chain != "" {
		h["X-Forwarded-For"] = []string{x.origin.chain}
	}
	h["X-Request-Id"] = []string{x.id}
	if x.jar == nil {
		return
	}
	if h.Del("Cookie"); len(x.cookies) > 0 {
		h["Cookie"] = x.cookies
	}
}

// target is the same path and query at the upstream, byte for byte, but for the query of an expanded request.
func (s *Server) target(in *http.Request, x *exchange) *url.URL {
	target := &url.URL{
		Scheme: s.Issuer.UpstreamURL.Scheme, Host: s.Issuer.UpstreamURL.Host,
		Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery,
	}
	if !strings.HasPrefix(x.path, "//") { // which Opaque would make an authority of
		target.Opaque = x.path
	}
	if x.flow != nil {
		target.RawQuery = x.query
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
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &told):
	case errors.Is(err, context.Canceled) && out.Context().Err() != nil:
		s.Log.Debug("client went away", zap.String("request_id", exchangeOf(out).id))
		panic(http.ErrAbortHandler)
	case errors.As(err, &timeout) && timeout.Timeout():
		err = badGateway(http.StatusGatewayTimeout, withoutURL(err))
	default:
		err = badGateway(http.StatusBadGateway, withoutURL(err))
	}
	s.writePage(w, out, err)
}

// withoutURL takes the address, which has the pushed parameters in it, out of an error.
func withoutURL(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}
