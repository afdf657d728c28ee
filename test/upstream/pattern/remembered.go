package pattern

// rememberedURL keeps the address of the request in the session, as connect-ensure-login does for oauth2orize, and goes
// back to it, byte for byte, after the login. Consent is given for an id in the session.
func rememberedURL() Pattern {
	return Pattern{
		Name: "remembered URL", Authorize: "/dialog/authorize", Session: true, Single: true, Consent: true,
		repeats: bodyOfExpress,
		handlers: map[string]handler{
			"/dialog/authorize": func(x *exchange) {
				session := x.session()
				switch asked := x.read(x.query); {
				case x.post():
					x.lost()
				case session.user == "":
					session.returnTo = x.r.RequestURI
					x.redirect("/login")
				case x.accept(asked):
					x.consentPage("/dialog/authorize/decision", [2]string{"transaction_id", x.keep(asked)})
				}
			},
			"/login": func(x *exchange) {
				session := x.session()
				switch {
				case x.passwordIsRight() && session.returnTo != "":
					session.user = User
					x.redirect(session.returnTo)
				case x.post():
					x.redirect("/login")
				default:
					x.loginPage("/login")
				}
			},
			"/dialog/authorize/decision": func(x *exchange) {
				asked, ok := x.kept[x.body.Get("transaction_id")].(Asked)
				delete(x.kept, x.body.Get("transaction_id"))
				switch {
				case !ok || x.session().user == "":
					x.lost()
				case x.allowed():
					x.code(asked)
				default:
					x.deny(asked)
				}
			},
		},
	}
}
