package clients

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/test/harness"
)

// application is a client that uses golang.org/x/oauth2 and pushes by itself.
type application struct {
	oauth2.Config
	push     string // the push endpoint
	issuer   string // as the metadata has it
	prove    proof
	verifier string
}

// proof adds a client's credentials to the form of a push, or to the request that will carry it.
type proof func(form url.Values) func(*http.Request)

// newApplication reads the gateway's metadata.
func newApplication(t *testing.T, g *harness.Gateway, id string, prove proof) *application {
	t.Helper()
	metadata := harness.NewBrowser(g.URL).Get(t, "/.well-known/openid-configuration").JSON(t)
	member := func(name string) string {
		value, _ := metadata[name].(string)
		return value
	}
	return &application{
		Config: oauth2.Config{ClientID: id, ClientSecret: oddSecret, RedirectURL: redirectURI, Scopes: []string{"openid"}, Endpoint: oauth2.Endpoint{
			AuthURL: member("authorization_endpoint"), TokenURL: member("token_endpoint"), AuthStyle: oauth2.AuthStyleInParams,
		}},
		push: member("pushed_authorization_request_endpoint"), issuer: member("issuer"), prove: prove, verifier: oauth2.GenerateVerifier(),
	}
}

// pushed pushes what AuthCodeURL would have had in its query.
func (a *application) pushed(t *testing.T) harness.Response {
	t.Helper()
	u, err := url.Parse(a.AuthCodeURL(state, oauth2.S256ChallengeOption(a.verifier)))
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	change := a.prove(form)
	return harness.NewBrowser("").Post(t, a.push, form.Encode(), change)
}

// wantLogin goes through a whole login.
func (a *application) wantLogin(t *testing.T, g *harness.Gateway) {
	t.Helper()
	res := a.pushed(t)
	if res.Status != http.StatusCreated {
		t.Fatalf("push = %d %s", res.Status, res.Body)
	}
	requestURI, _ := res.JSON(t)["request_uri"].(string)
	short := url.Values{"client_id": {a.ClientID}, "request_uri": {requestURI}}
	response, err := url.Parse(logIn(t, g, harness.NewBrowser(g.URL), a.ClientID, a.Endpoint.AuthURL+"?"+short.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.Exchange(t.Context(), response.Query().Get("code"), oauth2.VerifierOption(a.verifier))
	if err != nil || token.AccessToken != "t0ken" {
		t.Errorf("no token: %+v %v", token, err)
	}
}

// asItStands sends the secret by Basic without the encoding that RFC 6749 §2.3.1 asks for, as many clients do.
func asItStands(id, secret string) proof {
	return func(url.Values) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
}

// inTheBody sends the secret in the form, whatever else is registered, as ASP.NET Core does.
func inTheBody(secret string) proof {
	return func(form url.Values) func(*http.Request) {
		form.Set("client_secret", secret)
		return unchanged
	}
}

func unchanged(*http.Request) {}

func TestASecretThatIsNotEncodedIsTaken(t *testing.T) {
	t.Parallel()
	g := start(t)
	newApplication(t, g, "basic", asItStands("basic", oddSecret)).wantLogin(t, g)
	newApplication(t, g, "basic", asItStands("basic", url.QueryEscape(oddSecret))).wantLogin(t, g)
	wantRefused(t, newApplication(t, g, "basic", asItStands("basic", oddSecret+"x")).pushed(t), "client authentication failed")
}

func TestASecretInTheBodyIsTakenBesideBasic(t *testing.T) {
	t.Parallel()
	g := start(t)
	newApplication(t, g, "both", inTheBody(oddSecret)).wantLogin(t, g)
	newApplication(t, g, "both", asItStands("both", oddSecret)).wantLogin(t, g)
	wantRefused(t, newApplication(t, g, "both", inTheBody("wrong")).pushed(t), "client authentication failed")
	wantRefused(t, newApplication(t, g, "basic", inTheBody(oddSecret)).pushed(t),
		"client_secret_post was used, but this client is registered for client_secret_basic")
}

func TestAssertionsNameTheAudienceThatTheirClientsChoose(t *testing.T) {
	t.Parallel()
	audiences := map[string]func(*application) string{
		"the token endpoint": func(a *application) string { return a.Endpoint.TokenURL }, // most clients in Java
		"the push endpoint":  func(a *application) string { return a.push },
		"the issuer":         func(a *application) string { return a.issuer },
	}
	for _, policy := range []client.Audience{client.AudienceRFC9126, client.AudienceIssuer} {
		g := start(t, func(o *proxy.Options) { o.Audience = policy })
		for name, audience := range audiences {
			t.Run(string(policy)+" "+name, func(t *testing.T) {
				t.Parallel()
				a := newApplication(t, g, "ES256", nil)
				a.prove = func(form url.Values) func(*http.Request) {
					harness.Assert(form, keys["ES256"].Sign(harness.Claims("ES256", audience(a), time.Now())))
					return unchanged
				}
				if policy == client.AudienceIssuer && name != "the issuer" {
					wantRefused(t, a.pushed(t), "client_assertion has another aud; use "+g.URL+", as one string")
					return
				}
				a.wantLogin(t, g)
			})
		}
	}
}

func wantRefused(t *testing.T, res harness.Response, description string) {
	t.Helper()
	if res.Status != http.StatusUnauthorized {
		t.Fatalf("push = %d %s, want 401", res.Status, res.Body)
	}
	if got := res.JSON(t); got["error"] != "invalid_client" || got["error_description"] != description {
		t.Errorf("push = %s, want invalid_client with %q", res.Body, description)
	}
}
