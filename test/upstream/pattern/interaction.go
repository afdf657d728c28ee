package pattern

import (
	"net/http"
	"net/url"
	"strings"
)

// interaction keeps the request under an id, and resumes it below the authorization endpoint for the browser that has
// the cookie of just that path, as oidc-provider does. Its own redirects back are absolute, and its responses name the
// issuer.
func interaction() Pattern {
	return Pattern{
		Name: "interaction", Authorize: "/auth", Modes: []string{"form_post", "fragment"}, Consent: true,
		status: 303, iss: true,
		handlers: map[string]handler{
			"/auth": func(x *exchange) {
				if x.post() {
					x.lost()
				} else if asked := x.read(x.query); x.accept(asked) {
					x.interact(asked, "login")
				}
			},
			"/interaction/": func(x *exchange) {
				id := x.path[strings.LastIndex(x.path, "/")+1:]
				kept, _ := x.kept[id].(*interacted)
				switch {
				case kept == nil:
					x.lost()
				case kept.step == "login" && !x.passwordIsRight():
					x.loginPage(x.path)
				case kept.step == "consent" && !x.post():
					x.consentPage(x.path)
				default:
					kept.allowed = x.allowed()
					x.redirect(x.origin() + "/auth/" + id)
				}
			},
			"/auth/": func(x *exchange) {
				c, err := x.r.Cookie("_interaction_resume")
				if err != nil || !strings.HasSuffix(x.path, "/"+c.Value) {
					x.lost()
					return
				}
				kept, _ := x.kept[c.Value].(*interacted)
				delete(x.kept, c.Value)
				switch {
				case kept == nil:
					x.lost()
				case kept.step == "login":
					x.interact(kept.asked, "consent")
				case kept.allowed:
					x.code(kept.asked)
				default:
					x.deny(kept.asked)
				}
			},
		},
	}
}

// interacted is what an interaction is about.
type interacted struct {
	asked   Asked
	step    string
	allowed bool
}

func (x *exchange) interact(asked Asked, step string) {
	id := x.keep(&interacted{asked: asked, step: step})
	http.SetCookie(x.w, &http.Cookie{Name: "_interaction_resume", Value: id, Path: "/auth/" + url.PathEscape(id), HttpOnly: true})
	x.redirect("/interaction/" + id)
}
