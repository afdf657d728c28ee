package clients

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

const (
	redirectURI = "https://app.example/cb"
	state       = "st4te"

	oddSecret  = "p+ss:%ü-_.!" // has what encodings trip over
	hmacSecret = "a s3cret of thirty-two bytes or more"
)

// The keys of the clients for private_key_jwt, which have the names of their algorithms.
var keys = map[string]*harness.Signer{
	"ES256": harness.NewSigner("ES256", "ES256"), "RS256": harness.NewSigner("RS256", "RS256"),
	"PS256": harness.NewSigner("PS256", "PS256"), "EdDSA": harness.NewSigner("EdDSA", "EdDSA"),
}

// registered is the client file: a client for each method, and for each algorithm.
var registered = `[
	{"client_id": "basic", "client_secret": "` + oddSecret + `", "token_endpoint_auth_method": "client_secret_basic", ` + uris + `},
	{"client_id": "post", "client_secret": "` + oddSecret + `", "token_endpoint_auth_method": "client_secret_post", ` + uris + `},
	{"client_id": "both", "client_secret": "` + oddSecret + `", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"], ` + uris + `},
	{"client_id": "HS256", "client_secret": "` + hmacSecret + `", "token_endpoint_auth_method": "client_secret_jwt", ` + uris + `},
	` + withKey("ES256") + withKey("RS256") + withKey("PS256") + withKey("EdDSA") + `
	{"client_id": "tls", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=tls,O=Example\\2c Inc.", ` + uris + `},
	{"client_id": "none", "token_endpoint_auth_method": "none", ` + uris + `}
]`

const uris = `"redirect_uris": ["` + redirectURI + `"]`

func withKey(algorithm string) string {
	return `{"client_id": "` + algorithm + `", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "` + algorithm + `",
	"jwks": ` + harness.KeySet(keys[algorithm]) + `, ` + uris + `},`
}

// start starts a gateway that knows those clients and says that its responses have iss, in front of a stand-in with a
// token endpoint.
func start(t *testing.T, change ...func(*proxy.Options)) *harness.Gateway {
	t.Helper()
	return harness.Start(t, harness.Setup{Clients: registered, Upstream: withTokens, Options: options(change...)})
}

func options(change ...func(*proxy.Options)) func(*proxy.Options) {
	return func(o *proxy.Options) {
		o.Advertise = true
		for _, f := range change {
			f(o)
		}
	}
}

// withTokens gives the stand-in a token endpoint, which asks for a code_verifier and leaves it at that.
func withTokens(r *upstream.Recorder) {
	r.Handlers["/token"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("code") != "c0de" || len(r.FormValue("code_verifier")) < 43 {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		w.Write([]byte(`{"access_token":"t0ken","token_type":"Bearer","expires_in":60}`))
	}
}

// logIn opens the URL of a pushed request, logs somebody in and returns the authorization response.
func logIn(t *testing.T, g *harness.Gateway, browser *harness.Browser, client, pushed string) (response string) {
	t.Helper()
	u, err := url.Parse(pushed)
	if err != nil || !strings.HasPrefix(pushed, g.URL+"/authorize?") {
		t.Fatalf("the URL is %s", pushed)
	}
	if q := u.Query(); len(q) != 2 || q.Get("client_id") != client || !strings.HasPrefix(q.Get("request_uri"), "urn:ietf:params:oauth:request_uri:") {
		t.Errorf("the URL is %s", pushed)
	}
	res := browser.LogIn(t, browser.Get(t, pushed))
	back, err := url.Parse(res.Location)
	if err != nil || !strings.HasPrefix(res.Location, redirectURI+"?") {
		t.Fatalf("the login ended with %d %s %s", res.Status, res.Location, res.Body)
	}
	if got, want := back.Query().Encode(), (url.Values{"code": {"c0de"}, "state": {state}, "iss": {g.URL}}).Encode(); got != want {
		t.Errorf("the response is %s, want %s", got, want)
	}
	return res.Location
}
