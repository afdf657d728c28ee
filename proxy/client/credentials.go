package client

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pargate/proxy/oauth"
)

// Credentials are what a client proves itself with in one request. They are read, compared and forgotten.
type Credentials struct {
	Method      string       // the one client authentication method that was used; without any, none
	ClientID    string       // client_id in the body; empty when there was none
	Certificate *Certificate // of the connection, whatever it is there for; nil: there is none
	proof       hidden[proof]
}

// proof is what a client has sent. HTTP Basic has two encodings in use: RFC 6749 §2.3.1 form-encodes both halves,
// most HTTP libraries do not. So each half is one text or two; a form has one secret, and its id stands outside.
type proof struct {
	ids, secrets []string
	assertion    *assertion // nil: there is none
}

// Challenged reports whether the Authorization header was used.
func (c Credentials) Challenged() bool { return c.Method == MethodBasic }

// Read divides a push into the client's credentials and the authorization request. Parameters that are empty, or
// that only the token endpoint knows, are in neither. Exactly one method may be used (RFC 6749 §2.3).
func Read(header http.Header, form oauth.Params) (Credentials, oauth.Params, error) {
	cred := Credentials{Method: MethodNone}
	var used []string
	if len(header.Values("Authorization")) > 0 {
		if err := cred.readBasic(header.Values("Authorization")); err != nil {
			return cred, nil, err
		}
		used = append(used, MethodBasic)
	}
	params := make(oauth.Params, 0, len(form))
	var assertion, assertionType string
	for _, param := range form {
		switch {
		case param.Value == "" && (!param.Bare || isOAuthName(param.Name)):
			// An empty value counts as none (RFC 6749 §3.1). Only other people's flags are names alone.
		case param.Name == oauth.ParamClientSecret:
			cred.proof = hide(proof{secrets: []string{param.Value}})
			used = append(used, MethodPost)
		case param.Name == oauth.ParamClientAssertion:
			assertion = param.Value
		case param.Name == oauth.ParamClientAssertionType:
			assertionType = param.Value
		case param.Name == oauth.ParamClientID:
			cred.ClientID = param.Value
			params = append(params, param)
		case !oauth.IsNeverKept(param.Name):
			params = append(params, param)
		}
	}
	asserted := assertion != "" || assertionType != ""
	switch {
	case len(used) > 1 || asserted && len(used) > 0:
		return cred, nil, oauth.InvalidRequest("more than one client authentication method was used")
	case asserted:
		if err := cred.readAssertion(assertionType, assertion); err != nil {
			return cred, nil, err
		}
	case len(used) == 1:
		cred.Method = used[0]
	}
	return cred, params, nil
}

func (c *Credentials) readAssertion(kind, text string) error {
	a, err := readAssertion(kind, text)
	if err != nil {
		return err
	}
	c.Method, c.proof = a.method(), hide(proof{ids: []string{a.claims.issuer}, assertion: a})
	return nil
}

// clientIDs returns the client_ids that the credentials may mean, at least one. What names the client must name one.
func (c Credentials) clientIDs() ([]string, error) {
	ids := c.proof.value().ids
	switch {
	case len(ids) == 0 && c.ClientID == "" && c.Certificate != nil && c.Method == MethodNone:
		return nil, oauth.InvalidRequest("client_id is missing; a certificate does not name its client") // RFC 8705 §2
	case len(ids) == 0 && c.ClientID == "":
		return nil, oauth.InvalidClient("client_id is missing", false)
	case len(ids) == 0 || slices.Contains(ids, c.ClientID):
		return []string{c.ClientID}, nil
	case c.ClientID == "":
		return ids, nil
	case c.Challenged():
		return nil, oauth.InvalidRequest("client_id in the form is not the client of the Authorization header")
	}
	return nil, oauth.InvalidRequest("client_id in the form is not the client of the client_assertion")
}

func (c *Credentials) readBasic(values []string) error {
	if len(values) > 1 {
		return oauth.InvalidRequest("the Authorization header occurs more than once")
	}
	scheme, encoded, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return oauth.InvalidClient("only the Basic scheme is supported in the Authorization header", true)
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	user, password, found := strings.Cut(string(decoded), ":")
	if err == nil && !found {
		err = errors.New("no colon in Basic credentials")
	}
	if err != nil {
		return oauth.InvalidClient("the Authorization header is malformed", true).Because(err)
	}
	c.proof = hide(proof{ids: bothEncodings(user), secrets: bothEncodings(password)})
	return nil
}

func isOAuthName(name string) bool {
	return oauth.IsAuthorizationRequestName(name) || oauth.IsNeverKept(name)
}

// bothEncodings returns s decoded as RFC 6749 §2.3.1 has it, and as it stands when that is something else.
func bothEncodings(s string) []string {
	decoded, err := url.QueryUnescape(s)
	if err != nil || decoded == s {
		return []string{s}
	}
	return []string{decoded, s}
}
