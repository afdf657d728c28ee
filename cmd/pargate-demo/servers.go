package main

import (
	"crypto/rand"
	"fmt"
	"net/http"

	"pargate/test/upstream/pattern"
)

// serverKind is a kind of legacy server that can be chosen.
type serverKind struct {
	Key, Name, Note string
	User, Password  string
	oidc            bool // it gives ID tokens
	pathsAre        [2]string
	start           func(issuer string, r registration) (*legacy, error)
}

// legacy is a legacy server that has not been asked anything yet.
type legacy struct {
	http.Handler
	application http.Handler                        // on an origin of its own; nil: there is none
	listening   func(own, application string)       // nil: it need not be told
	believed    func(code string) map[string]string // what a code stands for; nil: it does not tell
}

// serverKinds are those that can be chosen; the first one is the usual one.
var serverKinds = []*serverKind{
	{Key: "zitadel", Name: "zitadel/oidc", oidc: true, User: userName, Password: password, start: startZitadel,
		Note: "Somebody else's OpenID provider as it is. Its login page knows an id alone."},
	{Key: "go-oauth2", Name: "go-oauth2", User: pattern.User, Password: pattern.Password, start: startGoOAuth2, pathsAre: [2]string{"/oauth/authorize", "/oauth/token"},
		Note: "A server built with somebody else's library, without metadata. Its session keeps the request."},
	{Key: "dex", Name: "Dex-like", User: pattern.User, Password: pattern.Password, start: startPattern("connector hop"),
		Note: "A stand-in. The whole request goes through the browser once more, to a path below the endpoint, and into the redirect's body."},
	{Key: "django", Name: "django-oauth-toolkit-like", User: pattern.User, Password: pattern.Password, start: startPattern("next field"),
		Note: "A stand-in. The whole request is in next=, in the login form, and in hidden fields of the consent form."},
	{Key: "express", Name: "express-oauth-server-like", User: pattern.User, Password: pattern.Password, start: startPattern("carried URL"),
		Note: "A stand-in. The login page's address holds the whole request."},
	{Key: "doorkeeper", Name: "Doorkeeper-like", User: pattern.User, Password: pattern.Password, start: startPattern("body-only consent"),
		Note: "A stand-in. The consent form holds part of the request, and what is posted is believed."},
	{Key: "hydra", Name: "Hydra-like", User: pattern.User, Password: pattern.Password, start: startPattern("foreign login"),
		Note: "A stand-in. The login is at another origin, which gives the whole request back: pargate overwrites it, but cannot hide it there unless UPSTREAM_AUTHORIZE_METHOD=POST."},
}

// serverNamed returns the kind with the key; nil when there is none.
func serverNamed(key string) *serverKind {
	for _, k := range serverKinds {
		if k.Key == key {
			return k
		}
	}
	return nil
}

func startZitadel(issuer string, r registration) (*legacy, error) {
	h, err := newLegacy(issuer, r)
	return &legacy{Handler: h}, err
}

// startPattern starts one of the stand-ins with which pargate is tested. They are as trusting as the servers they stand for.
func startPattern(name string) func(string, registration) (*legacy, error) {
	return func(issuer string, r registration) (*legacy, error) {
		for _, p := range pattern.All() {
			if p.Name != name {
				continue
			}
			s := p.New(map[string][]string{r.id: {r.redirectURI}, otherClientID: {r.redirectURI}})
			s.Cookie = "sid-" + rand.Text()[:8] // cookies do not know ports
			l := &legacy{Handler: s, believed: func(code string) map[string]string { asked, _ := s.Believed(code); return asked }}
			if p.ServesApplication() {
				l.application = http.HandlerFunc(s.ServeApplication)
			}
			l.listening = func(own, application string) {
				s.Listening(own, application)
				s.SetIssuer(issuer)
			}
			return l, nil
		}
		return nil, fmt.Errorf("no stand-in is called %q", name)
	}
}
