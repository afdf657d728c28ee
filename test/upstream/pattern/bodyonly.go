package pattern

import (
	"net/http"
	"net/url"
	"strings"
)

// bodyOnlyConsent has a consent form whose action is the bare endpoint, with fields for part of the request, as
// Doorkeeper has behind Devise: nonce and claims are lost. Deny is a form with _method=delete. Its session keeps the
// address that it goes back to after the login, from which it takes prompt=login itself. A POST from another origin
// than what the server takes for its own is refused.
func bodyOnlyConsent() Pattern {
	p := doorkeeper("body-only consent")
	p.Single = true
	p.handlers["/users/sign_in"] = func(x *exchange) { x.signIn(x.session().returnTo) }
	p.handlers["/oauth/authorize"] = func(x *exchange) {
		x.fieldsOnly(func(back string) {
			x.session().returnTo = back
			x.redirect(x.origin() + "/users/sign_in")
		})
	}
	return p
}

// returnTo is the same with the address in the login page's own, as return_to=.
func returnTo() Pattern {
	p := doorkeeper("return_to")
	p.handlers["/login"] = func(x *exchange) {
		back := x.query.Get("return_to")
		if x.post() {
			back = x.body.Get("return_to")
		}
		x.signIn(back, [2]string{"return_to", back})
	}
	p.handlers["/oauth/authorize"] = func(x *exchange) {
		x.fieldsOnly(func(back string) { x.redirect(x.origin() + "/login?return_to=" + url.QueryEscape(back)) })
	}
	return p
}

func doorkeeper(name string) Pattern {
	return Pattern{
		Name: name, Authorize: "/oauth/authorize", Modes: []string{"form_post"}, Session: true, Consent: true, Login: true,
		Hidden: known, Loses: []string{"nonce", "claims", "authorization_details", "id_token_hint", "x_ticket", "prompt"},
		lastWins: true, repeats: bodyOfRails, handlers: map[string]handler{},
	}
}

// fieldsOnly is the authorization endpoint; login sends the browser to the login page, which goes back.
func (x *exchange) fieldsOnly(login func(back string)) {
	session := x.session()
	asked := x.read(x.query)
	if x.post() {
		asked = x.read(x.body)
	}
	switch {
	case !x.isFromOwnOrigin():
	case session.user == "" || asked["prompt"] == "login":
		session.user = ""
		login(x.path + "?" + withoutPrompt(x.r.URL.RawQuery))
	case !x.accept(asked):
	case x.post() && x.body.Get("_method") == "delete":
		x.deny(asked)
	case x.post():
		x.code(asked)
	default:
		hidden := append(asked.fields(known...), asked.fields("response_mode")...)
		hidden = append(hidden, [2]string{"authenticity_token", session.csrf})
		for i, field := range hidden {
			if field[0] == "nonce" { // the view has no field for it
				hidden = append(hidden[:i], hidden[i+1:]...)
				break
			}
		}
		x.page(form("/oauth/authorize", hidden, "<button>Authorize</button>") +
			form("/oauth/authorize", append(fields{{"_method", "delete"}}, hidden...), "<button>Deny</button>"))
	}
}

func withoutPrompt(query string) string {
	var rest []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair != "prompt=login" {
			rest = append(rest, pair)
		}
	}
	return strings.Join(rest, "&")
}

// signIn is the login page, and what its form is sent to.
func (x *exchange) signIn(back string, hidden ...[2]string) {
	switch {
	case !x.isFromOwnOrigin():
	case !x.passwordIsRight():
		x.loginPage(x.path, append(hidden, [2]string{"authenticity_token", x.session().csrf})...)
	case !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//"):
		x.redirect(x.origin() + "/")
	default:
		x.session().user = User
		x.redirect(x.origin() + back)
	}
}

// isFromOwnOrigin refuses a POST that another origin's page can have sent.
func (x *exchange) isFromOwnOrigin() bool {
	origin := x.r.Header.Get("Origin")
	if !x.post() || (origin == "" || origin == x.origin()) && x.body.Get("authenticity_token") == x.session().csrf {
		return true
	}
	http.Error(x.w, "ActionController::InvalidAuthenticityToken", http.StatusUnprocessableEntity)
	return false
}
