package clients

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/test/harness"
	"pargate/test/upstream/pattern"
)

// conformancePrefix begins the name of every module of the OpenID conformance suite for FAPI 2.0.
const conformancePrefix = "fapi2-security-profile-final-"

// The clients of oidc-provider: one that need not sign its requests, and one that must.
var atProvider = `[` + withES256("free", "") + `, ` + withES256("strict", `"require_signed_request_object": true, "request_object_signing_alg": "ES256",`) + `]`

func withES256(id, members string) string {
	return `{"client_id": "` + id + `", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", ` + members + `
	"jwks": ` + harness.KeySet(keys["ES256"]) + `, ` + uris + `}`
}

// provider is oidc-provider with a gateway in front.
type provider struct {
	*harness.Gateway
	library *script
	server  *script
}

// startProvider starts both for a library.
func startProvider(t *testing.T, library *script) *provider {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, address := runProvider(t, library.dir, "http://"+listener.Addr().String(), atProvider)
	return &provider{harness.InFrontOf(t, listener, address, harness.Setup{Clients: atProvider, Options: options()}), library, server}
}

// runProvider starts oidc-provider for an issuer, and returns its address.
func runProvider(t *testing.T, dir, issuer, clients string) (server *script, address string) {
	t.Helper()
	server = run(t, dir, "oidc-provider")
	started := server.ask(t, map[string]any{"issuer": issuer, "redirect_uri": redirectURI, "clients": json.RawMessage(clients)})
	if started.Failure != nil {
		t.Fatalf("oidc-provider does not start: %+v", *started.Failure)
	}
	return server, started.URL
}

// login is one that a library begins.
type login struct {
	signed, unpushed, dpop bool
	params                 map[string]string // beside the usual
}

// begin lets the library push, or only sign, a request with a state of its own.
func (p *provider) begin(t *testing.T, client string, l login) (asked, answer) {
	t.Helper()
	a := withSigner("ES256", keys["ES256"])
	a.Client, a.Issuer, a.RedirectURI, a.State = client, p.URL, redirectURI, rand.Text()
	a.Signed, a.Unpushed, a.DPoP = l.signed, l.unpushed, l.dpop
	a.Params = map[string]string{"nonce": rand.Text()}
	maps.Copy(a.Params, l.params)
	return a, p.library.ask(t, a)
}

// signIn begins a login and goes through oidc-provider's pages, to the response that the library gets.
func (p *provider) signIn(t *testing.T, client string, l login) (a asked, response string) {
	t.Helper()
	a, begun := p.begin(t, client, l)
	if begun.Failure != nil {
		t.Fatalf("there is no request: %+v", *begun.Failure)
	}
	wanted := []string{"client_id", "request_uri"}
	if l.unpushed {
		wanted[1] = "request"
	}
	if got := names(t, begun.URL); !slices.Equal(got, wanted) {
		t.Errorf("the browser is sent with %v, want %v", got, wanted)
	}
	person := harness.Login{Browser: harness.NewBrowser(p.URL)}
	end := person.From(t, begun.URL)
	if end.Code() == "" || end.Params.Get("state") != a.State || end.Params.Get("iss") != p.URL {
		t.Fatalf("the login ended with %v:\n%s", end.Params, person.Trace)
	}
	return a, end.URI
}

// names returns the names of the parameters in an address, sorted.
func names(t *testing.T, address string) (all []string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range u.Query() {
		for range values {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// redeem lets the library redeem the code; key says with which key it proves the request: own, other or none.
func (p *provider) redeem(t *testing.T, response, key string) answer {
	t.Helper()
	return p.library.ask(t, map[string]string{"response": response, "key": key})
}

// wantTokens goes through a whole login. The library itself verifies the ID token, and asks for the user with the access
// token; whether that is bound to its key is for oidc-provider to say.
func (p *provider) wantTokens(t *testing.T, client string, l login) {
	t.Helper()
	a, response := p.signIn(t, client, l)
	key, tokenType := "none", "Bearer"
	if l.dpop {
		key, tokenType = "own", "DPoP"
	}
	done := p.redeem(t, response, key)
	if done.Failure != nil {
		t.Fatalf("the code does not redeem: %+v", *done.Failure)
	}
	if done.Subject != pattern.User || !strings.EqualFold(done.TokenType, tokenType) {
		t.Errorf("a token for %s is %s, want %s for %s", done.Subject, done.TokenType, tokenType, pattern.User)
	}
	bound := done.Introspection
	if !bound.Active || bound.TokenType != tokenType || bound.Confirmation.Thumbprint != done.Thumbprint || l.dpop != (done.Thumbprint != "") {
		t.Errorf("the token is %+v, want one of the key %q", bound, done.Thumbprint)
	}
	believed := p.about(t, a).Accepted
	wanted := map[string]string{"state": a.State, "redirect_uri": redirectURI, "dpop_jkt": done.Thumbprint, "request": "", "request_uri": ""}
	maps.Copy(wanted, a.Params)
	for name, value := range wanted {
		if believed[name] != value {
			t.Errorf("oidc-provider has %s %q, want %q", name, believed[name], value)
		}
	}
	if got, want := string(bound.Details), wanted["authorization_details"]; got != want {
		t.Errorf("the token is for %s, want %s", got, want)
	}
	if l.dpop {
		p.wantNoBearer(t, done.AccessToken)
	}
}

// about asks oidc-provider what it has come to believe.
func (p *provider) about(t *testing.T, a asked) answer {
	t.Helper()
	return p.server.ask(t, map[string]string{"state": a.State})
}

// wantNoBearer: whoever finds a bound token can do nothing with it.
func (p *provider) wantNoBearer(t *testing.T, token string) {
	t.Helper()
	res := harness.NewBrowser(p.URL).Get(t, "/me", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
	if res.Status != http.StatusUnauthorized || !strings.Contains(res.Body, "invalid_token") {
		t.Errorf("a bound token without a proof = %d %s", res.Status, res.Body)
	}
}

// wantBound goes through logins whose push names the library's key: only this one redeems a code.
func (p *provider) wantBound(t *testing.T, l login) {
	t.Helper()
	for _, key := range []string{"other", "none"} {
		_, response := p.signIn(t, "free", l)
		p.wantUnredeemed(t, response, key)
	}
	_, response := p.signIn(t, "free", l)
	if done := p.redeem(t, response, "own"); done.Failure != nil || !strings.EqualFold(done.TokenType, "DPoP") {
		t.Errorf("with its own key the code gives %+v, %+v", done, done.Failure)
	}
}

// wantUnredeemed redeems a code that is bound to a key, with another key or none.
func (p *provider) wantUnredeemed(t *testing.T, response, key string) {
	t.Helper()
	switch done := p.redeem(t, response, key); {
	case done.Failure == nil:
		t.Errorf("a code redeems with the key %s", key)
	case done.Failure.Status != http.StatusBadRequest, done.Failure.Error != "invalid_grant" && done.Failure.Error != "invalid_dpop_proof":
		t.Errorf("the code is refused otherwise: %+v", *done.Failure)
	}
}

func TestLibrariesSignTheirRequestsAndBindTheirTokensAtOidcProvider(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, library *script) {
		p := startProvider(t, library)
		t.Run("a signed push", func(t *testing.T) { p.wantTokens(t, "strict", login{signed: true}) })
		t.Run("a large signed push", func(t *testing.T) {
			p.wantTokens(t, "strict", login{signed: true, params: map[string]string{
				"claims": manyClaims(50), "authorization_details": payments(20), "resource": "https://bank.example/",
			}})
		})
		t.Run("a signed request that is not pushed", func(t *testing.T) { p.wantTokens(t, "strict", login{signed: true, unpushed: true}) })
		t.Run("an unsigned push of a client that must sign", func(t *testing.T) {
			_, begun := p.begin(t, "strict", login{})
			if f := begun.Failure; f == nil || f.Name != "ResponseBodyError" || f.Status != http.StatusBadRequest || f.Error != "invalid_request" ||
				f.Description != "this client must push a signed request object, in the parameter request" {
				t.Errorf("the library says %+v", f)
			}
		})
		t.Run("an unsigned request that is not pushed, of a client that must sign", func(t *testing.T) {
			unsigned := url.Values{"client_id": {"strict"}, "response_type": {"code"}, "redirect_uri": {redirectURI}, "scope": {"openid"}}
			res := harness.NewBrowser(p.URL).Get(t, "/auth?"+unsigned.Encode())
			if res.Status != http.StatusBadRequest || res.Location != "" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				t.Errorf("the browser gets %d %s", res.Status, res.Location)
			}
		})
		t.Run("a push with a proof, and the next one with the server's nonce in it", func(t *testing.T) {
			p.wantTokens(t, "free", login{dpop: true})
			p.wantTokens(t, "free", login{dpop: true})
			if got := p.about(t, asked{}).Nonces; got != 1 {
				t.Errorf("oidc-provider has asked for a nonce %d times, want once, in the first proof that it saw", got)
			}
		})
		t.Run("a signed push with a proof", func(t *testing.T) { p.wantTokens(t, "strict", login{signed: true, dpop: true}) })
		t.Run(conformancePrefix+"ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt", func(t *testing.T) {
			p.wantBound(t, login{dpop: true})
		})
		t.Run(conformancePrefix+"ensure-token-endpoint-fails-with-mismatched-dpop-jkt", func(t *testing.T) {
			_, response := p.signIn(t, "free", login{dpop: true})
			own := p.redeem(t, response, "own").Thumbprint
			p.wantBound(t, login{params: map[string]string{"dpop_jkt": own}})
		})
	})
}

// manyClaims asks for n claims (OpenID Connect Core §5.5). It is written as the libraries write JSON.
func manyClaims(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"https://claims.example/ü-%d":{"essential":true}`, i))
	}
	return `{"id_token":{` + strings.Join(all, ",") + `}}`
}

// payments asks for n payments (RFC 9396), in the same way.
func payments(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"type":"payment","amount":%d.5,"to":"Zoë & Söhne"}`, i))
	}
	return "[" + strings.Join(all, ",") + "]"
}
