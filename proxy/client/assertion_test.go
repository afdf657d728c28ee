package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
	"pargate/test/harness"
)

// now is the time of the tests with assertions.
var now = time.Unix(1_800_000_000, 500_000_000)

var (
	es384 = harness.NewSigner("ES384", "k3")
	es512 = harness.NewSigner("ES512", "k5")
	ed    = harness.NewSigner("EdDSA", "ed")
	other = harness.NewSigner("ES256", "k1") // with the kid of es256
	hs256 = &harness.Signer{Algorithm: "HS256", Key: []byte(longSecret)}
)

// as returns a signer with the key of s for another algorithm or kid.
func as(s *harness.Signer, algorithm, keyID string) *harness.Signer {
	return &harness.Signer{Algorithm: algorithm, KeyID: keyID, Key: s.Key}
}

var jwtClients = `[
	{"client_id": "es", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", ` + keys(es256.JWK()) + `},
	{"client_id": "ps", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", ` + keys(rs256.JWK()) + `},
	{"client_id": "any", "token_endpoint_auth_method": "private_key_jwt", ` + keys(es256.JWK(), es384.JWK(), es512.JWK(), rs256.JWK(), ed.JWK()) + `},
	{"client_id": "ed", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "Ed25519", ` + keys(ed.JWK("alg", "EdDSA")) + `},
	{"client_id": "nameless", "token_endpoint_auth_method": "private_key_jwt", ` + keys(es384.JWK("kid", nil), es256.JWK("kid", nil)) + `},
	{"client_id": "same kid", "token_endpoint_auth_method": "private_key_jwt", ` + keys(rs256.JWK("kid", "k1"), other.JWK("use", "enc"), es256.JWK()) + `},
	{"client_id": "bound", "token_endpoint_auth_method": "private_key_jwt", ` + keys(rs256.JWK("alg", "RS256"), es256.JWK()) + `},
	{"client_id": "hs", "token_endpoint_auth_method": "client_secret_jwt", "client_secret": "` + longSecret + `"},
	{"client_id": "long", "token_endpoint_auth_method": "client_secret_jwt", "client_secret": "` + longSecret + longSecret + `"},
	{"client_id": "longest", "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "HS512", "client_secret": "` + longSecret + longSecret + `"},
	{"client_id": "strict", "token_endpoint_auth_method": "private_key_jwt", "assertion_audience": "issuer", ` + keys(es256.JWK()) + `},
	{"client_id": "basic", "client_secret": "` + longSecret + `"},
	{"client_id": "cert", "token_endpoint_auth_method": "self_signed_tls_client_auth", ` + keys(es256.JWK()) + `}
]`

// assertionForm is a push with an assertion, and whatever else.
func assertionForm(assertion string, more ...string) oauth.Params {
	form := oauth.Params{{Name: "client_assertion_type", Value: harness.AssertionType}, {Name: "client_assertion", Value: assertion}}
	for i := 0; i+1 < len(more); i += 2 {
		form = append(form, oauth.Param{Name: more[i], Value: more[i+1]})
	}
	return form
}

// push authenticates as the push endpoint does.
func push(t testing.TB, a *client.Authenticator, form oauth.Params) (*client.Client, error) {
	t.Helper()
	cred, params, err := client.Read(http.Header{}, form)
	if err != nil {
		return nil, err
	}
	if params.Get("client_assertion")+params.Get("client_assertion_type") != "" {
		t.Errorf("the assertion is part of the request: %v", params)
	}
	return a.Authenticate(t.Context(), cred, server)
}

func atNow(o *client.Options) { o.Now = func() time.Time { return now } }

// claimsOf are those of a right assertion, with the named changes.
func claimsOf(id string, changes ...any) map[string]any {
	return harness.Claims(id, server.Issuer, now, changes...)
}

// told is an error as its client is told it; empty when there is none.
func told(err error) string {
	var e *oauth.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return "not an *oauth.Error: " + err.Error()
	}
	return fmt.Sprintf("%d %s %s", e.Status, e.Code, e.Description)
}

const (
	authFailed = "401 invalid_client client authentication failed"
	invalid    = "401 invalid_client client_assertion "
	compact    = invalid + "is not a signed JWT in compact serialization"
)

// hostile are assertions that prove nothing, each with what is told of it.
var hostile = []struct{ name, assertion, want string }{
	// E-01: none, confusion, weak algorithms.
	{"none", unsigned("none"), invalid + "has an alg that is not supported"},
	{"None", unsigned("None"), invalid + "has an alg that is not supported"},
	{"nOnE", unsigned("nOnE"), invalid + "has an alg that is not supported"},
	{"no alg", es256.Sign(claimsOf("es"), "alg", nil), invalid + "has no alg in its header"},
	{"a number for alg", es256.Sign(claimsOf("es"), "alg", 256), invalid + "has no alg in its header"},
	{"no signature", unsigned("ES256"), authFailed},
	{"HS256 with the public key in PEM", hmacWith(pemOf(es256), "k1"), authFailed},
	{"HS256 with the public key in DER", hmacWith(derOf(es256), "k1"), authFailed},
	{"HS256 with the public JWK", hmacWith([]byte(es256.JWK()), "k1"), authFailed},
	{"HS256 with an empty secret", hmacWith(nil, ""), authFailed},
	{"RS256 where PS256 is registered", as(rs256, "RS256", "r1").Sign(claimsOf("ps")), invalid + "is signed with RS256, but this client is registered for PS256"},
	{"PS384 where PS256 is registered", as(rs256, "PS384", "r1").Sign(claimsOf("ps")), invalid + "is signed with PS384, but this client is registered for PS256"},
	{"HS512 where HS256 is meant", (&harness.Signer{Algorithm: "HS512", Key: []byte(longSecret + longSecret)}).Sign(claimsOf("long")),
		invalid + "is signed with HS512, but this client is registered for HS256"},
	{"HS256 where HS512 is registered", (&harness.Signer{Algorithm: "HS256", Key: []byte(longSecret + longSecret)}).Sign(claimsOf("longest")),
		invalid + "is signed with HS256, but this client is registered for HS512"},
	{"r and s are zero", withSignature(es256.Sign(claimsOf("es")), make([]byte, 64)), authFailed},
	{"a signature in DER", withSignature(es256.Sign(claimsOf("es")), derSignature()), authFailed},
	{"a signature of another curve", es384.Sign(claimsOf("es"), "alg", "ES256", "kid", "k1"), authFailed},
	{"a curve that the alg is not for", es384.Sign(claimsOf("any"), "alg", "ES256"), authFailed},
	{"somebody else's key with this kid", other.Sign(claimsOf("es")), authFailed},
	{"an algorithm of a later library", es256.Sign(claimsOf("es"), "alg", "ML-DSA-44"), invalid + "has an alg that is not supported"}, // E-12
	{"ES256K", es256.Sign(claimsOf("es"), "alg", "ES256K"), invalid + "has an alg that is not supported"},
	{"an algorithm of encryption", es256.Sign(claimsOf("es"), "alg", "RSA-OAEP"), invalid + "has an alg that is not supported"},
	{"es256 in another case", es256.Sign(claimsOf("es"), "alg", "es256"), invalid + "has an alg that is not supported"},
	{"a key for another algorithm", as(rs256, "PS256", "r1").Sign(claimsOf("bound")), authFailed},

	// E-02: kid.
	{"a kid that is a path", es256.Sign(claimsOf("es"), "kid", "../../k1"), authFailed},
	{"a kid that is SQL", es256.Sign(claimsOf("es"), "kid", "k1' OR 1=1 --"), authFailed},
	{"a kid in another case", es256.Sign(claimsOf("es"), "kid", "K1"), authFailed},
	{"a huge kid", es256.Sign(claimsOf("es"), "kid", strings.Repeat("k", 10<<10)), invalid + "has a kid that is not a string of at most 256 bytes"},
	{"a kid that is an array", es256.Sign(claimsOf("es"), "kid", []string{"k1"}), invalid + "has a kid that is not a string of at most 256 bytes"},
	{"the kid of a key for encryption", other.Sign(claimsOf("same kid")), authFailed},

	// E-03, E-05: headers that bring keys or rules.
	{"jku", es256.Sign(claimsOf("es"), "jku", "https://evil.example/jwks"), invalid + "has jku in its header, which is not supported"},
	{"x5u", es256.Sign(claimsOf("es"), "x5u", "https://evil.example/x5u"), invalid + "has x5u in its header, which is not supported"},
	{"x5c", es256.Sign(claimsOf("es"), "x5c", []string{"AA"}), invalid + "has x5c in its header, which is not supported"},
	{"jwk", other.Sign(claimsOf("es"), "jwk", json.RawMessage(other.JWK())), invalid + "has jwk in its header, which is not supported"},
	{"jwk null", es256.Sign(claimsOf("es"), "jwk", json.RawMessage("null")), invalid + "has jwk in its header, which is not supported"},
	{"crit", es256.Sign(claimsOf("es"), "crit", []string{"x"}, "x", 1), invalid + "has crit in its header, which is not supported"},
	{"an empty crit", es256.Sign(claimsOf("es"), "crit", []string{}), invalid + "has crit in its header, which is not supported"},
	{"b64 in crit", es256.Sign(claimsOf("es"), "crit", []string{"b64"}, "b64", false), invalid + "has crit in its header, which is not supported"},
	{"b64 alone", es256.Sign(claimsOf("es"), "b64", false), invalid + "has b64 in its header, which is not supported"},
	{"zip", es256.Sign(claimsOf("es"), "zip", "DEF"), invalid + "has zip in its header, which is not supported"},

	// E-04: encryption.
	{"a JWE", "e30.e30.e30.e30.e30", invalid + "is encrypted, which is not supported"},
	{"a JWE in three parts", es256.Sign(claimsOf("es"), "enc", "A256GCM", "alg", "dir"), invalid + "has enc in its header, which is not supported"},

	// E-06: other kinds of JWT.
	{"a request object", es256.Sign(claimsOf("es"), "typ", "oauth-authz-req+jwt"), invalid + "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"},
	{"a DPoP proof", es256.Sign(claimsOf("es"), "typ", "dpop+jwt"), invalid + "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"},
	{"an access token", es256.Sign(claimsOf("es"), "typ", "application/at+jwt"), invalid + "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"},
	{"a logout token", es256.Sign(claimsOf("es"), "typ", "logout+jwt"), invalid + "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"},
	{"a typ that is a number", es256.Sign(claimsOf("es"), "typ", 1), invalid + "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"},
	{"an empty typ", es256.Sign(claimsOf("es"), "typ", ""), invalid + "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"},
	{"an ID token", es256.Sign(claimsOf("es", "iss", server.Issuer, "aud", "es")), invalid + "must have the client_id as both iss and sub"},
	{"a request object without a type", es256.Sign(claimsOf("es", "sub", nil)), invalid + "must have the client_id as both iss and sub"},

	// iss and sub.
	{"another sub", es256.Sign(claimsOf("es", "sub", "any")), invalid + "must have the client_id as both iss and sub"},
	{"no iss", es256.Sign(claimsOf("es", "iss", nil)), invalid + "must have the client_id as both iss and sub"},
	{"iss and sub null", es256.Sign(claimsOf("es", "iss", json.RawMessage("null"), "sub", json.RawMessage("null"))), invalid + "must have the client_id as both iss and sub"},
	{"empty iss and sub", es256.Sign(claimsOf("", "iss", "", "sub", "")), invalid + "must have the client_id as both iss and sub"},
	{"iss in another case", es256.Sign(claimsOf("es", "iss", nil, "ISS", "es")), invalid + "must have the client_id as both iss and sub"},
	{"a repeated claim", es256.SignText(`{"iss":"any","iss":"es","sub":"es","aud":"https://as.example","jti":"1","exp":1800000060}`),
		invalid + "has claims that are not a JSON object without repetitions"},
	{"a repeated header", es256.SignRaw(`{"alg":"none","alg":"ES256","kid":"k1"}`, `{}`), invalid + "has a header that is not a JSON object without repetitions"},
	{"another client's name", es256.Sign(claimsOf("ps")), authFailed},
	{"nobody's name", es256.Sign(claimsOf("nobody")), authFailed},
	{"a client without keys", es256.Sign(claimsOf("basic")), authFailed},
	{"a client without a secret that is kept", hs256.Sign(claimsOf("basic")), authFailed},
	{"a client with keys for something else", es256.Sign(claimsOf("cert")), "401 invalid_client private_key_jwt was used, but this client is registered for self_signed_tls_client_auth"},

	// E-07: aud.
	{"no aud", es256.Sign(claimsOf("es", "aud", nil)), invalid + "has no aud"},
	{"an empty aud", es256.Sign(claimsOf("es", "aud", []string{})), invalid + "has an aud that is neither a string nor an array of strings"},
	{"an aud with a number", es256.Sign(claimsOf("es", "aud", []any{server.Issuer, 1})), invalid + "has an aud that is neither a string nor an array of strings"},
	{"an aud that is an object", es256.Sign(claimsOf("es", "aud", map[string]any{})), invalid + "has an aud that is neither a string nor an array of strings"},
	{"an aud that is null", es256.Sign(claimsOf("es", "aud", json.RawMessage("null"))), invalid + "has an aud that is neither a string nor an array of strings"},

	// E-08, E-09: jti and times.
	{"no jti", es256.Sign(claimsOf("es", "jti", nil)), invalid + "has no jti"},
	{"an empty jti", es256.Sign(claimsOf("es", "jti", "")), invalid + "has a jti that is not a string of 1 to 256 bytes"},
	{"a jti that is a number", es256.Sign(claimsOf("es", "jti", 7)), invalid + "has a jti that is not a string of 1 to 256 bytes"},
	{"a huge jti", es256.Sign(claimsOf("es", "jti", strings.Repeat("j", 257))), invalid + "has a jti that is not a string of 1 to 256 bytes"},
	{"no exp", es256.Sign(claimsOf("es", "exp", nil)), invalid + "has no exp"},
	{"exp null", es256.Sign(claimsOf("es", "exp", json.RawMessage("null"))), invalid + "has an exp that is not a time in seconds"},
	{"exp as a text", es256.Sign(claimsOf("es", "exp", "1800000060")), invalid + "has an exp that is not a time in seconds"},
	{"exp 1e18", es256.Sign(claimsOf("es", "exp", json.RawMessage("1e18"))), invalid + "has an exp that is not a time in seconds"},
	{"exp 1e400", es256.Sign(claimsOf("es", "exp", json.RawMessage("1e400"))), invalid + "has an exp that is not a time in seconds"},
	{"exp below zero", es256.Sign(claimsOf("es", "exp", -1)), invalid + "has an exp that is not a time in seconds"},
	{"exp five minutes ago", es256.Sign(claimsOf("es", "exp", now.Add(-5*time.Minute).Unix())), invalid + "has expired"},
	{"exp in a day", es256.Sign(claimsOf("es", "exp", now.Add(24*time.Hour).Unix())), invalid + "has an exp that is more than 60 minutes ahead"},
	{"exp in milliseconds", es256.Sign(claimsOf("es", "exp", now.Add(time.Minute).UnixMilli())), invalid + "has an exp that is not a time in seconds"},
	{"nbf ahead", es256.Sign(claimsOf("es", "nbf", now.Add(75*time.Second).Unix())), invalid + "has an nbf that lies ahead; set the clock"},
	{"iat ahead", es256.Sign(claimsOf("es", "iat", now.Add(75*time.Second).Unix())), invalid + "has an iat that lies ahead; set the clock"},
	{"nbf as a text", es256.Sign(claimsOf("es", "nbf", "0")), invalid + "has an nbf that is not a time in seconds"},

	// What is no compact JWS of JSON.
	{"a word", "x", compact},
	{"two parts", "e30.e30", compact},
	{"only dots", "..", invalid + "has a header that is not a JSON object without repetitions"},
	{"thousands of dots", strings.Repeat(".", 30<<10), compact},
	{"a line end in Base64", strings.Replace(es256.Sign(claimsOf("es")), ".", "\n.", 1), compact},
	{"a blank in front", " " + es256.Sign(claimsOf("es")), compact},
	{"bits behind the signature's end", trailing(es256.Sign(claimsOf("es"))), compact},
	{"bits behind the claims' end", "e30.e31.AA", compact},
	{"padding", strings.Replace(es256.Sign(claimsOf("es")), ".", "=.", 1), compact},
	{"the JSON serialization", `{"payload":"e30","protected":"e30","signature":"e30"}`, compact},
	{"a header that is an array", es256.SignRaw(`["ES256"]`, `{}`), invalid + "has a header that is not a JSON object without repetitions"},
	{"a header that is null", es256.SignRaw(`null`, `{}`), invalid + "has a header that is not a JSON object without repetitions"},
	{"a header of bad UTF-8", es256.SignRaw("{\"alg\":\"ES256\",\"x\":\"\xff\"}", `{}`), invalid + "has a header that is not a JSON object without repetitions"},
	{"claims that are an array", es256.SignText(`[]`), invalid + "has claims that are not a JSON object without repetitions"},
	{"claims that are null", es256.SignText(`null`), invalid + "has claims that are not a JSON object without repetitions"},
	{"claims of bad UTF-8", es256.SignText("{\"iss\":\"\xff\"}"), invalid + "has claims that are not a JSON object without repetitions"},
	{"claims with something behind", es256.SignText(`{} {}`), invalid + "has claims that are not a JSON object without repetitions"},
	{"too much of it", es256.Sign(claimsOf("es", "x", strings.Repeat("x", 32<<10))), invalid + "has more than 32768 bytes"},
	{"deep JSON", es256.SignText(strings.Repeat("[", 20<<10)), invalid + "has claims that are nested more than 32 times"},
}

func unsigned(algorithm string) string {
	token := es256.Sign(claimsOf("es"), "alg", algorithm)
	return token[:strings.LastIndexByte(token, '.')+1]
}

// trailing changes a bit of the text that no byte is made of: 64 bytes leave four of them.
func trailing(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])|1])
}

func hmacWith(key []byte, keyID string) string {
	return (&harness.Signer{Algorithm: "HS256", KeyID: keyID, Key: key}).Sign(claimsOf("es"))
}

func derOf(s *harness.Signer) []byte {
	der, err := x509.MarshalPKIXPublicKey(s.Key.(*ecdsa.PrivateKey).Public())
	if err != nil {
		panic(err)
	}
	return der
}

func pemOf(s *harness.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: derOf(s)})
}

func withSignature(token string, signature []byte) string {
	return token[:strings.LastIndexByte(token, '.')+1] + base64.RawURLEncoding.EncodeToString(signature)
}

func derSignature() []byte { return append([]byte{0x30, 0x44, 0x02, 0x20}, make([]byte, 60)...) }

func TestHostileAssertionsProveNothing(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := &marks{}
			a := authenticator(t, r, atNow, func(o *client.Options) { o.Marks = m })
			c, err := push(t, a, assertionForm(test.assertion))
			if got := told(err); c != nil || got != test.want {
				t.Errorf("%v, %s\nwant %s", c, got, test.want)
			}
			if len(m.seen) > 0 {
				t.Errorf("it has used a mark up: %v", m.seen)
			}
		})
	}
}

func TestRightAssertionsProveTheirClient(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	for _, test := range []struct{ name, client, assertion string }{
		{"ES256", "es", es256.Sign(claimsOf("es"))},
		{"PS256", "ps", as(rs256, "PS256", "r1").Sign(claimsOf("ps"))},
		{"HS256", "hs", hs256.Sign(claimsOf("hs"))},
		{"any: ES384", "any", es384.Sign(claimsOf("any"))},
		{"any: ES512", "any", es512.Sign(claimsOf("any"))},
		{"any: RS256", "any", rs256.Sign(claimsOf("any"))},
		{"any: PS512", "any", as(rs256, "PS512", "r1").Sign(claimsOf("any"))},
		{"any: EdDSA", "any", ed.Sign(claimsOf("any"))},
		{"any: Ed25519", "any", ed.Sign(claimsOf("any"), "alg", "Ed25519")},
		{"Ed25519 by its old name", "ed", ed.Sign(claimsOf("ed"))},
		{"no kid", "any", es512.Sign(claimsOf("any"), "kid", nil)},
		{"keys without a kid", "nameless", es256.Sign(claimsOf("nameless"))},
		{"keys and assertion without a kid", "nameless", es256.Sign(claimsOf("nameless"), "kid", nil)},
		{"a kid of two keys", "same kid", es256.Sign(claimsOf("same kid"))},
		{"HS512", "longest", (&harness.Signer{Algorithm: "HS512", Key: []byte(longSecret + longSecret)}).Sign(claimsOf("longest"))},
		{"typ JWT", "es", es256.Sign(claimsOf("es"), "typ", "JWT")},
		{"its own typ", "es", es256.Sign(claimsOf("es"), "typ", "client-authentication+jwt")},
		{"its own typ in full", "es", es256.Sign(claimsOf("es"), "typ", "application/Client-Authentication+JWT")},
		{"x5t", "es", es256.Sign(claimsOf("es"), "x5t", "abc")},
		{"further claims", "es", es256.Sign(claimsOf("es", "foo", map[string]any{"a": 1}, "ISS", "any"))},
		{"exp with a fraction", "es", es256.Sign(claimsOf("es", "exp", json.RawMessage("1800000060.25")))},
		{"exp in an hour", "es", es256.Sign(claimsOf("es", "exp", now.Add(time.Hour).Unix()))},
		{"a long jti", "es", es256.Sign(claimsOf("es", "jti", strings.Repeat("ü", 128)))},
		{"no iat", "es", es256.Sign(claimsOf("es", "iat", nil))},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := authenticator(t, r, atNow)
			for _, form := range []oauth.Params{assertionForm(test.assertion), assertionForm(test.assertion, "client_id", test.client)} {
				a := authenticator(t, r, atNow)
				if c, err := push(t, a, form); err != nil || c.ID != test.client {
					t.Errorf("%v: %v", c, err)
				}
			}
			if got := told(second(push(t, a, assertionForm(test.assertion, "client_id", "basic")))); got != "400 invalid_request client_id in the form is not the client of the client_assertion" {
				t.Errorf("beside another client_id: %s", got)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// The FAPI 2.0 suite wants 8 s ahead taken and more than 60 s refused.
func TestClocksMayDifferALittle(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	whole := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		claim   string
		seconds int // from now
		right   bool
	}{
		{"nbf", 8, true}, {"nbf", 10, true}, {"nbf", 30, true}, {"nbf", 31, false}, {"nbf", 60, false}, {"nbf", 75, false},
		{"iat", 8, true}, {"iat", 10, true}, {"iat", 30, true}, {"iat", 31, false}, {"iat", 61, false},
		{"iat", -86400, true}, {"nbf", -86400, true},
		{"exp", 1, true}, {"exp", 0, true}, {"exp", -9, true}, {"exp", -10, false}, {"exp", -50, false},
		{"exp", 3600, true}, {"exp", 3630, true}, {"exp", 3631, false}, {"exp", 86400, false},
	} {
		m := &marks{}
		a := authenticator(t, r, func(o *client.Options) { o.Now = func() time.Time { return whole }; o.Marks = m })
		_, err := push(t, a, assertionForm(es256.Sign(claimsOf("es", "iat", nil, test.claim, whole.Unix()+int64(test.seconds)))))
		if (err == nil) != test.right {
			t.Errorf("%s %+d s: %v", test.claim, test.seconds, err)
		}
		for _, life := range m.seen {
			if want := time.Duration(test.seconds+10) * time.Second; test.claim == "exp" && life != want {
				t.Errorf("exp %+d s: marked for %v, want %v", test.seconds, life, want)
			}
		}
	}
}

func TestTheAudienceIsWhatThePolicySays(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	other := client.AudienceIssuer
	const (
		rfc9126 = invalid + "has another aud; use https://as.example or https://as.example/token or https://as.example/par"
		issuer  = invalid + "has another aud; use https://as.example, as one string"
	)
	for _, test := range []struct {
		aud             any
		rfc9126, issuer bool // taken
	}{
		{server.Issuer, true, true},
		{server.TokenEndpoint, true, false},
		{server.PushEndpoint, true, false},
		{[]string{server.Issuer}, true, false},
		{[]string{server.PushEndpoint}, true, false},
		{[]string{"https://x.example", server.Issuer}, true, false},
		{server.Issuer + "/authorize", false, false},
		{server.Issuer + "/", false, false},
		{"https://AS.example", false, false},
		{"https://x.example", false, false},
		{[]string{"https://x.example", "https://y.example"}, false, false},
		{"", false, false},
		{server.Issuer + " " + server.PushEndpoint, false, false},
	} {
		for _, policy := range []struct {
			name, client string
			of           client.Audience
			taken        bool
			refusal      string
		}{
			{"rfc9126", "es", "", test.rfc9126, rfc9126},
			{"issuer", "es", other, test.issuer, issuer},
			{"issuer for a client", "strict", "", test.issuer, issuer},
		} {
			a := authenticator(t, r, atNow, func(o *client.Options) { o.Audience = policy.of })
			got := told(second(push(t, a, assertionForm(es256.Sign(claimsOf(policy.client, "aud", test.aud))))))
			if want := map[bool]string{true: "", false: policy.refusal}[policy.taken]; got != want {
				t.Errorf("%v by %s: %s, want %s", test.aud, policy.name, got, want)
			}
		}
	}
	// An empty address of the server's is not an audience.
	a := authenticator(t, r, atNow)
	cred, _, err := client.Read(http.Header{}, assertionForm(es256.Sign(claimsOf("es", "aud", ""))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), cred, client.Server{Issuer: server.Issuer, PushEndpoint: server.PushEndpoint}); err == nil {
		t.Error("an empty aud is taken for the token endpoint that is not known")
	}
}

func TestAnAssertionIsUsedOnce(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	m := &marks{}
	a := authenticator(t, r, atNow, func(o *client.Options) { o.Marks = m })
	const again = invalid + "was used before; make one for each request, with a jti of its own"
	first := es256.Sign(claimsOf("es", "jti", "1"))
	for i, want := range []string{"", again, again} {
		if got := told(second(push(t, a, assertionForm(first)))); got != want {
			t.Errorf("time %d: %s, want %s", i+1, got, want)
		}
	}
	// The jti counts, not the text, the header or the signature.
	if got := told(second(push(t, a, assertionForm(es256.Sign(claimsOf("es", "jti", "1", "x", "y"), "typ", "JWT"))))); got != again {
		t.Errorf("another assertion with that jti: %s", got)
	}
	for _, fresh := range []string{es256.Sign(claimsOf("es", "jti", "2")), es256.Sign(claimsOf("any", "jti", "1"))} {
		if got := told(second(push(t, a, assertionForm(fresh)))); got != "" {
			t.Errorf("a jti of its own: %s", got)
		}
	}
	cred, _, _ := client.Read(http.Header{}, assertionForm(es256.Sign(claimsOf("es", "jti", "1", "aud", "https://other.example"))))
	if _, err := a.Authenticate(t.Context(), cred, client.Server{Issuer: "https://other.example", PushEndpoint: "x"}); err != nil {
		t.Errorf("at another issuer: %v", err)
	}
	for id := range m.seen {
		if strings.Count(id, ":") < 3 {
			t.Errorf("the mark %q can be another list's", id)
		}
	}
}

func TestAForgedAssertionDoesNotUseUpTheRightOne(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	a := authenticator(t, r, atNow)
	for _, forged := range []string{
		other.Sign(claimsOf("es", "jti", "1")),
		es256.Sign(claimsOf("es", "jti", "1", "aud", "https://other.example")),
		es256.Sign(claimsOf("es", "jti", "1", "exp", now.Add(-time.Minute).Unix())),
	} {
		if _, err := push(t, a, assertionForm(forged)); err == nil {
			t.Error("a forged one is taken")
		}
	}
	if _, err := push(t, a, assertionForm(es256.Sign(claimsOf("es", "jti", "1")))); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func TestOfManyAtOnceOneAssertionIsTaken(t *testing.T) {
	t.Parallel()
	a := authenticator(t, load(t, jwtClients), atNow)
	form := assertionForm(es256.Sign(claimsOf("es")))
	var wait sync.WaitGroup
	taken := make(chan bool, 50)
	for range 50 {
		wait.Go(func() { taken <- second(push(t, a, form)) == nil })
	}
	wait.Wait()
	close(taken)
	count := 0
	for ok := range taken {
		if ok {
			count++
		}
	}
	if count != 1 {
		t.Errorf("taken %d times", count)
	}
}

func TestWithoutItsMarksNoAssertionIsTaken(t *testing.T) {
	t.Parallel()
	a := authenticator(t, load(t, jwtClients), atNow, func(o *client.Options) { o.Marks = &marks{err: errors.New("broken")} })
	const want = "503 temporarily_unavailable the client_assertion could not be checked; make a new one"
	if got := told(second(push(t, a, assertionForm(es256.Sign(claimsOf("es")))))); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := told(second(push(t, a, assertionForm(other.Sign(claimsOf("es")))))); got != authFailed {
		t.Errorf("a forged one: %s", got)
	}
}

// An unknown client costs as many verifications as a known one whose signature is wrong.
func TestAnUnknownClientCostsASignature(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	for _, s := range []*harness.Signer{other, harness.NewSigner("ES384", "x"), harness.NewSigner("ES512", "x"), harness.NewSigner("EdDSA", "x"),
		as(rs256, "RS512", "x"), as(rs256, "PS256", "x"), {Algorithm: "HS256", Key: []byte("wrong")}, {Algorithm: "HS512", Key: []byte("wrong")}} {
		for _, id := range []string{"es", "hs", "any", "basic", "nobody"} {
			count := 0
			a := authenticator(t, r, atNow)
			a.CountWork(func(what string) {
				if what == "signature" {
					count++
				}
			})
			_, err := push(t, a, assertionForm(s.Sign(claimsOf(id))))
			if got := told(err); count != 1 || got != authFailed {
				t.Errorf("%s of %s: %d signatures, %s", s.Algorithm, id, count, got)
			}
		}
	}
}

func TestAnAssertionStandsAlone(t *testing.T) {
	t.Parallel()
	token := es256.Sign(claimsOf("es"))
	const twice = "400 invalid_request more than one client authentication method was used"
	_, _, err := client.Read(http.Header{"Authorization": {basic("es", "x")}}, assertionForm(token))
	if got := told(err); got != twice {
		t.Errorf("beside Basic: %s", got)
	}
	if got := told(second(push(t, authenticator(t, load(t, jwtClients)), assertionForm(token, "client_secret", "x")))); got != twice {
		t.Errorf("beside a secret: %s", got)
	}
	form := oauth.Params{{Name: "client_assertion_type", Value: "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {Name: "client_assertion", Value: token}}
	if got := told(second(push(t, authenticator(t, load(t, jwtClients)), form))); got != "401 invalid_client client_assertion_type must be "+harness.AssertionType {
		t.Errorf("of another type: %s", got)
	}
}

func TestReadSaysWhichMethodAnAssertionIs(t *testing.T) {
	t.Parallel()
	r := load(t, jwtClients)
	for want, token := range map[string]string{"private_key_jwt": es256.Sign(claimsOf("es")), "client_secret_jwt": hs256.Sign(claimsOf("hs"))} {
		cred, _, err := client.Read(http.Header{}, assertionForm(token))
		if err != nil || cred.Method != want || r.Identify(cred) == nil {
			t.Errorf("%+v, %v, want %s", cred, err, want)
		}
		for _, text := range []string{fmt.Sprintf("%v %+v %#v", cred, cred, cred), fmt.Sprint(r.Identify(cred))} {
			if strings.Contains(text, token[:20]) || strings.Contains(text, longSecret) {
				t.Errorf("it shows: %s", text)
			}
		}
	}
}

func TestAReloadTakesAKeyAway(t *testing.T) {
	t.Parallel()
	registry, replace := harness.RegistryFile(t, jwtClients)
	a := authenticator(t, registry, atNow)
	if _, err := push(t, a, assertionForm(es256.Sign(claimsOf("es")))); err != nil {
		t.Fatal(err)
	}
	replace(strings.ReplaceAll(jwtClients, es256.JWK(), other.JWK()))
	if got := told(second(push(t, a, assertionForm(es256.Sign(claimsOf("es")))))); got != authFailed {
		t.Errorf("with the old key: %s", got)
	}
	if _, err := push(t, a, assertionForm(other.Sign(claimsOf("es")))); err != nil {
		t.Errorf("with the new one: %v", err)
	}
}

// The property: reading and authenticating end, with a client only for an assertion that this test has signed; every
// error is one to tell and repeats nothing of what was sent.
func FuzzAssertion(f *testing.F) {
	for _, test := range hostile {
		f.Add(test.assertion)
	}
	right := es256.Sign(claimsOf("es"))
	f.Add(right)
	path := f.TempDir() + "/clients.json"
	write(f, path, jwtClients)
	r, err := client.Load(path)
	if err != nil {
		f.Fatal(err)
	}
	a := authenticator(f, r, atNow)
	f.Fuzz(func(t *testing.T, assertion string) {
		cred, _, err := client.Read(http.Header{}, assertionForm(assertion))
		if err == nil {
			_, err = a.Authenticate(context.Background(), cred, server)
		}
		var e *oauth.Error
		switch {
		case err == nil && assertion != right:
			t.Errorf("%q is taken", assertion)
		case err != nil && !errors.As(err, &e):
			t.Errorf("%q: %v is not one to tell", assertion, err)
		case err != nil && len(assertion) > 40 && strings.Contains(err.Error(), assertion):
			t.Errorf("%q is repeated", assertion)
		}
	})
}
