package pattern

// sessionForm keeps the request in the session, as servers on go-oauth2 do, and resumes it when its own page sends an
// empty form to the authorization endpoint. Who was here before logs in again.
func sessionForm() Pattern {
	return Pattern{
		Name: "session form", Authorize: "/oauth/authorize", POST: true, Single: true,
		repeats: bodyOfGo,
		handlers: map[string]handler{
			"/oauth/authorize": func(x *exchange) {
				session := x.session()
				asked := x.read(x.body, x.query)
				if session.asked != nil && session.user != "" { // whatever the browser sends
					asked = session.asked
				}
				switch {
				case !x.accept(asked):
				case session.user == "":
					session.asked = asked
					x.redirect("/login")
				default:
					session.user, session.asked = "", nil
					x.code(asked)
				}
			},
			"/login": func(x *exchange) {
				if !x.passwordIsRight() {
					x.loginPage("/login")
					return
				}
				x.session().user = User
				x.redirect("/auth")
			},
			"/auth": func(x *exchange) { x.page(form("/oauth/authorize", nil, "<button>Allow</button>")) },
		},
	}
}
