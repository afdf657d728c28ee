package proxy

import (
	"errors"
	"net/http"
	"strings"

	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// A server that takes its authorization requests by POST gets the parameters in a form, and in the query only the
// client_id and a ticket: a continuation under a name that the server does not know and hands around with its own login
// application, on another origin too. When the ticket comes back, the form is sent again: so nothing of the request is
// visible to the browser, and nothing can be changed.

// ticketParam is the query parameter that holds the ticket.
const ticketParam = "pargate_ticket"

// continueFlow returns the reference of a continuation.
func (s *Server) continueFlow(r *http.Request, flow *openFlow, difference rewrite.Difference) (pushstore.Reference, error) {
	text := difference.Encode()
	if len(text) > maxDifference {
		return "", endlessLogin(errors.New("the authorization server adds more than 2 KiB to the request"))
	}
	ref, err := s.Store.Continue(detached(r), flow.Flow, flow.cookie.secret, text)
	switch {
	case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken):
		return "", deadLink(err)
	case errors.Is(err, pushstore.ErrFull):
		return "", endlessLogin(err)
	case err != nil:
		return "", storeTrouble(err, exchangeOf(r).retryURL(flow.cookie))
	}
	return ref, nil
}

// maxDifference bounds what a continuation may add, in bytes.
const maxDifference = 2 << 10

// ticketQuery is the query with which a request goes upstream whose parameters are in its form. Parameters that no
// authorization request has, such as a resume key, stay where the upstream has put them.
func (s *Server) ticketQuery(r *http.Request, flow *openFlow, ticket pushstore.Reference) string {
	x := exchangeOf(r)
	params := oauth.Params{{Name: oauth.ParamClientID, Value: flow.Party.ClientID}, {Name: ticketParam, Value: string(ticket)}}
	query := params.Encode()
	for _, added := range flow.difference().Added {
		if !oauth.IsAuthorizationRequestName(oauth.Fold(added.Name)) {
			query += "&" + added.Raw
		}
	}
	query, _ = rewrite.Expand(x.endpoints.authorizeQuery[x.path], query, r.URL.RawQuery, s.vocabulary.IsResume)
	return query
}

// authorizationPart is d without what ticketQuery leaves in the query.
func authorizationPart(d rewrite.Difference) rewrite.Difference {
	part := rewrite.Difference{Without: d.Without}
	for _, added := range d.Added {
		if oauth.IsAuthorizationRequestName(oauth.Fold(added.Name)) {
			part.Added = append(part.Added, added)
		}
	}
	return part
}

// findTicket returns the ticket in a query, in whatever spelling a server might read it.
func findTicket(query string) (value string, found bool) {
	if !strings.Contains(strings.ToLower(query), "pargate") && !strings.Contains(query, "%") {
		return "", false
	}
	for pair := range rewrite.Pairs(query) {
		if oauth.Fold(pair.Name) == ticketParam {
			return pair.Value, true
		}
	}
	return "", false
}
