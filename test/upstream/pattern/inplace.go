package pattern

import "net/http"

// inPlaceForm asks for the password at the address of the request, and answers the form that is sent there with a
// code. Its pages are in ISO 8859-1, and so is the password that comes back.
func inPlaceForm() Pattern {
	return Pattern{
		Name: "in-place form", Authorize: "/authorize", Modes: []string{"form_post", "fragment"}, POST: true, charset: "iso-8859-1",
		handlers: map[string]handler{"/authorize": func(x *exchange) {
			switch asked := x.read(x.body, x.query); {
			case !x.accept(asked):
			case x.passwordIsRight():
				x.code(asked)
			default:
				x.loginPage("")
			}
		}},
	}
}

// negotiate knows its users by Kerberos: the first request is answered with 401, and the same one with a ticket in
// its header with a code.
func negotiate() Pattern {
	return Pattern{
		Name: "negotiate", Authorize: "/authorize", Modes: []string{"form_post", "fragment"}, POST: true, NoPassword: true,
		handlers: map[string]handler{"/authorize": func(x *exchange) {
			switch asked := x.read(x.body, x.query); {
			case !x.accept(asked):
			case x.r.Header.Get("Authorization") != "Negotiate YII=":
				x.w.Header().Set("WWW-Authenticate", "Negotiate")
				http.Error(x.w, "401 Unauthorized", http.StatusUnauthorized)
			default:
				x.code(asked)
			}
		}},
	}
}
