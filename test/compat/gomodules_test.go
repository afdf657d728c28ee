//go:build compat

package compat

import (
	"crypto/rand"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"
	oauth2store "github.com/go-oauth2/oauth2/v4/store"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func zitadelProvider() *server {
	return zitadel("zitadel-provider", "zitadel/oidc's example, Provider router", false)
}

func zitadelServer() *server {
	return zitadel("zitadel-server", "zitadel/oidc's example, LegacyServer router", true)
}

// zitadel is the example provider of zitadel/oidc with its own login page, behind one of its two routers.
func zitadel(name, title string, wrapServer bool) *server {
	return &server{
		name: name, title: title, version: moduleVersion("github.com/zitadel/oidc/v3"),
		authorize: "/auth", token: "/oauth/token", metadata: "/",
		scope: "openid profile", idToken: true, formPost: true, fragment: true, takesPOST: true, latePublic: wrapServer,
		user: "test-user2", password: "verysecure",
		noDeny: "it asks for no consent",
		start: func(t *testing.T, p place) (forget func()) {
			clients := map[string]*storage.Client{
				clientID: storage.WebClient(clientID, clientSecret, redirectURI, otherURI),
				publicID: storage.NativeClient(publicID, redirectURI, otherURI),
			}
			store := storage.NewStorageWithClients(storage.NewUserStore(p.public), clients)
			serve(t, p, exampleop.SetupServer(p.public, store, slog.New(slog.DiscardHandler), wrapServer))
			return nil
		},
	}
}

func goOAuth2() *server {
	s := goOAuth2With("go-oauth2", "go-oauth2, wired as in its example", true)
	s.noBasic = true
	s.asked = []string{
		"With `ForcePKCE` it looks for the `code_verifier` before it looks at the client, and a probe has none: everybody " +
			"is answered the same, and nobody can push. List its clients in `CLIENTS_FILE`, or leave `ForcePKCE` off.",
	}
	return s
}

// goOAuth2OptionalPKCE is go-oauth2 as it can be asked about clients.
func goOAuth2OptionalPKCE() *server {
	return goOAuth2With("go-oauth2-optional-pkce", "go-oauth2, the same with `ForcePKCE` off", false)
}

func goOAuth2With(name, title string, forcePKCE bool) *server {
	return &server{
		name: name, title: title, version: moduleVersion("github.com/go-oauth2/oauth2/v4"),
		authorize: "/oauth/authorize", token: "/oauth/token",
		scope: "openid profile", takesPOST: true, noPost: true, noPublic: true,
		noDeny: "its example's consent page has no such button",
		start: func(t *testing.T, p place) (forget func()) {
			serve(t, p, newGoOAuth2(t, forcePKCE))
			return nil
		},
	}
}

// serve serves a handler at the place until the test ends.
func serve(t testing.TB, p place, handler http.Handler) {
	t.Helper()
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	s.Start()
	t.Cleanup(s.Close)
}

// goOAuth2Session is what a browser's session remembers.
type goOAuth2Session struct {
	request url.Values // the authorization request that waits for a login
	user    string
}

// newGoOAuth2 is a server built on go-oauth2 as its example is: the login and the consent page know nothing of the
// request, which waits in the session, and consent is a POST to the authorization endpoint without any parameter.
func newGoOAuth2(t testing.TB, forcePKCE bool) http.Handler {
	clients := oauth2store.NewClientStore()
	if err := clients.Set(clientID, &models.Client{ID: clientID, Secret: clientSecret, Domain: "https://app.example"}); err != nil {
		t.Fatal(err)
	}
	manager := manage.NewDefaultManager()
	manager.MustTokenStorage(oauth2store.NewMemoryTokenStore())
	manager.MapClientStorage(clients)
	srv := oauth2server.NewServer(&oauth2server.Config{
		TokenType: "Bearer", AllowedResponseTypes: []oauth2.ResponseType{oauth2.Code},
		AllowedGrantTypes:           []oauth2.GrantType{oauth2.AuthorizationCode},
		AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256},
		ForcePKCE:                   forcePKCE,
	}, manager)
	srv.SetClientInfoHandler(oauth2server.ClientBasicHandler)

	var mu sync.Mutex
	sessions := map[string]*goOAuth2Session{}
	session := func(w http.ResponseWriter, r *http.Request) *goOAuth2Session {
		if cookie, err := r.Cookie("go_session_id"); err == nil && sessions[cookie.Value] != nil {
			return sessions[cookie.Value]
		}
		id := rand.Text()
		sessions[id] = &goOAuth2Session{}
		http.SetCookie(w, &http.Cookie{Name: "go_session_id", Value: id, Path: "/", HttpOnly: true})
		return sessions[id]
	}
	srv.SetUserAuthorizationHandler(func(w http.ResponseWriter, r *http.Request) (string, error) {
		s := session(w, r)
		if s.user == "" {
			s.request = r.Form
			http.Redirect(w, r, "/login", http.StatusFound)
		}
		user := s.user
		s.user = "" // the example logs in again for every request
		return user, nil
	})
	mux := http.NewServeMux()
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request, *goOAuth2Session)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if err := r.ParseForm(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			h(w, r, session(w, r))
		})
	}
	handle("/oauth/authorize", func(w http.ResponseWriter, r *http.Request, s *goOAuth2Session) {
		if s.request != nil {
			r.Form, s.request = s.request, nil
		}
		if err := srv.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	page := template.Must(template.New("").Parse(`<!doctype html><form method="post" action="{{.}}">` +
		`{{if eq . "/login"}}<input name="username"><input name="password" type="password">{{end}}<button>Go on</button></form>`))
	handle("GET /login", func(w http.ResponseWriter, _ *http.Request, _ *goOAuth2Session) { page.Execute(w, "/login") })
	handle("POST /login", func(w http.ResponseWriter, r *http.Request, s *goOAuth2Session) {
		if r.PostForm.Get("username") != userName || r.PostForm.Get("password") != userPassword {
			page.Execute(w, "/login")
			return
		}
		s.user = userName
		http.Redirect(w, r, "/auth", http.StatusFound)
	})
	handle("GET /auth", func(w http.ResponseWriter, r *http.Request, s *goOAuth2Session) {
		if s.user == "" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		page.Execute(w, "/oauth/authorize")
	})
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		if err := srv.HandleTokenRequest(w, r); err != nil {
			io.WriteString(w, err.Error())
		}
	})
	return mux
}

// moduleVersion reads which version of a module go.mod asks for.
func moduleVersion(module string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile("../../go.mod")
		if err != nil {
			return "", err
		}
		found := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(text)
		if found == nil {
			return "", fmt.Errorf("go.mod has no %s", module)
		}
		return string(found[1]), nil
	}
}
