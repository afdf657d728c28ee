package main

import (
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"sync"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"
	oauth2store "github.com/go-oauth2/oauth2/v4/store"

	"pargate/test/upstream/pattern"
)

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
	manager.MapTokenStorage(&issuedTokens{all: map[string]models.Token{}})
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
			http.Error(w, err.Error(), http.StatusBadRequest)
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

// issuedTokens is a token store that ends with its server; the library's own leaves a goroutine behind.
type issuedTokens struct {
	mu  sync.Mutex
	all map[string]models.Token // by code, access token and refresh token
}

func (s *issuedTokens) Create(_ context.Context, info oauth2.TokenInfo) error {
	token, ok := info.(*models.Token)
	if !ok {
		return errors.New("no token of this library")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range []string{token.Code, token.Access, token.Refresh} {
		if key != "" {
			s.all[key] = *token
		}
	}
	return nil
}

func (s *issuedTokens) remove(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, key)
	return nil
}

// get returns nil when there is none, as the library wants it.
func (s *issuedTokens) get(key string) (oauth2.TokenInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.all[key]
	if !ok {
		return nil, nil
	}
	return &token, nil
}

func (s *issuedTokens) RemoveByCode(_ context.Context, key string) error    { return s.remove(key) }
func (s *issuedTokens) RemoveByAccess(_ context.Context, key string) error  { return s.remove(key) }
func (s *issuedTokens) RemoveByRefresh(_ context.Context, key string) error { return s.remove(key) }

func (s *issuedTokens) GetByCode(_ context.Context, key string) (oauth2.TokenInfo, error) {
	return s.get(key)
}

func (s *issuedTokens) GetByAccess(_ context.Context, key string) (oauth2.TokenInfo, error) {
	return s.get(key)
}

func (s *issuedTokens) GetByRefresh(_ context.Context, key string) (oauth2.TokenInfo, error) {
	return s.get(key)
}
