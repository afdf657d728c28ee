package pattern

import (
	"encoding/base64"
	"maps"
)

// sameAddress asks for password and consent in place: every form goes to the address that the browser is at, query
// and all, as at LemonLDAP::NG. The consent form's hidden fields win over the query; only the code_challenge is what
// it was when the form was made. Who is logged in and comes with prompt=login is sent elsewhere, and resumes at an
// endpoint with a doubled slash and without any parameter.
func sameAddress() Pattern {
	return Pattern{
		Name: "same address", Authorize: "/oauth2/authorize", Modes: []string{"form_post", "fragment"}, POST: true,
		Session: true, Consent: true, Login: true, Hidden: known,
		handlers: map[string]handler{
			"/oauth2/authorize": (*exchange).everythingInPlace,
			"/renewsession": func(x *exchange) {
				if !x.passwordIsRight() {
					x.loginInPlace()
					return
				}
				x.redirect(x.issuer + "//oauth2/authorize")
			},
		},
	}
}

func (x *exchange) everythingInPlace() {
	session := x.session()
	made, isDecision := x.kept[x.body.Get("confirm")].(Asked)
	asked := x.read(x.body, x.query)
	if isDecision {
		asked = made.with(asked).with(made.only("code_challenge", "code_challenge_method"))
	}
	resumed := len(asked) == 0 && session.asked != nil
	if resumed {
		asked, session.asked = session.asked, nil
	}
	if !x.accept(asked) {
		return
	}
	switch {
	case isDecision && x.allowed():
		x.code(asked)
	case isDecision:
		x.deny(asked)
	case session.user == "" && !x.passwordIsRight():
		x.loginInPlace()
	case asked["prompt"] == "login" && !resumed && !x.passwordIsRight():
		session.asked = maps.Clone(asked)
		x.page(form("/renewsession", fields{{"url", x.portal()}}, "<button>Sign in again</button>"))
	default:
		session.user = User
		x.consentPage("#", append(asked.fields(known...), [2]string{"confirm", x.keep(asked)})...)
	}
}

func (x *exchange) loginInPlace() { x.loginPage("#", [2]string{"url", x.portal()}) }

// portal is the server's own address as its forms have it.
func (x *exchange) portal() string {
	return base64.StdEncoding.EncodeToString([]byte(x.issuer + "/oauth2"))
}
