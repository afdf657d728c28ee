package pattern

// challenge is a login or a consent that the foreign application is asked for.
type challenge struct {
	back   string // where the application sends the browser afterwards
	scope  string
	denied bool
}

// foreignLogin leaves login and consent to an application on another origin, as Ory Hydra does. The application sends
// the browser back to the endpoint with the query that the endpoint was first asked with, and a verifier: the request
// is needed three times, and but for the scope it is the last one that counts.
func foreignLogin() Pattern {
	return Pattern{
		Name: "foreign login", Authorize: "/oauth2/auth", Modes: []string{"form_post", "fragment"}, POST: true, Consent: true,
		repeats:     bodyOfGo,
		handlers:    map[string]handler{"/oauth2/auth": (*exchange).challenged},
		application: (*exchange).loginApplication,
	}
}

func (x *exchange) challenged() {
	asked := x.read(x.body, x.query)
	if !x.accept(asked) {
		return
	}
	consented, _ := x.kept["consent "+x.query.Get("consent_verifier")].(*challenge)
	loggedIn, _ := x.kept["login "+x.query.Get("login_verifier")].(*challenge)
	switch {
	case consented != nil && consented.denied:
		x.deny(asked)
	case consented != nil:
		x.code(asked.with(Asked{"scope": consented.scope}))
	case loggedIn != nil:
		x.redirect(x.Application + "/consent?challenge=" + x.keep(loggedIn))
	default:
		back := x.issuer + "/oauth2/auth?" + x.query.Encode()
		x.redirect(x.Application + "/login?challenge=" + x.keep(&challenge{back: back, scope: asked["scope"]}))
	}
}

func (x *exchange) loginApplication() {
	c, ok := x.kept[x.query.Get("challenge")].(*challenge)
	if !ok {
		x.lost()
		return
	}
	// accept makes the verifier that the endpoint wants to see.
	accept := func(step string) {
		id := x.keep(c)
		x.kept[step+" "+id] = c
		x.redirect(c.back + "&" + step + "_verifier=" + id)
	}
	switch {
	case x.path == "/login" && x.passwordIsRight():
		accept("login")
	case x.path == "/login":
		x.loginPage(x.r.URL.RequestURI())
	case x.path == "/consent" && x.post():
		c = &challenge{back: c.back, scope: c.scope, denied: !x.allowed()}
		accept("consent")
	default:
		x.consentPage(x.r.URL.RequestURI())
	}
}
