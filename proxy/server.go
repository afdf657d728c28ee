package proxy

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"pargate/proxy/client"
	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// Options are what a Server is made of. Fields without a stated zero value are required.
type Options struct {
	Issuer  Issuer
	Store   pushstore.Store
	Clients *client.Registry // nil: there are none, and nobody can push
	Log     *zap.Logger      // nil: no log
	Metrics *metrics.Metrics // of this Server alone; nil: nothing is exported. Its Claimed is the store's to call
	Tracer  trace.Tracer     // nil: no spans

	Audience            client.Audience       // of client assertions; empty means client.AudienceRFC9126
	ClientCertHeader    string                // in which a trusted proxy hands on the client's certificate; empty: in none
	ClientRoots         func() *x509.CertPool // authorities that issue clients' certificates; nil: none does
	AllowPrivateKeySets bool                  // a jwks_uri may lead to loopback and private addresses
	KeySetRoots         *x509.CertPool        // authorities for a jwks_uri; nil: the system's

	Delegation  Delegation // which clients the upstream is asked about; zero means none
	ProbeAccept []string   // error codes at the upstream's token endpoint that say as much as invalid_grant; nil: none

	// FAPI holds clients and their requests to the FAPI 2.0 Security Profile (fapi.go). It implies client.AudienceIssuer,
	// PARRequired, AddIssuer and Advertise, and wants Clients that were read under it (client.Rules). False: what the other
	// fields say.
	FAPI bool

	PARRequired   bool          // of every client; a client may require it for itself
	PushLifetime  time.Duration // expires_in, in whole seconds; zero means 60 s
	FlowLifetime  time.Duration // how long a login may take, and the cookie's life; zero means 30 min
	MaxPushBytes  int64         // of a push's body; zero means 64 KiB
	MaxQueryBytes int64         // of the parameters that go upstream; zero means 8 KiB, and with AuthorizeByPOST MaxPushBytes
	CORSOrigins   []string      // whose scripts may push
	PushRate      float64       // pushes per second of one client at one address; zero means no limit

	PatchMetadata bool     // add PAR to the metadata that the upstream publishes
	AddIssuer     bool     // add iss to authorization responses of flows that lack it (RFC 9207)
	Advertise     bool     // say so in the metadata
	ResumeParams  []string // resume keys beside the well-known ones

	AuthorizeByPOST bool // the parameters of an authorization request go upstream in a form, behind a ticket
	DryRun          bool // ask the upstream about a confidential client's push, without a user, and refuse what it would refuse

	TrustedProxies  []netip.Prefix        // whose X-Forwarded-For is believed
	TrustSockets    bool                  // and that of whoever comes through a unix socket
	MaxResponses    int                   // of the upstream that are on their way at once, a quarter of them to one network; zero means 2048
	UpstreamTimeout time.Duration         // until the upstream's response headers; zero means 30 s
	BodyTimeout     time.Duration         // for a body that the gateway itself reads or refuses to arrive; zero means 10 s
	WriteTimeout    time.Duration         // for a client to take what it is sent at a time, not for all of a response; zero means 30 s
	UpstreamRoots   func() *x509.CertPool // asked for every new connection; nil: the system's

	Now func() time.Time // nil: time.Now
}

// Server is the gateway. It serves once New has returned it, and knows its upstream once Run has learned it.
type Server struct {
	Options
	upstream   *upstream
	clientAuth authenticator
	signatures *client.Authenticator // verifies what clients of the file have signed
	delegate   *client.Delegate      // nil: the upstream is not asked about clients
	dryRun     *dryRun               // nil: the upstream is not asked about requests
	proxy      *httputil.ReverseProxy
	cookieJars map[string]*cookieJar // by the scheme of the public origin
	proxies    trustedProxies
	limiter    *limiter
	admission  Shares
	vocabulary *rewrite.Vocabulary
	hop        string // names this process, for hopHeader

	toldOfProxy sync.Once
}

// New returns a gateway. It opens no connection.
func New(o Options) (*Server, error) {
	switch {
	case o.Issuer.UpstreamURL == nil || o.Issuer.UpstreamURL.Host == "":
		return nil, errors.New("proxy: no upstream URL")
	case o.Store == nil:
		return nil, errors.New("proxy: no store")
	}
	o.setDefaults()
	switch {
	case o.FAPI && !o.Clients.HoldsFAPI():
		return nil, errors.New("proxy: the client file was not read under the FAPI profile")
	case o.FAPI && o.PushLifetime >= 600*time.Second: // FAPI 2.0 Security Profile §5.3.2.2
		return nil, errors.New("proxy: a request_uri lives less than 600 s under the FAPI profile")
	}
	o.Store = observedStore{o.Store, o.Metrics, o.Tracer}
	s := &Server{Options: o, proxies: trustedProxies{networks: o.TrustedProxies, sockets: o.TrustSockets}, limiter: newLimiter(o.PushRate, o.Now), hop: rand.Text(),
		admission: Shares{Total: maxRequests, Each: maxRequestsOfOne, Free: o.TrustedProxies}}
	resume := map[string]bool{}
	for _, name := range append([]string{"login_verifier", "consent_verifier", "g_continue"}, o.ResumeParams...) {
		if folded := oauth.Fold(name); oauth.IsAuthorizationRequestName(folded) || oauth.IsNeverKept(folded) || oauth.IsOwnName(folded) {
			return nil, fmt.Errorf("proxy: %s cannot be a resume parameter", name)
		}
		resume[name] = true
	}
	s.vocabulary = newVocabulary(resume)
	transport := newTransport(o.UpstreamTimeout, o.UpstreamRoots)
	observed := func(span string, asked func(*http.Request) metrics.Asked) http.RoundTripper {
		return observedTransport{s.traced(transport, span), o.Metrics, asked}
	}
	var err error
	probes := newBulkhead(observed(spanProbe, askedAs(metrics.AskedProbe)), metrics.SlotProbe, probeSlots, probeQueue, o.Metrics)
	if s.clientAuth, err = s.newClientAuth(probes); err != nil {
		return nil, err
	}
	if o.DryRun {
		s.dryRun = newDryRun(probes)
	}
	s.upstream = &upstream{
		issuer: o.Issuer,
		policy: policy{patchMetadata: o.PatchMetadata, requirePAR: o.PARRequired, advertiseISS: o.AddIssuer && o.Advertise,
			fapi: o.FAPI, openedAlgorithms: s.openedAlgorithms},
		client:  &http.Client{Transport: observed(spanDocument, askedAs(metrics.AskedMetadata)), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		hop:     s.hop,
		log:     o.Log,
		metrics: o.Metrics,
	}
	s.cookieJars = map[string]*cookieJar{"https": newCookieJar(true, o.FlowLifetime, o.Now), "http": newCookieJar(false, o.FlowLifetime, o.Now)}
	forward := newBulkhead(observed(spanUpstream, askedFor), metrics.SlotForward, forwardSlots, forwardQueue, o.Metrics).
		withUploads(uploadSlots, o.TrustedProxies).withStreams(o.MaxResponses, o.TrustedProxies)
	s.proxy = s.newReverseProxy(forward)
	s.readings(forward, probes)
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New(nil)
	}
	if o.Clients == nil {
		o.Clients = new(client.Registry)
	}
	if o.FAPI {
		o.Audience, o.PARRequired, o.AddIssuer, o.Advertise = client.AudienceIssuer, true, true, true
	}
	if o.Audience == "" {
		o.Audience = client.AudienceRFC9126
	}
	if o.PushLifetime == 0 {
		o.PushLifetime = time.Minute
	}
	if o.FlowLifetime == 0 {
		o.FlowLifetime = 30 * time.Minute
	}
	if o.MaxPushBytes == 0 {
		o.MaxPushBytes = 64 << 10
	}
	if o.MaxQueryBytes == 0 {
		o.MaxQueryBytes = 8 << 10
		if o.AuthorizeByPOST {
			o.MaxQueryBytes = o.MaxPushBytes
		}
	}
	if o.UpstreamTimeout == 0 {
		o.UpstreamTimeout = 30 * time.Second
	}
	if o.BodyTimeout == 0 {
		o.BodyTimeout = 10 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.MaxResponses == 0 {
		o.MaxResponses = maxResponses
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Close gives back the idle connections to the upstream. The store is its owner's to close.
func (s *Server) Close() { s.upstream.client.CloseIdleConnections() }

// Run learns the upstream's endpoints and keeps them, and the connections to it, fresh until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.upstream.renewConnections(ctx, connectionAge) })
	s.upstream.run(ctx)
	running.Wait()
}

// Ready returns what keeps the gateway from serving, by name; nil when nothing does. Trouble of the upstream after
// its endpoints are known is not among it: taking every replica out would make a partial failure a total one.
func (s *Server) Ready(ctx context.Context) map[string]string {
	var reasons map[string]string
	add := func(name, reason string) {
		if reasons == nil {
			reasons = map[string]string{}
		}
		reasons[name] = reason
	}
	if err := s.Store.Ping(ctx); err != nil {
		add("store", err.Error())
	}
	if trouble := s.upstream.trouble(); trouble != "" {
		add("upstream", trouble)
	} else if s.upstream.known() == nil {
		add("upstream", "its endpoints are not known yet")
	}
	return reasons
}

// cookieJarOf returns the jar for the public origin of e.
func (s *Server) cookieJarOf(e *endpoints) *cookieJar { return s.cookieJars[e.public.Scheme] }

// mustPush reports whether there is a request that must be pushed, or signed.
func (s *Server) mustPush() bool { return s.PARRequired || s.Clients.AnyRefusesPlain() }
