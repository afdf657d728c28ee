package pattern

import (
	"net/http"
	"net/url"
	"strings"
)

// nextField sends path and query to the login page as next=, in a hidden field and back, whatever the browser makes of
// it, as django-oauth-toolkit does. The consent form has what the server knows of the request in hidden fields, and
// what is posted counts; it always posts claims. A POST needs a token, and a Referer of the server's own origin.
func nextField() Pattern {
	return Pattern{
		Name: "next field", Authorize: "/o/authorize/", Modes: []string{"fragment"}, Session: true, Consent: true,
		Hidden: append([]string{"claims"}, known...), lastWins: true,
		handlers: map[string]handler{
			"/o/authorize/": (*exchange).fieldsConsent,
			"/accounts/login/": func(x *exchange) {
				next := x.query.Get("next")
				if x.post() && x.body.Has("next") {
					next = x.body.Get("next")
				}
				switch {
				case !x.isFromOwnPage():
				case !x.passwordIsRight():
					x.loginPage("", [2]string{"csrfmiddlewaretoken", x.session().csrf}, [2]string{"next", next})
				case !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//"):
					x.redirect("/accounts/profile/")
				default:
					x.session().user = User
					x.redirect(next)
				}
			},
		},
	}
}

func (x *exchange) fieldsConsent() {
	if !x.isFromOwnPage() {
		return
	}
	if x.session().user == "" {
		x.redirect("/accounts/login/?next=" + url.QueryEscape(x.r.URL.RequestURI()))
		return
	}
	fields := append([]string{"claims"}, known...)
	asked := x.read(x.query)
	if x.post() { // what the form knows is the form's alone
		asked = asked.without(fields...).with(x.read(x.body))
	}
	switch {
	case !x.accept(asked):
	case x.allowed():
		x.code(asked)
	case x.post():
		x.deny(asked)
	default:
		hidden := append(asked.fields(known...), [2]string{"claims", asked["claims"]}, [2]string{"csrfmiddlewaretoken", x.session().csrf})
		x.consentPage("", hidden...)
	}
}

// isFromOwnPage reports whether a request is none that another site can have made, and refuses it if not. What the
// server takes for its own name must be what it was installed under.
func (x *exchange) isFromOwnPage() bool {
	referer, _ := url.Parse(x.r.Referer())
	switch {
	case x.origin() != x.issuer:
		http.Error(x.w, "Bad Request (400): host", http.StatusBadRequest)
	case x.post() && (referer == nil || referer.Scheme+"://"+referer.Host != x.issuer):
		http.Error(x.w, "Forbidden (403): Referer checking failed.", http.StatusForbidden)
	case x.post() && x.body.Get("csrfmiddlewaretoken") != x.session().csrf:
		http.Error(x.w, "Forbidden (403): CSRF token missing or incorrect.", http.StatusForbidden)
	default:
		return true
	}
	return false
}
