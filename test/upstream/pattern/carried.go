package pattern

// carriedURL sends the whole request to its login page and from there back, as applications on express-oauth-server
// do that have no session store. A refusal is an error with a Location, and not a redirect.
func carriedURL() Pattern {
	return Pattern{
		Name: "carried URL", Authorize: "/oauth/authorize", POST: true, Session: true,
		repeats: bodyOfExpress, errorsAre400: true,
		handlers: map[string]handler{
			"/oauth/authorize": func(x *exchange) {
				if x.session().user == "" {
					x.redirect("/login?" + x.r.URL.RawQuery)
				} else if asked := x.read(x.body, x.query); x.accept(asked) {
					x.code(asked)
				}
			},
			"/login": func(x *exchange) {
				if !x.passwordIsRight() {
					x.loginPage("/login?" + x.r.URL.RawQuery)
					return
				}
				x.session().user = User
				x.redirect("/oauth/authorize?" + x.r.URL.RawQuery)
			},
		},
	}
}
