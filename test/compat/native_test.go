//go:build compat

package compat

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestNative walks through every server's login without a gateway: what fails here is not pargate's, and what
// succeeds here for somebody who changes requests is what pargate is for.
func TestNative(t *testing.T) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.need(t)
			addr := freeAddr(t)
			here := &site{server: s, public: s.at(addr), native: true}
			here.forget = s.start(t, place{addr: addr, public: here.public})
			t.Run("login", func(t *testing.T) {
				a := here.ask()
				b := newBrowser(t, here.public)
				s.wantTokens(t, here.public, b.logIn(person{server: s}, here.begin(t, a)), a)
				written.set(s.name, seenNatively, b.saw(a).places())
			})
			t.Run("another verifier", func(t *testing.T) {
				e := newBrowser(t, here.public).logIn(person{server: s}, here.begin(t, here.ask()))
				if status, _ := s.redeem(t, here.public, e.params.Get("code"), "another-verifier-that-the-client-does-not-know-of"); status == http.StatusOK {
					t.Error("a code was redeemed with another verifier")
				}
			})
			t.Run("changed", func(t *testing.T) {
				tried, obeyed := here.tryChanges(t)
				if len(obeyed) == 0 {
					t.Error("no change was obeyed: the test changes nothing")
				}
				written.set(s.name, changedNatively, fmt.Sprintf("%d of %d", len(obeyed), tried))
			})
		})
	}
}

// tokens is a token response, as far as it is looked at.
type tokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
	Scope       string `json:"scope"`
	Nonce       string `json:"nonce"` // oauth2orize's set-up
	Error       string `json:"error"`
}

// redeem redeems a code as the registered client.
func (s *server) redeem(t testing.TB, base, code, verifier string) (status int, got tokens) {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}}
	req, err := http.NewRequest(http.MethodPost, base+s.token, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(clientID, clientSecret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	json.NewDecoder(res.Body).Decode(&got)
	return res.StatusCode, got
}

// wantTokens redeems the code of a login and checks that what comes of it is what the request asked for. It returns the
// claims of the ID token, if there is one.
func (s *server) wantTokens(t testing.TB, base string, e ending, a authorization) (claims map[string]any) {
	t.Helper()
	code := e.params.Get("code")
	if code == "" {
		t.Fatal(e)
	}
	if got := e.params.Get("state"); got != a.form.Get("state") {
		t.Errorf("state = %q, want %q", got, a.form.Get("state"))
	}
	status, got := s.redeem(t, base, code, a.verifier)
	if status != http.StatusOK || got.AccessToken == "" {
		t.Fatalf("token: %d %+v", status, got)
	}
	if got.Scope != "" && got.Scope != a.form.Get("scope") {
		t.Errorf("scope = %q, want %q", got.Scope, a.form.Get("scope"))
	}
	nonce := got.Nonce
	if s.idToken {
		claims = claimsOf(t, got.IDToken)
		nonce, _ = claims["nonce"].(string)
	}
	if (s.idToken || nonce != "") && nonce != a.form.Get("nonce") {
		t.Errorf("nonce = %q, want %q", nonce, a.form.Get("nonce"))
	}
	return claims
}

// claimsOf reads an ID token's claims; its signature is the client's business.
func claimsOf(t testing.TB, idToken string) map[string]any {
	t.Helper()
	parts := strings.Split(idToken, ".")
	if len(parts) != 3 {
		t.Fatalf("no ID token: %q", idToken)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
