package clients

import (
	"cmp"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// asked is what a library is asked to log in with.
type asked struct {
	Issuer      string          `json:"issuer"`
	Client      string          `json:"client_id"`
	RedirectURI string          `json:"redirect_uri"`
	State       string          `json:"state"`
	Method      string          `json:"method"`
	Secret      string          `json:"secret,omitempty"`
	Algorithm   string          `json:"algorithm,omitempty"`
	Key         json.RawMessage `json:"key,omitempty"`
	TLS         *certificate    `json:"tls,omitempty"`

	Params   map[string]string `json:"params,omitempty"`   // further ones of the request
	Signed   bool              `json:"signed,omitempty"`   // in a request object
	Unpushed bool              `json:"unpushed,omitempty"` // which the browser then carries
	DPoP     bool              `json:"dpop,omitempty"`     // the push has a proof
}

func withSecret(id, method, secret string) asked {
	return asked{Client: id, Method: method, Secret: secret}
}

func withSigner(algorithm string, s *harness.Signer) asked {
	return asked{Client: s.KeyID, Method: "private_key_jwt", Algorithm: algorithm, Key: privateJWK(s)}
}

func privateJWK(s *harness.Signer) json.RawMessage {
	text, err := jose.JSONWebKey{Key: s.Key, KeyID: s.KeyID}.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return text
}

func TestLibrariesLogInWithEveryMethod(t *testing.T) {
	t.Parallel()
	g := start(t)
	each(t, func(t *testing.T, library *script) {
		for name, a := range map[string]asked{
			"client_secret_basic":                    withSecret("basic", "client_secret_basic", oddSecret),
			"client_secret_post":                     withSecret("post", "client_secret_post", oddSecret),
			"client_secret_basic, of two methods":    withSecret("both", "client_secret_basic", oddSecret),
			"client_secret_post, of two methods":     withSecret("both", "client_secret_post", oddSecret),
			"client_secret_jwt":                      withSecret("HS256", "client_secret_jwt", hmacSecret),
			"private_key_jwt with ES256":             withSigner("ES256", keys["ES256"]),
			"private_key_jwt with RS256":             withSigner("RS256", keys["RS256"]),
			"private_key_jwt with PS256":             withSigner("PS256", keys["PS256"]),
			"private_key_jwt with EdDSA":             withSigner("EdDSA", keys["EdDSA"]),
			"private_key_jwt with EdDSA, as Ed25519": withSigner("Ed25519", keys["EdDSA"]),
			"none":                                   withSecret("none", "none", ""),
		} {
			t.Run(name, func(t *testing.T) { wantLogin(t, g, harness.NewBrowser(g.URL), library, a) })
		}
		if library.name == "openid-client" {
			t.Run("a secret, and no method", func(t *testing.T) {
				wantLogin(t, g, harness.NewBrowser(g.URL), library, withSecret("both", "", oddSecret))
			})
		}
	})
}

func TestLibrariesSignTheirRequestsWithEveryAlgorithm(t *testing.T) {
	t.Parallel()
	g := start(t)
	each(t, func(t *testing.T, library *script) {
		for algorithm, key := range map[string]string{"ES256": "ES256", "RS256": "RS256", "PS256": "PS256", "EdDSA": "EdDSA", "Ed25519": "EdDSA"} {
			a := withSigner(algorithm, keys[key])
			a.Signed = true
			t.Run(algorithm, func(t *testing.T) { wantLogin(t, g, harness.NewBrowser(g.URL), library, a) })
		}
	})
}

func TestLibrariesNameTheIssuerAsAudience(t *testing.T) {
	t.Parallel()
	g := start(t, func(o *proxy.Options) { o.Audience = client.AudienceIssuer })
	each(t, func(t *testing.T, library *script) {
		for _, a := range []asked{withSigner("ES256", keys["ES256"]), withSecret("HS256", "client_secret_jwt", hmacSecret)} {
			t.Run(a.Method, func(t *testing.T) { wantLogin(t, g, harness.NewBrowser(g.URL), library, a) })
		}
	})
}

func TestLibrariesUnderstandThatAuthenticationFailed(t *testing.T) {
	t.Parallel()
	g := start(t)
	each(t, func(t *testing.T, library *script) {
		for name, a := range map[string]asked{
			"client_secret_basic":                       withSecret("basic", "client_secret_basic", "wrong"),
			"client_secret_post":                        withSecret("post", "client_secret_post", "wrong"),
			"client_secret_jwt":                         withSecret("HS256", "client_secret_jwt", "wrong"+hmacSecret),
			"private_key_jwt":                           withSigner("ES256", harness.NewSigner("ES256", "ES256")),
			"none, of a client that has a secret":       withSecret("post", "none", ""),
			"client_secret_post, of an unknown client":  withSecret("nobody", "client_secret_post", oddSecret),
			"client_secret_basic, of an unknown client": withSecret("nobody", "client_secret_basic", oddSecret),
		} {
			t.Run(name, func(t *testing.T) { wantRefusal(t, g, library, a) })
		}
	})
}

// TestLibrariesLogInWithACertificate has a gateway with a TLS listener of its own, as with TLS_CLIENT_CA_FILE.
func TestLibrariesLogInWithACertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g, browser := startTLS(t, ca)
	each(t, func(t *testing.T, library *script) {
		right := asked{Client: "tls", Method: "tls_client_auth", TLS: ca.issue(t, clientName)}
		t.Run("right", func(t *testing.T) { wantLogin(t, g, browser(), library, right) })
		other := right
		other.TLS = newAuthority(t).issue(t, clientName)
		other.TLS.CA = ca.pem
		t.Run("another authority's", func(t *testing.T) { wantRefusal(t, g, library, other) })
		none := right
		none.TLS = &certificate{CA: ca.pem}
		t.Run("none", func(t *testing.T) { wantRefusal(t, g, library, none) })
	})
}

// each runs a test with every library. A library is asked one thing after the other: starting Node takes longest.
func each(t *testing.T, test func(*testing.T, *script)) {
	t.Helper()
	dir := scripts(t)
	for _, name := range []string{"oauth4webapi", "openid-client"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, run(t, dir, name))
		})
	}
}

// startTLS starts a gateway behind TLS, and returns with it what makes browsers that trust it.
func startTLS(t *testing.T, ca *authority) (*harness.Gateway, func() *harness.Browser) {
	t.Helper()
	listener, issuer := ca.listen(t)
	up := upstream.New(t, withTokens, func(r *upstream.Recorder) { r.Issuer = issuer })
	g := harness.InFrontOf(t, listener, up.URL, harness.Setup{
		Clients: registered, Options: options(func(o *proxy.Options) { o.ClientRoots = ca.pool }),
	})
	g.URL = issuer
	return g, func() *harness.Browser { return ca.browser(issuer) }
}

// wantLogin lets the library push, logs somebody in, and lets it redeem the code.
func wantLogin(t *testing.T, g *harness.Gateway, browser *harness.Browser, library *script, a asked) {
	t.Helper()
	pushed := library.begin(t, g, a)
	if pushed.Failure != nil {
		t.Fatalf("the push failed: %+v", *pushed.Failure)
	}
	response := logIn(t, g, browser, a.Client, pushed.URL)
	switch done := library.ask(t, map[string]string{"response": response}); {
	case done.Failure != nil:
		t.Errorf("the response is refused: %+v", *done.Failure)
	case done.AccessToken != "t0ken":
		t.Errorf("no token: %+v", done)
	}
}

// wantRefusal lets the library push with a wrong credential. When an answer has a challenge, both libraries throw that
// and leave the body, with the error's code, to the application.
func wantRefusal(t *testing.T, g *harness.Gateway, library *script, a asked) {
	t.Helper()
	f := library.begin(t, g, a).Failure
	if f == nil {
		t.Fatal("the push succeeded")
	}
	challenged := f.Name == "WWWAuthenticateChallengeError" && len(f.Challenges) == 1 && f.Challenges[0].Scheme == "basic"
	switch code := cmp.Or(f.Error, f.Body.Error); {
	case f.Status != http.StatusUnauthorized, code != "invalid_client", !challenged && f.Name != "ResponseBodyError":
		t.Errorf("the push failed otherwise: %+v", *f)
	case a.Method == "client_secret_basic" && !challenged:
		t.Errorf("no challenge: %+v", *f) // RFC 6749 §5.2
	}
}

func (s *script) begin(t *testing.T, g *harness.Gateway, a asked) answer {
	t.Helper()
	a.Issuer, a.RedirectURI, a.State = g.URL, redirectURI, state
	return s.ask(t, a)
}
