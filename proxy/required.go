package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

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
	query, body, err := s.judged(r)
	if err != nil {
		return err
	}
	reason := startsAuthorization(x.place, query, body)
	if reason == nil {
		return nil
	}
	if s.PARRequired {
		return changedBy(s.whoRequires(), notPushed(reason))
	}
	return s.checkClientMayNotPush(query, body)
}

// judged returns what of a request decides whether it starts an authorization: on a protected path query and form, elsewhere the
// query, and a short form that makes it a whole request. On a protected path what cannot be judged does not pass. Elsewhere
// bodies that are not awaited anyway stream, and are not looked into; nor are the forms of token endpoints, of which there may
// be more than one.
func (s *Server) judged(r *http.Request) (query, body string, err error) {
	x := exchangeOf(r)
	if x.place.protected() {
		return r.URL.RawQuery + hiddenQuery(x.path), x.form, x.checkForm(r.Header)
	}
	if r.ContentLength < 0 || r.ContentLength > maxAwaited {
		return r.URL.RawQuery, "", nil
	}
	if whole, err := s.readWholeRequest(r); err != nil || !whole || isTokenRequest(x.form) {
		return r.URL.RawQuery, "", err
	}
	return r.URL.RawQuery, x.form, nil
}

// isTokenRequest reports whether a form asks for a token, of a token endpoint that nobody has named: it has the client_id and
// the redirect_uri of an authorization request, and nothing else of it (RFC 6749 §4.1.3).
func isTokenRequest(form string) bool {
	names := authorizationNames(form)
	return occurrences(form, "grant_type") > 0 && !names[oauth.ParamResponseType] && !names[oauth.ParamRequest] && !names[oauth.ParamRequestURI]
}

// checkForm refuses a body on a protected path that cannot be judged, and a charset in which the query could not be:
// some servers read it in the one that is named for the body, whether or not there is a body.
func (x *exchange) checkForm(h http.Header) error {
	switch {
	case x.formState == formTooLong:
		return bodyTooLarge(x.formLimit())
	case x.formState == formNotJudged, x.place.protected() && !hasReadableCharset(h):
		return oauth.UnsupportedMediaType("send a form: " + formType + ", without Content-Encoding").Because(itIsOfType(h))
	}
	return nil
}

// startsAuthorization says what in a request would start an authorization at that place; nil when nothing would.
func startsAuthorization(where place, query, body string) error {
	inQuery, all := authorizationNames(query), authorizationNames(query, body)
	switch {
	case len(all) == 0:
		return nil
	case where == atAuthorize || where == nearMiss:
		return fmt.Errorf("the authorization endpoint was asked with %s", firstOf(all))
	case isWholeRequest(inQuery), body != "" && isWholeRequest(all):
		return errors.New("client_id with response_type, redirect_uri, request or request_uri")
	case where == below && all[oauth.ParamClientID] && len(all) > 1:
		return errors.New("client_id with another parameter below the authorization endpoint")
	}
	return nil
}

// authorizationNames returns the names, folded, with which an authorization request is made.
func authorizationNames(parts ...string) map[string]bool {
	names := map[string]bool{}
	for _, part := range parts {
		for pair := range rewrite.Pairs(part) {
			if name := oauth.Fold(pair.Name); oauth.IsAuthorizationRequestName(name) {
				names[name] = true
			}
		}
	}
	return names
}

// firstOf returns one of the names, for the log.
func firstOf(names map[string]bool) string { return slices.Min(slices.Collect(maps.Keys(names))) }

// whoRequires is the setting that requires every request to be pushed.
func (s *Server) whoRequires() string {
	if s.FAPI {
		return "PROFILE"
	}
	return "PAR_REQUIRED"
}

// requiredOfOne is the member of a client that requires it of that client alone; another one requires a signature.
const requiredOfOne = "require_pushed_authorization_requests or require_signed_request_object in CLIENTS_FILE"

// checkClientMayNotPush applies the policy of single clients. A request whose client cannot be told for sure might
// be that of a client that must push.
func (s *Server) checkClientMayNotPush(query, body string) error {
	if n := occurrences(query, oauth.ParamClientID) + occurrences(body, oauth.ParamClientID); n != 1 {
		return changedBy(requiredOfOne, notPushed(fmt.Errorf("%d client_id, and some clients must push", n)))
	}
	id, ok := onlyValue(oauth.ParamClientID, query, body)
	switch c := s.Clients.Lookup(id); {
	case !ok:
		return changedBy(requiredOfOne, notPushed(errors.New("client_id is not properly encoded, and some clients must push")))
	case c != nil && c.RefusesPlain():
		return changedBy(requiredOfOne, notPushed(errors.New("this client must push, or sign its requests")))
	case c == nil && s.Clients.ResemblesRestricted(id):
		return changedBy(requiredOfOne, notPushed(errors.New("client_id resembles that of a client that must push or sign")))
	}
	return nil
}
