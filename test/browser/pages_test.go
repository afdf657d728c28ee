package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/chromium"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// sight is a page as it must come to somebody's eyes.
type sight struct {
	name     string
	speaks   string // Accept-Language; empty: the browser's own
	language string // of the page
	title    string
	link     string // its text; empty: there is none
	leadsTo  string // what is there when it is followed
	code     string
	show     func(*testing.T, *chromium.Tab) (status int64)
	status   int64
}

// theApp is what the application shows.
const theApp = "the application"

const unknown = "/authorize?client_id=web&request_uri=urn:ietf:params:oauth:request_uri:x"

// sights are all pages in English, and one in each other language.
func sights(t *testing.T) []sight {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, theApp) }))
	t.Cleanup(app.Close)
	g, down, forgetful := gateways(t, app.URL+"/cb")
	at := func(g *harness.Gateway, target string) func(*testing.T, *chromium.Tab) int64 {
		return func(t *testing.T, b *chromium.Tab) int64 { return b.Load(t, g.URL+target) }
	}
	// pushed pushes when the page is looked at: a reference does not live long.
	pushed := func(g *harness.Gateway, state, more string, open func(*testing.T, *chromium.Tab, string) int64) func(*testing.T, *chromium.Tab) int64 {
		return func(t *testing.T, b *chromium.Tab) int64 {
			uri := g.Push(t, "web", "s3cret", harness.Form("redirect_uri", app.URL+"/cb", "state", state))
			return open(t, b, g.URL+harness.Short("web", uri)+more)
		}
	}
	once := func(t *testing.T, b *chromium.Tab, address string) int64 { return b.Load(t, address) }
	noCookie := pushed(g, "x", "&pargate=1", once)
	const again = "Try again"
	return []sight{
		{"dead link", "", "en", "This sign-in link cannot be used", "", "", "invalid_request_uri", at(g, unknown), 400},
		{"used link", "", "en", "This sign-in has ended", "Back to the application", theApp, "invalid_request_uri", pushed(g, "at once", "", twice), 400},
		{"needs cookies", "", "en", "Cookies are needed to sign in", again, theApp, "invalid_request", noCookie, 400},
		{"malformed", "", "en", "This sign-in link is damaged", "", "", "invalid_request", at(g, unknown+"&client_id=web"), 400},
		{"not pushed", "", "en", "This sign-in did not start the way it must", "", "", "invalid_request", at(g, "/authorize?"+harness.Form().Encode()), 400},
		{"endless login", "", "en", "This sign-in went wrong", "", "", "server_error", pushed(g, "endless", "", once), 502},
		{"other issuer", "", "en", "This sign-in went wrong", "", "", "server_error", pushed(g, "stranger", "", once), 502},
		{"unavailable", "", "en", "Sign-in is not available right now", "", "", "temporarily_unavailable", at(down, unknown), 503},
		{"store gone", "", "en", "Sign-in is not available right now", again, "Sign-in is not available right now", "temporarily_unavailable", pushed(forgetful, "x", "", once), 503},
		{"refused", "", "en", "This request cannot be served", "", "", "invalid_request", overloaded(g.URL + "/"), 431},
		{"German", "de-CH,de;q=0.9,en;q=0.8", "de", "Zum Anmelden werden Cookies benötigt", "Noch einmal versuchen", theApp, "invalid_request", noCookie, 400},
		{"French", "fr-FR,fr;q=0.9", "fr", "Les cookies sont nécessaires pour se connecter", "Réessayer", theApp, "invalid_request", noCookie, 400},
		{"Spanish", "es-419,es;q=0.9,pt;q=0.8", "es", "Se necesitan cookies para iniciar sesión", "Intentarlo de nuevo", theApp, "invalid_request", noCookie, 400},
	}
}

// gateways starts a gateway that demands PAR, one that does not know its upstream, and one whose store cannot look anything
// up. At the first, state says how the upstream answers.
func gateways(t *testing.T, redirectURI string) (g, down, forgetful *harness.Gateway) {
	t.Helper()
	clients := fmt.Sprintf(`[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": [%q]}]`, redirectURI)
	behind := func(r *upstream.Recorder) {
		r.Handlers["/authorize"] = func(w http.ResponseWriter, r *http.Request) {
			response := redirectURI + "?code=c0de&state=" + url.QueryEscape(r.FormValue("state"))
			switch r.FormValue("state") {
			case "stranger":
				response += "&iss=" + url.QueryEscape("https://issuer.example")
			case "endless":
				response = "/login?next=" + url.QueryEscape(r.RequestURI+"&padding="+strings.Repeat("x", 3<<10))
			}
			http.Redirect(w, r, response, http.StatusFound)
		}
	}
	g = harness.Start(t, harness.Setup{Clients: clients, Upstream: behind, Options: func(o *proxy.Options) { o.PARRequired = true }})
	down = harness.Start(t, harness.Setup{Clients: clients, Unknown: true, Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{} }})
	forgetful = harness.Start(t, harness.Setup{Clients: clients, Store: blindStore{pushstore.NewMemory(pushstore.MemoryOptions{})}})
	return g, down, forgetful
}

// blindStore is a store that cannot look anything up.
type blindStore struct{ pushstore.Store }

func (blindStore) Look(context.Context, pushstore.Party, pushstore.Reference) (pushstore.State, error) {
	return pushstore.Absent, errors.New("the store does not answer")
}

// twice goes through a sign-in, and opens its link again.
func twice(t *testing.T, b *chromium.Tab, address string) int64 {
	b.Load(t, address)
	if seen := chromium.Eval[string](t, b, "document.body.innerText"); seen != theApp {
		t.Fatalf("the sign-in ended with %s", seen)
	}
	return b.Load(t, address)
}

// overloaded sends more header fields than any browser does by itself.
func overloaded(address string) func(*testing.T, *chromium.Tab) int64 {
	return func(t *testing.T, b *chromium.Tab) int64 {
		headers := network.Headers{}
		for i := range 300 {
			headers[fmt.Sprintf("X-Field-%d", i)] = "x"
		}
		b.Send(t, headers)
		defer b.Send(t, network.Headers{})
		return b.Load(t, address)
	}
}
