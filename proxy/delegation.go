package proxy

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"pargate/proxy/client"
	"pargate/pushstore"
)

// Delegation says which clients are authenticated by asking the upstream.
type Delegation int

const (
	DelegateNone   Delegation = iota // those of the client file alone may push
	DelegateOthers                   // those that are not in the client file
	DelegateAll                      // every one
)

// newClientAuth makes what decides whether a push comes from its client.
func (s *Server) newClientAuth(transport http.RoundTripper) (authenticator, error) {
	source := func(ctx context.Context) string { return exchangeIn(ctx).origin.network() }
	file, err := client.NewAuthenticator(client.Options{
		Clients: s.Clients, Marks: s.Store, Log: s.Log, Metrics: s.Metrics, Audience: s.Audience, Algorithms: s.signingAlgorithms(), Roots: s.ClientRoots,
		AllowPrivateKeySets: s.AllowPrivateKeySets, KeySetRoots: s.KeySetRoots, Now: s.Now, Source: source,
		WrapKeySets: s.tracedKeySets(),
	})
	s.signatures = file
	if err != nil || s.Delegation == DelegateNone {
		return file, err
	}
	s.delegate, err = client.NewDelegate(client.DelegateOptions{
		Transport: transport, Endpoints: s.probeEndpoints, Prepare: s.prepareProbe, Accept: s.ProbeAccept,
		Assertions: func(ctx context.Context, clientID string) client.AssertionRules {
			rules := client.AssertionRules{Audience: s.Audience, Algorithms: s.signingAlgorithms(), At: exchangeIn(ctx).endpoints.asServer()}
			if c := s.Clients.Lookup(clientID); c != nil && c.Audience != "" {
				rules.Audience = c.Audience
			}
			return rules
		},
		Mark: func(ctx context.Context, holder, id string, life time.Duration) (bool, error) {
			issuer := exchangeIn(ctx).endpoints.issuer // a store may serve several
			return s.Store.Mark(ctx, issuer+" "+holder, issuer+" "+id, life)
		},
		Log: s.Log, Metrics: s.Metrics, Now: s.Now,
		Source:      source,
		RedirectURI: func(ctx context.Context) string { return exchangeIn(ctx).redirectURI },
	})
	if s.Delegation == DelegateAll {
		return client.Ask{Clients: s.Clients, Upstream: s.delegate}, err
	}
	return client.Auto{File: file, Upstream: s.delegate}, err
}

// asServer is what assertions for this server are addressed to.
func (e *endpoints) asServer() client.Server {
	return client.Server{Issuer: e.issuer, TokenEndpoint: e.token, PushEndpoint: e.pushURL()}
}

// exchangeIn returns the exchange of a push; outside of one, an empty one.
func exchangeIn(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

// probeEndpoints are the endpoints at which the upstream can be asked about a client.
func (s *Server) probeEndpoints() client.Endpoints {
	e := s.upstream.known()
	if e == nil {
		return client.Endpoints{}
	}
	return client.Endpoints{Token: s.atUpstream(e, e.token), Revocation: s.atUpstream(e, e.revocation), Introspection: s.atUpstream(e, e.introspection)}
}

// atUpstream is the upstream's own address of an endpoint; empty when it has none on the public host.
func (s *Server) atUpstream(e *endpoints, endpoint string) string {
	u, err := e.onPublicHost("endpoint", endpoint)
	if endpoint == "" || err != nil {
		return ""
	}
	at := url.URL{Scheme: s.Issuer.UpstreamURL.Scheme, Host: s.Issuer.UpstreamURL.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return at.String()
}

// prepareProbe gives a probe the headers of a request that is forwarded for the client.
func (s *Server) prepareProbe(req *http.Request) {
	x := exchangeIn(req.Context())
	if e := s.upstream.known(); e != nil {
		req.Host = e.public.Host
		req.Header["X-Forwarded-Proto"] = []string{e.public.Scheme}
		req.Header["X-Forwarded-Host"] = []string{e.public.Host}
	}
	if x.origin.chain != "" {
		req.Header["X-Forwarded-For"] = []string{x.origin.chain}
	}
	if x.id != "" {
		req.Header["X-Request-Id"] = []string{x.id}
	}
	req.Header[hopHeader] = []string{s.hop}
}

// mayServe reports whether a client that is not in the client file, or no longer, may sign its users in.
func (s *Server) mayServe(clientID string, request pushstore.Request) bool {
	return s.Clients.Lookup(clientID) != nil || s.Delegation != DelegateNone && !request.Listed
}

// ExplainDelegation tells how the upstream answers about clients that do not exist; nil when it is not asked about any.
func (s *Server) ExplainDelegation(ctx context.Context) []client.Finding {
	if s.delegate == nil {
		return nil
	}
	if s.upstream.known() == nil {
		s.upstream.refresh(ctx)
	}
	return s.delegate.Explain(ctx)
}
