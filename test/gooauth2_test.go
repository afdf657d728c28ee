package test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"
	oauth2store "github.com/go-oauth2/oauth2/v4/store"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
)

// goOAuth2 is an authorization server built on go-oauth2: no metadata, no PAR, and a login that keeps the request in
// a session and comes back to the authorization endpoint without any parameter.
func goOAuth2(t *testing.T) http.Handler {
	clients := oauth2store.NewClientStore()
	if err := clients.Set("web", &models.Client{ID: "web", Secret: "s3cret", Domain: "https://app.example"}); err != nil {
		t.Fatal(err)
	}
	manager := manage.NewDefaultManager()
	manager.MustTokenStorage(oauth2store.NewMemoryTokenStore())
	manager.MapClientStorage(clients)
	server := oauth2server.NewDefaultServer(manager)
	server.SetAllowGetAccessRequest(false)
	server.SetClientInfoHandler(oauth2server.ClientBasicHandler)

	var mu sync.Mutex
	requests, users := map[string]url.Values{}, map[string]string{}
	session := func(r *http.Request) string {
		c, err := r.Cookie("sid")
		if err != nil {
			return ""
		}
		return c.Value
	}
	server.SetUserAuthorizationHandler(func(w http.ResponseWriter, r *http.Request) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if user := users[session(r)]; user != "" {
			return user, nil
		}
		requests["1"] = r.Form
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1", Path: "/"})
		http.Redirect(w, r, "/login", http.StatusFound)
		return "", nil
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/oauth/authorize", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		mu.Lock()
		if kept := requests[session(r)]; len(r.Form) == 0 && kept != nil {
			r.Form = kept
		}
		mu.Unlock()
		if err := server.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		if r.PostForm.Get("password") != "p\xe4ss" { // as a page in ISO 8859-1 sends it
			http.Error(w, "wrong password", http.StatusForbidden)
			return
		}
		mu.Lock()
		users[session(r)] = "user"
		mu.Unlock()
		http.Redirect(w, r, "/oauth/authorize", http.StatusFound)
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`<form method="post" action="/login">`)) })
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) { server.HandleTokenRequest(w, r) })
	return mux
}

func TestALoginAtAServerBuiltOnGoOAuth2(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) pushstore.Store{
		"memory": func(*testing.T) pushstore.Store { return pushstore.NewMemory(pushstore.MemoryOptions{}) },
		"redis":  redisStore,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			legacy := httptest.NewServer(goOAuth2(t))
			defer legacy.Close()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			g := harness.InFrontOf(t, listener, legacy.URL, harness.Setup{Store: store, Options: func(o *proxy.Options) {
				o.Issuer.AuthorizePaths, o.Issuer.TokenPath = []string{"/oauth/authorize"}, "/oauth/token"
				o.Issuer.PublicURL = mustParse("http://" + listener.Addr().String())
				o.PARRequired = true
			}})
			uri := g.Push(t, "web", "s3cret", harness.Form("scope", "all"))
			b := harness.NewBrowser(g.URL)
			bounce := b.Get(t, strings.Replace(harness.Short("web", uri), "/authorize", "/oauth/authorize", 1))
			page := b.Follow(t, b.Get(t, bounce.Location))
			if !strings.Contains(page.Body, `action="/login"`) {
				t.Fatalf("no login: %d %s", page.Status, page.Body)
			}
			res := b.Follow(t, b.Post(t, "/login", "username=u&password=p%E4ss"))
			back, err := url.Parse(res.Location)
			if err != nil || back.Host != "app.example" || back.Query().Get("state") != "st4te" || back.Query().Get("iss") != g.URL {
				t.Fatalf("%d %s %s", res.Status, res.Location, res.Body)
			}
			token := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {"https://app.example/cb"},
				"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}
			var tokens struct{ Access_token string }
			if res := b.Post(t, "/oauth/token", token.Encode(), asWeb); json.Unmarshal([]byte(res.Body), &tokens) != nil || tokens.Access_token == "" {
				t.Fatalf("no token: %d %s", res.Status, res.Body)
			}
		})
	}
}

// redisStore is a store in a real Redis of the test's own.
func redisStore(t *testing.T) pushstore.Store {
	server := storetest.StartRedis(t)
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	store := pushstore.NewRedis(client, pushstore.RedisOptions{})
	t.Cleanup(func() { store.Close() })
	return store
}
