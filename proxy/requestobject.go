package proxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/client"
	"pargate/proxy/jar"
	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// asked is an authorization request as its client makes it.
type asked struct {
	params   oauth.Params
	lifetime time.Duration // how long a browser may take to come
	signed   bool          // the parameters stood in a request object
	expires  time.Time     // of the request object
}

// readRequest returns the request that an authenticated client pushes. With a request object nothing else counts (RFC 9126 §3):
// what stands beside it may repeat it, as some clients do, or may have been added by somebody else.
func (s *Server) readRequest(ctx context.Context, e *endpoints, c *client.Client, params oauth.Params) (asked, error) {
	object := params.Get(oauth.ParamRequest)
	switch {
	case params.Get(oauth.ParamRequestURI) != "": // a push by reference makes no sense (RFC 9126 §2.1, step 2)
		return asked{}, oauth.InvalidRequest("request_uri is not allowed in a pushed request")
	case object != "":
		return s.openObject(ctx, e, c, object)
	case c.RequireSigned:
		return asked{}, oauth.InvalidRequest("this client must push a signed request object, in the parameter request").ChangedBy("require_signed_request_object in CLIENTS_FILE")
	}
	return asked{params: withClientID(params, c.ID), lifetime: s.PushLifetime}, nil
}

// openObject opens a request object of the client (RFC 9101 §6): its signature is verified before anything in it is used,
// or told.
func (s *Server) openObject(ctx context.Context, e *endpoints, c *client.Client, object string) (asked, error) {
	if !c.Signs() {
		return asked{}, oauth.RequestNotSupported().ChangedBy("jwks in CLIENTS_FILE")
	}
	token, err := jar.Read(object)
	if err != nil {
		return asked{}, err
	}
	if err := s.signatures.VerifyRequestObject(ctx, c, token); err != nil {
		return asked{}, err
	}
	now := s.Now()
	request, err := jar.Open(token, jar.Rules{Issuer: e.issuer, ClientID: c.ID, FAPI: s.FAPI, Now: now})
	if err != nil {
		return asked{}, err
	}
	// The request does not outlive its object.
	lifetime := min(s.PushLifetime, request.Expires.Sub(now).Truncate(time.Second))
	return asked{params: request.Params, lifetime: lifetime, signed: true, expires: request.Expires}, nil
}

// signedRequest serves an authorization request that a registered client has signed and not pushed (RFC 9101 §5). It is kept as
// if it had been pushed, and the browser is sent on with its reference, so that everything holds for its login that holds
// for a pushed one. It reports whether the request was one; every other one, also by another reference, is the upstream's
// business, or must have been pushed.
func (s *Server) signedRequest(w http.ResponseWriter, r *http.Request) (is bool, err error) {
	c, object, err := s.findObject(r)
	if c == nil || err != nil {
		return false, err
	}
	x := exchangeOf(r)
	x.authorizes = true
	switch {
	case !isNavigation(r):
		return true, deadLink(errNotNavigation)
	case hasMarker(r.URL.RawQuery):
		return true, malformed(oauth.InvalidRequest("parameter names that begin with pargate are the gateway's own"))
	case x.wouldEvict(r): // before anything is stored
		return true, deadLink(errFrameEvicts)
	}
	// Not in the bucket of its pushes, which nobody else can empty.
	if ok, wait := s.limiter.allow("request objects\x00"+c.ID, x.origin.network()); !ok {
		s.Metrics.RateLimited.Inc(metrics.LimitedRequestObjects)
		return true, oauth.TooManyRequests(wait).ChangedBy("RATE_LIMIT")
	}
	request, err := s.openObject(r.Context(), x.endpoints, c, object)
	if err != nil {
		return true, err
	}
	kept, err := s.validate(x.endpoints, c, request.params)
	if err != nil {
		return true, err
	}
	kept.Signed = true
	party := pushstore.Party{Issuer: x.endpoints.issuer, ClientID: c.ID}
	if err := s.countUse(r.Context(), party, object, request.expires); err != nil {
		return true, err
	}
	ref, err := s.Store.Put(r.Context(), party, kept, request.lifetime)
	if err != nil {
		return true, unavailable(oauth.TemporarilyUnavailable("the request could not be stored").Because(err))
	}
	x.joins(ref)
	x.clientID = c.ID
	s.Log.Info("request object opened", zap.Inline(x), zap.String("client_id", clip(c.ID, 128)))
	return true, s.bounce(w, r, shortRequest{clientID: c.ID, ref: ref}, presented{query: r.Method == http.MethodGet, body: r.Method == http.MethodPost})
}

// maxUses is how many logins one request object begins at the authorization endpoint. Reload and back are some; whoever
// else has its URL, until it is over, could fill the store with more.
const maxUses = 8

// countUse counts one login that an object begins, of all replicas together.
func (s *Server) countUse(ctx context.Context, party pushstore.Party, object string, expires time.Time) error {
	// Without the signature, of which there are several texts.
	digest := sha256.Sum256([]byte(object[:strings.LastIndexByte(object, '.')]))
	holder := "request objects " + party.Issuer + " " + party.ClientID
	for n := range maxUses {
		first, err := s.Store.Mark(ctx, holder, holder+" "+string(digest[:])+strconv.Itoa(n), expires.Sub(s.Now()))
		if err != nil {
			return unavailable(oauth.TemporarilyUnavailable("the request could not be stored").Because(err))
		}
		if first {
			return nil
		}
	}
	return deadLink(errors.New("the request object has begun all the logins that one may"))
}

// findObject returns the request object of a request to the authorization endpoint, and the registered client that has
// signed it as far as the request says so; no client when the object is not to be opened here.
func (s *Server) findObject(r *http.Request) (*client.Client, string, error) {
	x := exchangeOf(r)
	if x.place != atAuthorize || r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, "", nil
	}
	query, form := r.URL.RawQuery, x.form
	id, ok := onlyValue(oauth.ParamClientID, query, form)
	c := s.Clients.Lookup(id)
	switch { // an empty value counts as absent (RFC 6749 §3.1)
	case !hasValue(oauth.ParamRequest, query, form) || !ok || c == nil || !c.Signs() || s.PARRequired || c.RequirePAR:
		return nil, "", nil
	case hasValue(oauth.ParamRequestURI, query, form):
		return nil, "", malformed(oauth.InvalidRequest("request and request_uri exclude each other").Because(errors.New("a request object beside a reference")))
	}
	object, ok := onlyValue(oauth.ParamRequest, query, form)
	if !ok {
		return nil, "", malformed(oauth.InvalidRequest("request must be there exactly once"))
	}
	return c, object, nil
}

// hasValue reports whether a parameter is there that is not empty, in any spelling, in one of the encoded texts.
func hasValue(name string, encoded ...string) bool {
	for _, text := range encoded {
		for pair := range rewrite.Pairs(text) {
			if oauth.Fold(pair.Name) == name && pair.Value != "" {
				return true
			}
		}
	}
	return false
}

// onlyValue returns the value of a parameter that is there exactly once, in one of the encoded texts.
func onlyValue(name string, encoded ...string) (value string, ok bool) {
	count := 0
	for _, text := range encoded {
		count += occurrences(text, name)
		if found, there := strictValue(text, name); there {
			value, ok = found, true
		}
	}
	return value, ok && count == 1
}
