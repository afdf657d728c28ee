package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"

	"pargate/rewrite"
)

// authorizationResponse is an authorization response of this browser's that the gateway has recognised.
type authorizationResponse struct {
	rewrite.Response
	id      string    // random: it tells this response from a second one
	flow    *openFlow // whose it is; nil when it is nobody's, or could be several flows'
	several bool      // it could be several flows'
}

// errHeadResponse means that a HEAD was answered with an authorization response, which is not passed on.
var errHeadResponse = deadLink(errors.New("an authorization response to a HEAD"))

// recognise finds out whether this is an authorization response of one of the browser's flows: a Location, whatever
// the status (one server in use sends 400 with one), that leads to a pushed redirect_uri.
func (r *reply) recognise() error {
	if len(r.cookies) == 0 || r.redirect == nil || !r.mayLeadToClient(*r.redirect) {
		return nil
	}
	response := *r.redirect
	flows, err := r.flows()
	if err != nil {
		return r.withhold(err)
	}
	var matching []*openFlow
	for i := range flows {
		if response.LeadsTo(flows[i].Request.RedirectURI) {
			matching = append(matching, &flows[i])
		}
	}
	if len(matching) > 0 && r.Request.Method == http.MethodHead {
		return errHeadResponse // a GET will come, and that one ends the flow
	}
	if len(matching) > 0 {
		r.response = &authorizationResponse{Response: response, id: rand.Text()}
		r.response.flow, r.response.several = r.pick(response, matching)
	}
	return nil
}

// parse reads the Location as an authorization response; nil when it is none.
func (r *reply) parse() *rewrite.Response {
	location := r.Header.Get("Location")
	if location == "" {
		return nil
	}
	response, ok := rewrite.ParseResponse(rewrite.Resolve(r.x.endpoints.public, r.x.path, location))
	if !ok {
		return nil
	}
	return &response
}

// mayLeadToClient reports whether the response can be one to a client: one on our own origin (a login page's own
// ?error) is none, unless a client of the browser's flows is registered there.
func (r *reply) mayLeadToClient(response rewrite.Response) bool {
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
// one by the request's reference, else the only one that pushed no state. Several with one state are told apart
// only by the reference; several reports whether that was not enough.
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
	return flow, flow == nil && len(candidates) > 1
}
