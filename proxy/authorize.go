package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
)

// byReference serves a request that carries a reference of ours: at the authorization endpoint a pushed request's (RFC
// 9126 §4), and on any path a continuation's.
func (s *Server) byReference(w http.ResponseWriter, r *http.Request, found presented) error {
	x := exchangeOf(r)

	// 1. Read the two parameters.
	if x.place == atAuthorize && r.Method != http.MethodGet && r.Method != http.MethodPost {
		return methodNotSupported("GET, HEAD, POST")
	}
	if found.body && x.place != atAuthorize {
		return deadLink(errNoContinuation)
	}
	short, err := readShort(r, found)
	if err != nil {
		return err
	}
	x.joins(short.ref)
	if native, err := s.isNative(r, short); err != nil {
		return err
	} else if native {
		x.outcome = metrics.PassedNative
		return s.forward(w, r)
	}

	// 2. Find the flow: the first browser to come gets it, and it is the same one's afterwards. A first visit is
	// bounced, and a form gets the same request as a GET, which its browser can repeat.
	flow, err := s.find(r, short, found)
	if err != nil {
		return err
	}
	if flow == nil {
		return s.bounce(w, r, short, found)
	}

	x.joinsFlow(flow)

	// 3. The client may have changed since the push (RFC 9126 §7.4).
	if err := s.checkStillRegistered(flow); err != nil {
		return err
	}
	if flow.Finished {
		return usedLink(s.wayBack(flow.Flow))
	}

	// 4. Expand and forward.
	if err := readForm(r); err != nil {
		return err
	}
	if err := s.bind(r, flow, short); err != nil {
		return err
	}
	return s.forward(w, r)
}

// find returns the flow of this browser that a reference leads to; nil when the browser is to be bounced first.
func (s *Server) find(r *http.Request, short shortRequest, found presented) (*openFlow, error) {
	x := exchangeOf(r)
	if s.Clients.Lookup(short.clientID) == nil && s.Delegation == DelegateNone {
		return nil, changedBy("CLIENT_AUTH", deadLink(errors.New("client_id is not registered")))
	}
	if x.place == atAuthorize && !found.ticket {
		if cookie, ok := x.cookieOf(short); found.body {
			return nil, nil
		} else if ok {
			return s.open(r, short, cookie)
		}
	}
	if !isNavigation(r) && !isOwnFetch(r) { // the upstream might answer it with a code
		return nil, deadLink(errNotNavigation)
	}
	switch flow, err := s.continuation(r, short); {
	case err != nil || flow != nil:
		return flow, err
	case x.place == atAuthorize && !found.ticket:
		return nil, nil
	}
	return nil, deadLink(errNoContinuation)
}

var (
	errNoContinuation = errors.New("no continuation of this browser's, and away from the authorization endpoint")
	errNotNavigation  = errors.New("neither a navigation nor a request of the upstream's own page")
)

// cookieOf returns the browser's cookie for the reference, if it has one.
func (x *exchange) cookieOf(short shortRequest) (flowCookie, bool) {
	name := x.jar.nameOf(short.ref)
	i := slices.IndexFunc(x.flows, func(c flowCookie) bool { return c.name == name })
	if i < 0 {
		return flowCookie{}, false
	}
	c := x.flows[i]
	return c, c.finished || c.reference == short.ref && c.clientID == short.clientID
}

// open claims the reference for this browser, or finds that it has it. Only a navigation claims: a prefetch or an
// image burns no link.
func (s *Server) open(r *http.Request, short shortRequest, cookie flowCookie) (*openFlow, error) {
	party := pushstore.Party{Issuer: exchangeOf(r).endpoints.issuer, ClientID: short.clientID}
	get := s.Store.Open
	switch {
	case cookie.finished: // it says of itself that there is nothing left to claim
		get = s.Store.Flow
	case isNavigation(r):
	case isOwnFetch(r):
		get = s.Store.Flow
	default: // the upstream might answer it with a code
		return nil, deadLink(errNotNavigation)
	}
	flow, err := get(r.Context(), party, short.ref, cookie.owner())
	switch {
	case errors.Is(err, pushstore.ErrNotFound): // the browser has its cookie, so that it was there
		return nil, changedBy("PAR_TTL and FLOW_TTL", deadLink(err))
	case errors.Is(err, pushstore.ErrTaken):
		return nil, deadLink(err)
	case err != nil:
		return nil, storeTrouble(err, exchangeOf(r).shortURL(short))
	case flow.Reference != short.ref:
		return nil, deadLink(errors.New("a continuation with a cookie of its own"))
	case cookie.finished && !flow.Finished:
		return nil, deadLink(errors.New("the cookie says that the flow is finished, and it is not"))
	}
	opened := s.openFlow(flow, cookie)
	exchangeOf(r).remember(cookie, opened)
	return opened, nil
}

// isNative reports whether a reference that looks like one of ours is one of the upstream's own push endpoint: it is
// not in our store. Where requests must be pushed here, it was not.
func (s *Server) isNative(r *http.Request, short shortRequest) (bool, error) {
	x := exchangeOf(r)
	if x.endpoints.native == "" || s.mustPush() {
		return false, nil
	}
	state, err := s.Store.Look(r.Context(), pushstore.Party{Issuer: x.endpoints.issuer, ClientID: short.clientID}, short.ref)
	if err != nil {
		return false, storeTrouble(err, x.shortURL(short))
	}
	return state == pushstore.Absent, nil
}

// checkStillRegistered: a client that was taken out of the registry since the push, or the redirect_uri of one, is served
// no longer, nor is what it has not signed and would have to sign now.
func (s *Server) checkStillRegistered(flow *openFlow) error {
	c := s.Clients.Lookup(flow.Party.ClientID)
	if c != nil && c.RequireSigned && !flow.Finished && !flow.Request.Signed {
		return changedBy("require_signed_request_object in CLIENTS_FILE", deadLink(errors.New("the client must sign its requests now, and has not signed this one")))
	}
	if !s.mayServe(flow.Party.ClientID, flow.Request) || c != nil && c.RedirectURIs != nil && !c.HasRedirectURI(flow.Request.RedirectURI) {
		return changedBy("redirect_uris in CLIENTS_FILE", deadLink(errors.New("the client or its redirect_uri is no longer registered")))
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z_]{1,32}$`)

// knownAsNames returns the first of those that look like a parameter's name. A value without a name would stand in its
// place, and is not for the log.
func knownAsNames(names []string) []string {
	known := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !namePattern.MatchString(name) })
	return known[:min(len(known), 10)]
}

// wayBack is a link to the application with an error that lets it start anew; empty when the address is not known
// to be the client's.
func (s *Server) wayBack(flow pushstore.Flow) string {
	uri := flow.Request.RedirectURI
	c := s.Clients.Lookup(flow.Party.ClientID)
	u, err := url.Parse(uri)
	if c == nil || err != nil || u.Scheme != "https" && u.Scheme != "http" || !c.HasRedirectURI(uri) {
		return ""
	}
	params := oauth.Params{{Name: "error", Value: oauth.CodeInvalidRequestURI}}
	if flow.Request.State != "" {
		params = append(params, oauth.Param{Name: oauth.ParamState, Value: flow.Request.State})
	}
	if s.AddIssuer {
		params = append(params, oauth.Param{Name: oauth.ParamIss, Value: flow.Party.Issuer})
	}
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + params.Encode()
}

// shortURL is the address of an authorization request by reference, made of its own two values alone.
func (x *exchange) shortURL(short shortRequest) string {
	return x.endpoints.public.String() + x.path + "?" + shortQuery(short.clientID, short.ref, "")
}

// retryURL is the address at which a flow's request is opened once more, wherever in its login the browser is.
func (x *exchange) retryURL(cookie flowCookie) string {
	at := *x
	if x.place != atAuthorize {
		at.path = x.endpoints.authorize[0]
	}
	return at.shortURL(shortRequest{clientID: cookie.clientID, ref: cookie.reference})
}

// storeTrouble: the store cannot answer, so nothing is known of the reference. The link opens it again.
func storeTrouble(cause error, again string) error {
	r := unavailable(oauth.TemporarilyUnavailable("the request cannot be looked up").Because(cause)).leadingTo(again)
	r.outcome = metrics.StoreError
	return r
}

// detached is for what must be known to the end, whether or not the browser waits for it.
func detached(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
