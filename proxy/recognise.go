package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"pargate/proxy/metrics"
	"pargate/rewrite"
)

// sentResponse is an authorization response that an upstream's answer carries.
type sentResponse struct {
	rewrite.Response
	form    *rewrite.Form // of the page, whose fields it is; nil: it is an address
	refresh bool          // the address is that of a refresh; else it is the Location
}

// authorizationResponse is an authorization response of this browser's that the gateway has recognised.
type authorizationResponse struct {
	sentResponse
	id      string    // random: it tells this response from a second one
	flow    *openFlow // whose it is; nil when it is nobody's, or could be several flows'
	several bool      // it could be several flows'
}

// errHeadResponse means that a HEAD was answered with an authorization response, which is not passed on.
var errHeadResponse = deadLink(errors.New("an authorization response to a HEAD"))

// recognise finds out whether this is an authorization response of one of the browser's flows: a Location, whatever
// the status (one server in use sends 400 with one), a form of the page or a refresh, that leads to a pushed redirect_uri.
func (r *reply) recognise() error {
	if len(r.cookies) == 0 && !r.server.PARRequired || r.x.endpoints == nil {
		return nil
	}
	r.sent = r.parse()
	if len(r.cookies) == 0 || !slices.ContainsFunc(r.sent, r.mayLeadToClient) {
		return nil
	}
	flows, err := r.flows()
	if err != nil {
		r.server.Metrics.Responses.Inc(metrics.ResponseStoreError)
		return r.withhold(err)
	}
	for _, sent := range r.sent {
		var matching []*openFlow
		for _, flow := range flows {
			if r.mayLeadToClient(sent) && sent.LeadsTo(flow.Request.RedirectURI) {
				matching = append(matching, flow)
			}
		}
		switch {
		case len(matching) == 0:
			continue
		case r.Request.Method == http.MethodHead:
			return errHeadResponse // a GET will come, and that one ends the flow
		case r.response != nil && !r.response.sameAs(sent):
			return badGateway(http.StatusBadGateway, errors.New("the page has two authorization responses"))
		case r.response == nil:
			r.response = &authorizationResponse{sentResponse: sent, id: rand.Text()}
			r.response.flow, r.response.several = r.pick(sent.Response, matching)
		}
	}
	return nil
}

// parse finds the authorization responses that the upstream's answer carries, whosever they are.
func (r *reply) parse() []sentResponse {
	if location := r.Header.Get("Location"); location != "" {
		response, ok := rewrite.ParseResponse(rewrite.Resolve(r.x.endpoints.public, r.x.path, location))
		if ok {
			return []sentResponse{{Response: response}}
		}
	}
	sent := r.parseRefresh(rewrite.Refresh{Value: r.Header.Get("Refresh")})
	if r.page == nil {
		return sent
	}
	for _, refresh := range r.page.refreshes {
		sent = append(sent, r.parseRefresh(refresh)...)
	}
	return append(r.parseForms(r.page.forms), sent...) // the form first: it gets iss
}

// parseRefresh finds the one in a refresh, with which some servers send a browser on.
func (r *reply) parseRefresh(refresh rewrite.Refresh) []sentResponse {
	address, ok := rewrite.RefreshAddress(refresh.Value)
	if !ok {
		return nil
	}
	response, ok := rewrite.ParseResponse(r.resolve(refresh.Base, address))
	if !ok {
		return nil
	}
	return []sentResponse{{Response: response, refresh: true}}
}

// maxActions is how many addresses of one form are looked at.
const maxActions = 32

// parseForms finds those in the forms of a page: in their fields, or in the address that they are sent to.
func (r *reply) parseForms(forms []rewrite.Form) (sent []sentResponse) {
	for i := range forms {
		form := &forms[i]
		actions := slices.Compact(slices.Clone(form.Actions))
		for _, action := range actions[:min(len(actions), maxActions)] {
			address := r.resolve(form.Base, action)
			response, ok := rewrite.ParseForm(address, form.Fields)
			if !ok {
				response, ok = rewrite.ParseResponse(address)
			}
			if !ok {
				continue
			}
			found := sentResponse{Response: response, form: form}
			if !response.OnOrigin(r.x.endpoints.public) || r.mayLeadToClient(found) {
				sent = append(sent, found)
			}
		}
	}
	return sent
}

// hasResponseForm reports whether what has come of a page has a form with an authorization response.
func (r *reply) hasResponseForm(read []byte) bool {
	return r.x.endpoints != nil && len(r.parseForms(rewrite.Forms(read))) > 0
}

// resolve returns an address as a browser reads it on this page, whose base element may say something else.
func (r *reply) resolve(base, address string) string {
	origin, path := r.x.endpoints.public, r.x.path
	if base != "" {
		if at, err := url.Parse(rewrite.Resolve(origin, path, base)); err == nil && at.Host != "" {
			origin, path = originURL(at), pathOf(at)
		}
	}
	return rewrite.Resolve(origin, path, address)
}

// sameAs reports whether two responses of one page are the same, as when one is for browsers without script: two forms that
// send the same, or a refresh beside another with the same state.
func (s sentResponse) sameAs(other sentResponse) bool {
	if s.refresh || other.refresh {
		return s.State == other.State
	}
	return s.form != nil && other.form != nil && s.Response.Same(other.Response) && slices.Equal(s.form.Fields, other.form.Fields)
}

// mayLeadToClient reports whether the response can be one to a client: one on our own origin (a login page's own
// ?error) is none, unless a client of the browser's flows is registered there.
func (r *reply) mayLeadToClient(response sentResponse) bool {
	if !response.OnOrigin(r.x.endpoints.public) {
		return true
	}
	for _, cookie := range r.cookies {
		c := r.server.Clients.Lookup(cookie.clientID)
		if c != nil && slices.ContainsFunc(c.RedirectURIs, response.LeadsTo) {
			return true
		}
	}
	return false
}

// pick finds the flow of a response among those with its redirect_uri: by state, which may be another tab's; without
// one by the request's reference, else the only one that pushed no state. Of several with one state it is the
// reference's, else, where the client must push, the newest: one of them ends with each response. several reports that
// none is told from the others.
func (r *reply) pick(response rewrite.Response, matching []*openFlow) (flow *openFlow, several bool) {
	var candidates []*openFlow
	for _, flow := range matching {
		if response.HasState(flow.Request.State) || response.Signed && response.State == "" { // its state is in the JWT
			candidates = append(candidates, flow)
		}
	}
	own := func(flows []*openFlow) *openFlow {
		for _, flow := range flows {
			if r.x.flow != nil && flow.Reference == r.x.flow.Reference {
				return flow
			}
		}
		return nil
	}
	switch {
	case response.State == "" && own(matching) != nil:
		return own(matching), false
	case response.State == "" && response.Error:
		return nil, len(candidates) > 0
	case len(candidates) == 1:
		return candidates[0], false
	}
	flow = own(candidates)
	if flow == nil && len(candidates) > 0 && (response.State != "" || response.Signed) && r.server.requiresPush(candidates[0].Party.ClientID) {
		flow = newest(candidates)
	}
	return flow, flow == nil && len(candidates) > 1
}

// newest returns the flow that was opened last; nil when there is none.
func newest(flows []*openFlow) (last *openFlow) {
	for _, flow := range flows {
		if last == nil || flow.cookie.minute >= last.cookie.minute {
			last = flow
		}
	}
	return last
}
