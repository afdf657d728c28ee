package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.uber.org/zap"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// openFlow is a flow of this browser, with the cookie that says so.
type openFlow struct {
	pushstore.Flow
	cookie flowCookie
}

// authorize is the authorization endpoint for a request by reference (RFC 9126 §4).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, found presented) error {
	x := exchangeOf(r)

	// 1. Read the two parameters. A form gets the same request as a GET, which its browser can repeat.
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return methodNotSupported("GET, HEAD, POST")
	}
	short, err := readShort(r, found)
	if err != nil {
		return err
	}
	if native, err := s.isNative(r, short); err != nil {
		return err
	} else if native {
		return s.forward(w, r)
	}
	c := s.Clients.Lookup(short.clientID)
	if c == nil {
		return deadLink(errors.New("client_id is not registered"))
	}

	// 2. A browser that has no cookie of this flow gets one, and claims nothing yet.
	cookie, ok := x.cookieOf(short)
	if !ok || found.body {
		return s.bounce(w, r, short, found, ok)
	}

	// 3. Open: for the first browser, and again for the same one.
	flow, err := s.open(r, short, cookie)
	if err != nil {
		return err
	}

	// 4. The client may have changed since the push (RFC 9126 §7.4).
	if err := checkStillRegistered(c, flow); err != nil {
		return err
	}
	if flow.Finished {
		return usedLink(s.wayBack(c, flow.Flow))
	}

	// 5. Nothing in a form may stand against what was pushed.
	if err := checkFormBesideReference(r); err != nil {
		return err
	}

	// 6. Expand and forward.
	s.expand(r, flow)
	return s.forward(w, r)
}

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
		return nil, deadLink(errors.New("neither a navigation nor a request of the upstream's own page"))
	}
	flow, err := get(r.Context(), party, short.ref, cookie.owner())
	switch {
	case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken):
		return nil, deadLink(err)
	case err != nil:
		return nil, storeTrouble(err, exchangeOf(r).shortURL(short))
	case cookie.finished && !flow.Finished:
		return nil, deadLink(errors.New("the cookie says that the flow is finished, and it is not"))
	}
	return &openFlow{Flow: flow, cookie: cookie}, nil
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

func checkStillRegistered(c *client.Client, flow *openFlow) error {
	if c.RedirectURIs != nil && !c.HasRedirectURI(flow.Request.RedirectURI) {
		return deadLink(errors.New("redirect_uri is no longer registered"))
	}
	return nil
}

// checkFormBesideReference lets a login form through, byte for byte, that was posted to the address with the
// reference. Parameters of an authorization request in it could stand against the pushed ones.
func checkFormBesideReference(r *http.Request) error {
	x := exchangeOf(r)
	if err := x.checkForm(); err != nil {
		return err
	}
	if names := authorizationNames(x.form); len(names) > 0 {
		return malformed(oauth.InvalidRequest("the form repeats parameters of the pushed request").Because(
			errors.New("the form has " + firstOf(names))))
	}
	return nil
}

// expand puts the pushed request into the place of the reference.
func (s *Server) expand(r *http.Request, flow *openFlow) {
	x := exchangeOf(r)
	query, dropped := rewrite.Expand(x.endpoints.authorizeQuery[x.path], flow.Request.Query, r.URL.RawQuery,
		func(name string) bool { return s.resume[name] })
	x.flow, x.query = flow, query
	dropped = slices.DeleteFunc(dropped, func(name string) bool {
		return name == oauth.ParamClientID || name == oauth.ParamRequestURI || oauth.IsOwnName(name)
	})
	if names := knownAsNames(dropped); len(dropped) > 0 {
		s.Log.Info("parameters beside the request_uri were dropped; RESUME_PARAMS keeps those that a login needs",
			zap.String("request_id", x.id), zap.String("flow", pushstore.Digest(flow.Reference)), zap.Strings("names", names), zap.Int("others", len(dropped)-len(names)))
	}
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
func (s *Server) wayBack(c *client.Client, flow pushstore.Flow) string {
	uri := flow.Request.RedirectURI
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !c.HasRedirectURI(uri) {
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
	params := oauth.Params{
		{Name: oauth.ParamClientID, Value: short.clientID},
		{Name: oauth.ParamRequestURI, Value: oauth.RequestURIPrefix + string(short.ref)},
	}
	return x.endpoints.public.String() + x.path + "?" + params.Encode()
}

// storeTrouble: the store cannot answer, so nothing is known of the reference. The link opens it again.
func storeTrouble(cause error, again string) error {
	return unavailable(oauth.TemporarilyUnavailable("the request cannot be looked up").Because(cause)).leadingTo(again)
}

// detached is for what must be known to the end, whether or not the browser waits for it.
func detached(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
