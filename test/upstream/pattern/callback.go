package pattern

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// callbackApp has a login page that is a script, as Glewlwyd has: it reads client_id, scope and callback_url from its
// own address, logs in by JSON, and goes on to callback_url with g_continue behind it, a name without a value. Without
// that a user who is logged in is sent to the script again. Addresses are absolute, from a configured URL that ends in
// a slash. A posted parameter wins over the query, and the page of form_post has no Content-Type.
func callbackApp() Pattern {
	return Pattern{
		Name: "callback app", Authorize: "/api/oidc/auth", Modes: []string{"form_post", "fragment"}, POST: true, Session: true,
		Shown: []string{"client_id", "scope"}, untyped: true,
		handlers: map[string]handler{
			"/api/oidc/auth": func(x *exchange) {
				asked := x.read(x.body, x.query)
				switch {
				case !x.accept(asked):
				case x.session().user != "" && x.query.Has("g_continue"):
					x.code(asked)
				default:
					back := url.Values{"client_id": {asked["client_id"]}, "scope": {asked["scope"]}, "callback_url": {x.issuer + "//api/oidc/auth?" + x.r.URL.RawQuery}}
					x.redirect(x.issuer + "//login.html?" + back.Encode())
				}
			},
			"/login.html": func(x *exchange) {
				again := ""
				if x.session().user == "" {
					again = passwordFields
				}
				x.page(`<form data-json="/api/auth/" data-callback="callback_url" data-suffix="&amp;g_continue">` + again + `</form>`)
			},
			"/api/auth/": func(x *exchange) {
				var sent struct{ Username, Password string }
				switch err := json.Unmarshal([]byte(x.text), &sent); {
				case err != nil || !strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/json"):
					http.Error(x.w, "", http.StatusBadRequest)
				case sent.Username != User || sent.Password != Password:
					http.Error(x.w, "", http.StatusUnauthorized)
				default:
					x.session().user = User
				}
			},
		},
	}
}
