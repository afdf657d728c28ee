package pattern

import (
	"net/url"
	"strings"
)

// absoluteAddress sends its absolute address to the login page as next=, as Flask applications with Authlib do, and
// changes its encoding on the way: a plus sign comes back as a blank. The consent form has no fields, and a posted
// one wins over the query.
func absoluteAddress() Pattern {
	return Pattern{
		Name: "absolute address", Authorize: "/authorize", Session: true, Consent: true, Reencodes: true,
		repeats: bodyOfWerkzeug,
		handlers: map[string]handler{
			"/authorize": func(x *exchange) {
				if x.session().user == "" {
					x.redirect("/login?next=" + escapedByWerkzeug(reencoded(x.origin()+x.r.URL.RequestURI())))
					return
				}
				switch asked := x.read(x.body, x.query); {
				case !x.accept(asked):
				case x.allowed():
					x.code(asked)
				case x.post():
					x.deny(asked)
				default:
					x.consentPage("")
				}
			},
			"/login": func(x *exchange) {
				next := x.query.Get("next")
				switch {
				case !x.passwordIsRight():
					x.loginPage("")
				case !strings.HasPrefix(next, x.origin()+"/"):
					x.redirect(x.origin() + "/")
				default:
					x.session().user = User
					x.redirect(reencoded(next))
				}
			},
		},
	}
}

// reencoded is an address as a round through an IRI leaves it: what may stand in a query as it is does so.
func reencoded(address string) string {
	return strings.NewReplacer("%2C", ",", "%2F", "/", "%3A", ":", "%2B", "+", "%7E", "~").Replace(address)
}

func escapedByWerkzeug(s string) string {
	return strings.NewReplacer("%2F", "/", "%3A", ":").Replace(url.QueryEscape(s))
}
