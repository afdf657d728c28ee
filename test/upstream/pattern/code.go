package pattern

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Asked is an authorization request as a server has understood it.
type Asked map[string]string

// own are the fields and parameters of the stand-ins themselves. Every other name is taken for one of the request.
var own = map[string]bool{
	"username": true, "password": true, "user": true, "allow": true, "deny": true, "_method": true, "csrfmiddlewaretoken": true,
	"authenticity_token": true, "next": true, "return_to": true, "url": true, "token": true, "confirm": true, "id": true,
	"login_verifier": true, "consent_verifier": true, "g_continue": true, "req": true, "hmac": true, "transaction_id": true,
	"callback_url": true, "back": true,
}

// read returns the request in values; of two that have a name, the first one counts. Empty values count as absent.
func (s *Server) read(values ...url.Values) Asked {
	asked := Asked{}
	for _, v := range slices.Backward(values) {
		for name, all := range v {
			switch {
			case own[name]:
			case s.lastWins:
				asked[name] = all[len(all)-1]
			default:
				asked[name] = all[0]
			}
		}
	}
	maps.DeleteFunc(asked, func(_, value string) bool { return value == "" })
	return asked
}

// only returns the named parameters of a.
func (a Asked) only(names ...string) Asked {
	some := Asked{}
	for _, name := range names {
		if a[name] != "" {
			some[name] = a[name]
		}
	}
	return some
}

// without returns all but the named parameters of a.
func (a Asked) without(names ...string) Asked {
	some := maps.Clone(a)
	for _, name := range names {
		delete(some, name)
	}
	return some
}

// with returns a and b; what both have is b's.
func (a Asked) with(b Asked) Asked {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// known are the parameters that servers with a form for the request know.
var known = []string{"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method"}

// accept reports whether the request may go on, and answers it if not.
func (x *exchange) accept(asked Asked) bool {
	registered := x.redirectURIs[asked["client_id"]]
	switch {
	case !slices.Contains(registered, asked["redirect_uri"]): // never redirected (RFC 6749 §4.1.2.1)
		http.Error(x.w, "client_id or redirect_uri is not registered", http.StatusBadRequest)
	case asked["response_type"] != "code":
		x.deliver(asked, url.Values{"error": {"unsupported_response_type"}})
	case slices.Contains(strings.Fields(asked["scope"]), "forbidden"):
		x.deliver(asked, url.Values{"error": {"invalid_scope"}})
	default:
		return true
	}
	return false
}

// code ends the login with a code for the request.
func (x *exchange) code(asked Asked) {
	code := rand.Text()
	x.codes[code], x.told[code] = asked, asked
	x.deliver(asked, url.Values{"code": {code}})
}

// deny ends the login as the user has asked for.
func (x *exchange) deny(asked Asked) { x.deliver(asked, url.Values{"error": {"access_denied"}}) }

// deliver sends the authorization response.
func (x *exchange) deliver(asked Asked, params url.Values) {
	if state := asked["state"]; state != "" {
		params.Set("state", state)
	}
	if x.iss {
		params.Set("iss", x.issuer)
	}
	mode := asked["response_mode"]
	if !slices.Contains(x.Modes, mode) {
		mode = "query"
	}
	uri, separator := asked["redirect_uri"], "?"
	switch {
	case mode == "form_post":
		x.formPost(uri, params)
		return
	case mode == "fragment":
		separator = "#"
	case strings.Contains(uri, "?"):
		separator = "&"
	}
	location := uri + separator + params.Encode()
	if params.Has("error") && x.errorsAre400 {
		x.w.Header().Set("Location", location)
		x.json(http.StatusBadRequest, map[string]any{"error": params.Get("error")})
		return
	}
	x.redirect(location)
}

// formPost is the page that sends itself to the client (OAuth 2.0 Form Post Response Mode).
func (x *exchange) formPost(uri string, params url.Values) {
	var fields strings.Builder
	for name, values := range params {
		fmt.Fprintf(&fields, `<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(values[0]))
	}
	text := fmt.Sprintf(`<html><head><title>Submit</title></head><body onload="document.forms[0].submit()"><form method="post" action="%s">%s</form></body></html>`,
		html.EscapeString(uri), fields.String())
	if x.untyped {
		x.w.Header()["Content-Type"] = nil
		x.w.Write([]byte(text))
		return
	}
	x.page(text)
}

// token redeems a code, and says what it stands for.
func (x *exchange) token() {
	asked, ok := x.codes[x.body.Get("code")]
	delete(x.codes, x.body.Get("code"))
	clientID, _, basic := x.r.BasicAuth()
	if !basic {
		clientID = x.body.Get("client_id")
	}
	switch {
	case !x.post() || x.body.Get("grant_type") != "authorization_code":
		x.json(http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"})
	case !ok, clientID != asked["client_id"], x.body.Get("redirect_uri") != asked["redirect_uri"], !verifies(asked, x.body.Get("code_verifier")):
		x.json(http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	default:
		x.json(http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "nonce": asked["nonce"], "request": asked})
	}
}

// verifies reports whether verifier belongs to the request's code_challenge (RFC 7636 §4.6).
func verifies(asked Asked, verifier string) bool {
	switch asked["code_challenge_method"] {
	case "S256":
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return asked["code_challenge"] == "" || asked["code_challenge"] == verifier
}

func (x *exchange) json(status int, value any) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(status)
	json.NewEncoder(x.w).Encode(value)
}
