package main

import (
	"crypto/rand"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"sync"

	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"
	oauth2store "github.com/go-oauth2/oauth2/v4/store"

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

// goOAuth2Login is the login page of the server that is built with go-oauth2.
var goOAuth2Login = template.Must(template.New("login").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title></head>
<body><main><h1>Sign in</h1>{{if .}}<p>Wrong user or password.</p>{{end}}
<form method="post" action="/login"><label>User <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password"></label> <button>Sign in</button></form></main></body></html>`))

// startGoOAuth2 builds a server with go-oauth2: no metadata, no PAR, and a session that keeps the request during the login.
func startGoOAuth2(_ string, r registration) (*legacy, error) {
	clients := oauth2store.NewClientStore()
	for _, id := range []string{r.id, otherClientID} {
		if err := clients.Set(id, &models.Client{ID: id, Secret: r.secret, Domain: r.redirectURI}); err != nil {
			return nil, err
		}
	}
	manager := manage.NewDefaultManager()
	manager.MustTokenStorage(oauth2store.NewMemoryTokenStore())
	manager.MapClientStorage(clients)
	server := oauth2server.NewDefaultServer(manager)
	server.SetClientInfoHandler(oauth2server.ClientBasicHandler)
	cookie := "sid-" + rand.Text()[:8] // cookies do not know ports

	type session struct {
		request url.Values
		user    string
	}
	var mu sync.Mutex
	sessions := map[string]*session{}
	of := func(r *http.Request) *session {
		if c, err := r.Cookie(cookie); err == nil {
			return sessions[c.Value]
		}
		return nil
	}
	server.SetUserAuthorizationHandler(func(w http.ResponseWriter, r *http.Request) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if s := of(r); s != nil && s.user != "" {
			return s.user, nil
		}
		id := rand.Text()
		sessions[id] = &session{request: r.Form}
		http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		w.Header().Set("Location", "/login")
		w.WriteHeader(http.StatusFound)
		return "", nil
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/oauth/authorize", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		mu.Lock()
		if s := of(r); len(r.Form) == 0 && s != nil {
			r.Form = s.request
		}
		mu.Unlock()
		if err := server.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, errors.ErrInvalidRequest.Error()+": "+err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) { goOAuth2Login.Execute(w, false) })
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		s := of(r)
		if s == nil || r.PostFormValue("username") != pattern.User || r.PostFormValue("password") != pattern.Password {
			goOAuth2Login.Execute(w, true)
			return
		}
		s.user = pattern.User
		w.Header().Set("Location", "/oauth/authorize")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) { server.HandleTokenRequest(w, r) })
	return &legacy{Handler: mux}, nil
}
