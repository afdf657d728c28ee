package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// outgoing is a request of a flow as it goes upstream.
type outgoing struct {
	query    string
	form     string
	hasForm  bool // form replaces the body
	byPOST   bool // whatever the browser's method
	pristine bool // nothing in it is the browser's
}

// bindNamed binds a request without a reference that names a flow of this browser, and reports whether it does: on a
// protected path by query and form, and where requests must be pushed on any path by a form that makes it a whole
// request. Such a one that names no flow is refused.
func (s *Server) bindNamed(r *http.Request) (bool, error) {
	x := exchangeOf(r)
	if x.endpoints == nil || len(x.liveCookies()) == 0 {
		return false, nil
	}
	elsewhere := !x.place.protected()
	if elsewhere {
		if whole, err := s.readWholeRequest(r); err != nil || !whole {
			return false, err
		}
	}
	flow, err := s.identify(r, slices.AppendSeq(slices.Collect(rewrite.Pairs(r.URL.RawQuery)), rewrite.Pairs(x.form)))
	switch {
	case err != nil:
		return false, storeTrouble(err, "")
	case flow == nil && elsewhere && s.PARRequired:
		return false, changedBy(s.whoRequires(), notPushed(errors.New("a form with a whole request, away from the authorization endpoint")))
	case flow == nil:
		return false, nil
	}
	if err := s.checkStillRegistered(flow); err != nil {
		return false, err
	}
	return true, s.bind(r, flow, shortRequest{})
}

// readWholeRequest reads a form on a path that is not protected, and reports whether it makes the request a whole
// authorization request: a consent form with an address of its own, or another way to the authorization endpoint than its
// path (/index.php?r=...). Such a one is refused as multipart, which could not be bound.
func (s *Server) readWholeRequest(r *http.Request) (bool, error) {
	x := exchangeOf(r)
	if !s.mustPush() || x.place != elsewhere || !hasBody(r) {
		return false, nil
	}
	mediaType := mediaTypeOf(r.Header)
	switch {
	case len(r.Header["Content-Type"]) > 1:
		return false, oauth.UnsupportedMediaType("send one Content-Type")
	case mediaType == formType && isPlain(r.Header): // whatever it says of its charset
		if r.ContentLength > maxLoginForm {
			return false, bodyTooLarge(maxLoginForm)
		}
		if err := x.readForm(r); err != nil {
			return false, err
		}
		if err := x.checkForm(r.Header); err != nil {
			return false, err
		}
		return isWholeRequest(authorizationNames(r.URL.RawQuery, x.form)), nil
	case mediaType == "multipart/form-data" && isPlain(r.Header):
		names, err := peekNames(r)
		maps.Copy(names, authorizationNames(r.URL.RawQuery))
		if err == nil && isWholeRequest(names) {
			err = oauth.UnsupportedMediaType("send a form: " + formType)
		}
		return false, err
	}
	return false, nil
}

// isWholeRequest reports whether the names make an authorization request: the other parameters may stand in an object or
// behind a reference (RFC 9101 §5).
func isWholeRequest(names map[string]bool) bool {
	return names[oauth.ParamClientID] &&
		(names[oauth.ParamResponseType] || names[oauth.ParamRedirectURI] || names[oauth.ParamRequest] || names[oauth.ParamRequestURI])
}

// bind makes the request to be sent upstream: what was pushed has its pushed value, and nothing of an authorization
// request is there that was not pushed, wherever the browser has written it. Nothing is refused for being different:
// frameworks encode anew, browsers change line ends, and one server's consent form always posts claims. short is the
// reference with which the request came; zero: it has none, and names the flow.
func (s *Server) bind(r *http.Request, flow *openFlow, short shortRequest) error {
	x := exchangeOf(r)
	// A body on a protected path must be one that can be judged; elsewhere one that cannot is the upstream's business.
	if err := x.checkForm(r.Header); err != nil && (x.place.protected() || x.formState == formTooLong) {
		return err
	}
	if short.ref == "" {
		flow = s.atItsPage(r, flow)
	}
	x.flow, x.outcome = flow, metrics.Expanded
	if short.ref == "" {
		x.outcome = metrics.Bound
	}
	x.joinsFlow(flow)
	var changed []string
	var err error
	if s.AuthorizeByPOST && x.place == atAuthorize {
		changed, err = s.bindToForm(r, flow, short)
	} else {
		changed = s.bindInPlace(r, flow, short)
	}
	if err != nil {
		return err
	}
	s.tellChanges(x, flow, changed)
	return nil
}

// bindInPlace leaves every parameter where the browser's request has it. What the form has is in an expanded query as well:
// some servers read the one, some the other, and none may miss what the browser has moved or taken away.
func (s *Server) bindInPlace(r *http.Request, flow *openFlow, short shortRequest) (changed []string) {
	x := exchangeOf(r)
	pushed := flow.pushed.With(flow.difference())
	inQuery := short.ref != "" || pushed.Concerns(r.URL.RawQuery)
	out := &outgoing{query: r.URL.RawQuery, pristine: isPristine(r, short)}
	if x.formState == formRead {
		out.form, changed = pushed.BindForm(x.form, false)
		out.hasForm = true
	}
	if inQuery {
		var dropped []string
		out.query, dropped = rewrite.Expand(x.endpoints.authorizeQuery[x.path], pushed.Query(), r.URL.RawQuery, s.vocabulary.IsResume)
		if !x.place.protected() {
			others := pushed.Others(r.URL.RawQuery)
			out.query = strings.Trim(out.query+"&"+others, "&")
		}
		changed = append(changed, dropped...)
	}
	x.out = out
	return changed
}

// atItsPage returns the flow with the difference of the continuation at which the page stands that a form without a
// reference was sent from: some servers take prompt out of their address once it has been done, and do not repeat it in
// their consent form, in which it would begin again. Only a continuation that the gateway has made can say so.
func (s *Server) atItsPage(r *http.Request, flow *openFlow) *openFlow {
	referer, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || !sameOrigin(referer, exchangeOf(r).endpoints.public) {
		return flow
	}
	uri, _ := strictValue(referer.RawQuery, oauth.ParamRequestURI)
	ref, ok := parseRequestURI(uri)
	if !ok {
		return flow
	}
	at, err := s.continuation(r, shortRequest{clientID: flow.Party.ClientID, ref: ref})
	if err != nil || at == nil || at.Reference != flow.Reference {
		return flow // and everything that was pushed is sent
	}
	return at
}

// bindToForm puts everything into the form, and a ticket into the query.
func (s *Server) bindToForm(r *http.Request, flow *openFlow, short shortRequest) (changed []string, err error) {
	x := exchangeOf(r)
	ticket := short.ref // a continuation that changes something is its own ticket
	if ticket == "" || flow.Difference == "" {
		if ticket, err = s.continueFlow(r, flow, flow.difference()); err != nil {
			return nil, err
		}
	}
	out := &outgoing{query: s.ticketQuery(r, flow, ticket), hasForm: true, byPOST: true, pristine: isPristine(r, short)}
	pushed := flow.pushed.With(authorizationPart(flow.difference()))
	out.form, changed = pushed.BindForm(x.form, true)
	if r.Method == http.MethodGet {
		changed = nil // there was nothing that could be changed
	}
	x.out = out
	return changed, nil
}

// isPristine reports whether a request has nothing of the browser's but a reference of ours, and a path that the server
// gives out itself.
func isPristine(r *http.Request, short shortRequest) bool {
	x := exchangeOf(r)
	if short.ref == "" || r.Method != http.MethodGet || x.formState != formAbsent || !x.place.protected() {
		return false
	}
	for pair := range rewrite.Pairs(r.URL.RawQuery) {
		if name := oauth.Fold(pair.Name); name != oauth.ParamClientID && name != oauth.ParamRequestURI && !oauth.IsOwnName(name) {
			return false
		}
	}
	return true
}

// tellChanges counts what was not as it was pushed, and names it in the log.
func (s *Server) tellChanges(x *exchange, flow *openFlow, changed []string) {
	changed = slices.DeleteFunc(changed, func(name string) bool {
		return name == oauth.ParamClientID || name == oauth.ParamRequestURI || oauth.IsOwnName(name)
	})
	if len(changed) == 0 {
		return
	}
	slices.Sort(changed)
	changed = slices.Compact(changed)
	s.countChanges(flow, changed)
	names := knownAsNames(changed)
	s.Log.Info("parameters of a request in a flow were overwritten, put back or dropped; RESUME_PARAMS keeps those that a login needs",
		zap.Inline(x), zap.Strings("names", names), zap.Int("others", len(changed)-len(names)))
}

// countChanges counts each name once for the request. What is neither pushed nor of an authorization request was taken for no
// resume key.
func (s *Server) countChanges(flow *openFlow, changed []string) {
	for _, name := range changed {
		if folded := oauth.Fold(name); flow.pushed.Concerns(oauth.Escape(name)) {
			s.Metrics.Overwritten.Inc(folded)
		} else {
			s.Metrics.ResumeKeyDropped()
		}
	}
}

// applyTo changes the outbound request.
func (o *outgoing) applyTo(out *http.Request) {
	out.URL.RawQuery = o.query
	if !o.hasForm {
		return
	}
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(strings.NewReader(o.form)), int64(len(o.form)), nil
	out.Trailer = nil
	if o.byPOST && out.Method != http.MethodPost {
		out.Method = http.MethodPost
		out.Header["Content-Type"] = []string{formType}
	}
}

// endlessLogin: more was added to a request on its trip than a login needs.
func endlessLogin(cause error) *refusal {
	err := &oauth.Error{Status: http.StatusBadGateway, Code: oauth.CodeServerError, Description: "the login does not come to an end"}
	return &refusal{told: err.Because(cause), page: pageEndlessLogin}
}
