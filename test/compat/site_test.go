//go:build compat

package compat

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
)

// site is a server as browsers and clients find it: by itself, or behind a gateway that requires PAR.
type site struct {
	*server
	public   string // the origin that browsers and clients know
	forget   func()
	native   bool   // there is no gateway
	issuer   string // what the gateway adds as iss
	endpoint string // where pushes go
}

const registeredClients = `[{"client_id": "` + clientID + `", "client_secret": "` + clientSecret + `",
	"redirect_uris": ["` + redirectURI + `", "` + otherURI + `"]}]`

// behindPargate starts the server and a gateway in front of it; each believes the gateway's address to be the server's.
// change changes the gateway's options beside what the server needs; nil: nothing.
func (s *server) behindPargate(t *testing.T, change func(*proxy.Options)) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	here := &site{server: s, public: s.at(listener.Addr().String())}
	p := place{addr: freeAddr(t), public: here.public}
	here.forget = s.start(t, p)
	gateway := harness.InFrontOf(t, listener, "http://"+p.addr+strings.TrimSuffix(s.metadata, "/"), harness.Setup{
		Clients: registeredClients,
		Options: func(o *proxy.Options) {
			o.PARRequired = true
			if s.ownsHost || s.metadata == "" {
				o.Issuer.PublicURL, _ = url.Parse(here.public)
			}
			if s.metadata == "" {
				o.Issuer.AuthorizePaths, o.Issuer.TokenPath = []string{s.authorize}, s.token
			}
			if change != nil {
				change(o)
			}
		},
	})
	t.Cleanup(func() {
		if t.Failed() {
			for _, entry := range gateway.Logs.All() {
				t.Logf("%s %v", entry.Message, entry.ContextMap())
			}
		}
	})
	here.learn(t)
	return here
}

// learn reads the issuer and the push endpoint out of the metadata, as a client does; where there is none, a client is
// told.
func (s *site) learn(t testing.TB) {
	t.Helper()
	if s.metadata == "" {
		s.issuer, s.endpoint = s.public, s.public+"/par"
		return
	}
	res, err := http.Get(s.public + strings.TrimSuffix(s.metadata, "/") + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var metadata struct {
		Issuer                string `json:"issuer"`
		PushEndpoint          string `json:"pushed_authorization_request_endpoint"`
		Required              bool   `json:"require_pushed_authorization_requests"`
		AuthorizationEndpoint string `json:"authorization_endpoint"`
	}
	if err := json.NewDecoder(res.Body).Decode(&metadata); err != nil {
		t.Fatal(err)
	}
	if !metadata.Required || metadata.AuthorizationEndpoint != s.public+s.authorize {
		t.Fatalf("metadata: %+v", metadata)
	}
	s.issuer, s.endpoint = metadata.Issuer, metadata.PushEndpoint
}

// ask makes an authorization request, as big as the server takes it, and by itself without what it would lose of it.
func (s *site) ask() authorization {
	a := newAuthorization(s.scope, cmp.Or(s.size, bigRequest))
	if s.native && s.losesPlus {
		a = a.with("state", a.canaries["state"])
	}
	if s.native && s.losesNonce {
		a = a.with("nonce", "")
	}
	return a
}

// begin returns what the client sends the browser to: all of a request, or what the push endpoint has given for it.
func (s *site) begin(t testing.TB, a authorization) request {
	t.Helper()
	if s.forget != nil {
		s.forget()
	}
	if s.native {
		return request{method: http.MethodGet, url: s.public + s.authorize + "?" + a.form.Encode()}
	}
	res := harness.NewBrowser(s.public).Post(t, s.endpoint, a.form.Encode(), func(r *http.Request) { r.SetBasicAuth(clientID, clientSecret) })
	if res.Status != http.StatusCreated {
		t.Fatalf("push = %d %s", res.Status, res.Body)
	}
	uri, _ := res.JSON(t)["request_uri"].(string)
	short := url.Values{"client_id": {clientID}, "request_uri": {uri}}
	return request{method: http.MethodGet, url: s.public + s.authorize + "?" + short.Encode()}
}

// wantResponse checks what every authorization response must have.
func (s *site) wantResponse(t testing.TB, e ending, a authorization) {
	t.Helper()
	if e.params == nil {
		t.Fatal(e)
	}
	if e.at != redirectURI {
		t.Errorf("the response arrived at %s", e.at)
	}
	if got := e.params["iss"]; !slices.Equal(got, []string{s.issuer}) {
		t.Errorf("iss = %q, want %q once", got, s.issuer)
	}
	if got := e.params.Get("state"); got != a.form.Get("state") {
		t.Errorf("state = %q, want %q", got, a.form.Get("state"))
	}
}

// wantCode checks a response with a code, and what the code stands for.
func (s *site) wantCode(t testing.TB, e ending, a authorization) {
	t.Helper()
	s.wantResponse(t, e, a)
	claims := s.wantTokens(t, s.public, e, a)
	if s.idToken && claims["iss"] != s.issuer {
		t.Errorf("the ID token is from %v, want %s", claims["iss"], s.issuer)
	}
}

// wantRefusal checks that the gateway refused a request with its page.
func wantRefusal(t testing.TB, what string, s *step) {
	t.Helper()
	if s.status != http.StatusBadRequest || s.location != "" {
		t.Errorf("%s: %d %s %.300s", what, s.status, s.location, s.answer)
	}
}

// wantUnseen checks that the browser saw nothing of the request but what the server's own pages show.
func (s *site) wantUnseen(t testing.TB, seen sightings) {
	t.Helper()
	for where := range seen {
		if where != inHiddenField && where != inText {
			t.Errorf("before the response, %s show %v", where, seen.names(where))
		}
	}
	if s.hidden != (seen[inHiddenField] != nil) {
		t.Errorf("hidden fields have %v", seen.names(inHiddenField))
	}
}
