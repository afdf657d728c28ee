package pattern

import "net/url"

// opaqueID keeps the request under an id while the user logs in, and ends below the authorization endpoint at an
// absolute address made of the configured issuer, as zitadel/oidc does. That last hop gives a code whenever it is
// asked.
func opaqueID() Pattern {
	return Pattern{
		Name: "opaque id", Authorize: "/authorize", Modes: []string{"form_post", "fragment"}, POST: true,
		repeats: bodyOfGo,
		handlers: map[string]handler{
			"/authorize": func(x *exchange) {
				if asked := x.read(x.body, x.query); x.accept(asked) {
					x.redirect("/login?authRequestID=" + x.keep(asked))
				}
			},
			"/login": func(x *exchange) {
				id := url.QueryEscape(x.query.Get("authRequestID"))
				if !x.passwordIsRight() {
					x.loginPage("/login?authRequestID=" + id)
					return
				}
				x.redirect(x.issuer + "/authorize/callback?id=" + id)
			},
			"/authorize/callback": func(x *exchange) {
				if asked, ok := x.kept[x.query.Get("id")].(Asked); ok {
					x.code(asked)
				} else {
					x.lost()
				}
			},
		},
	}
}
