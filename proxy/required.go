package proxy

import (
	"errors"
	"fmt"
	"net/http"

	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// checkPushed refuses a request that starts an authorization without having been pushed, where it must have been:
// for every client, or for one that requires it of itself (RFC 9126 §4, §6). A request that carries a reference of
// ours never comes here.
func (s *Server) checkPushed(r *http.Request) error {
	x := exchangeOf(r)
	if !s.mustPush() || x.place == atExempt {
		return nil
	}
	var body string
	if x.place.protected() {
		// What cannot be judged does not pass.
		if err := x.checkForm(); err != nil {
			return err
		}
		body = x.form
	}
	reason := startsAuthorization(x.place, r.URL.RawQuery, body)
	if reason == nil {
		return nil
	}
	if s.PARRequired {
		return notPushed(reason)
	}
	return s.checkClientMayNotPush(r.URL.RawQuery, body)
}

// checkForm refuses a body on a protected path that cannot be judged.
func (x *exchange) checkForm() error {
	switch x.formState {
	case formTooLong:
		return bodyTooLarge(maxFormBytes)
	case formNotJudged:
		return oauth.UnsupportedMediaType("send a form: " + formType + ", without Content-Encoding")
	}
	return nil
}

// startsAuthorization says what in a request would start an authorization at that place; nil when nothing would.
func startsAuthorization(where place, query, body string) error {
	names := map[string]bool{}
	for _, part := range []string{query, body} {
		for pair := range rewrite.Pairs(part) {
			if name := oauth.Fold(pair.Name); oauth.IsAuthorizationRequestName(name) {
				names[name] = true
			}
		}
	}
	inQuery := func(name string) bool { return occurrences(query, name) > 0 }
	switch {
	case len(names) == 0:
		return nil
	case where == atAuthorize || where == nearMiss:
		return fmt.Errorf("the authorization endpoint was asked with %s", anyOf(names))
	case inQuery(oauth.ParamClientID) && (inQuery(oauth.ParamResponseType) || inQuery(oauth.ParamRedirectURI)):
		return errors.New("client_id with response_type or redirect_uri")
	case where == below && names[oauth.ParamClientID] && len(names) > 1:
		return errors.New("client_id with another parameter below the authorization endpoint")
	}
	return nil
}

func anyOf(names map[string]bool) string {
	first := ""
	for name := range names {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

// authorizationNameIn returns a name in encoded that an authorization request is made with; empty when there is none.
func authorizationNameIn(encoded string) string {
	for pair := range rewrite.Pairs(encoded) {
		if name := oauth.Fold(pair.Name); oauth.IsAuthorizationRequestName(name) {
			return name
		}
	}
	return ""
}

// checkClientMayNotPush applies the policy of single clients. A request whose client cannot be told for sure might
// be that of a client that must push.
func (s *Server) checkClientMayNotPush(query, body string) error {
	if n := occurrences(query, oauth.ParamClientID) + occurrences(body, oauth.ParamClientID); n != 1 {
		return notPushed(fmt.Errorf("%d client_id, and some clients must push", n))
	}
	id, ok := strictValue(query, oauth.ParamClientID)
	if !ok {
		id, ok = strictValue(body, oauth.ParamClientID)
	}
	switch c := s.Clients.Lookup(id); {
	case !ok:
		return notPushed(errors.New("client_id is not properly encoded, and some clients must push"))
	case c != nil && c.RequirePAR:
		return notPushed(errors.New("this client must push"))
	case c == nil && s.Clients.ResemblesRequired(id):
		return notPushed(errors.New("client_id resembles that of a client that must push"))
	}
	return nil
}
