package jar_test

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"pargate/proxy/client"
	"pargate/proxy/jar"
	"pargate/proxy/oauth"
	"pargate/test/harness"
)

// The clients' keys. foreign has the kid of es256, and is nobody's.
var (
	es384   = harness.NewSigner("ES384", "k3")
	rs256   = harness.NewSigner("RS256", "r1")
	ed      = harness.NewSigner("EdDSA", "ed")
	foreign = harness.NewSigner("ES256", "k1")
)

var clients = `[
	{"client_id": "web", "client_secret": "s3cret", "jwks": ` + keys(es256.JWK()) + `},
	{"client_id": "es", "client_secret": "s3cret", "request_object_signing_alg": "ES256", "jwks": ` + keys(es256.JWK()) + `},
	{"client_id": "ps", "client_secret": "s3cret", "request_object_signing_alg": "PS256", "jwks": ` + keys(rs256.JWK()) + `},
	{"client_id": "any", "client_secret": "s3cret", "jwks": ` + keys(es256.JWK(), es384.JWK(), rs256.JWK(), ed.JWK()) + `},
	{"client_id": "ed", "client_secret": "s3cret", "jwks": ` + keys(ed.JWK()) + `},
	{"client_id": "same kid", "client_secret": "s3cret", "jwks": ` + keys(rs256.JWK("kid", "k1"), foreign.JWK("use", "enc"), es256.JWK()) + `},
	{"client_id": "bound", "client_secret": "s3cret", "jwks": ` + keys(rs256.JWK("alg", "RS256"), es256.JWK()) + `},
	{"client_id": "nameless", "client_secret": "s3cret", "jwks": ` + keys(es384.JWK("kid", nil), es256.JWK("kid", nil)) + `},
	{"client_id": "jwt", "token_endpoint_auth_method": "private_key_jwt", "jwks": ` + keys(es256.JWK()) + `}
]`

func keys(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// as returns a signer with the key of s for another algorithm or kid.
func as(s *harness.Signer, algorithm, keyID string) *harness.Signer {
	return &harness.Signer{Algorithm: algorithm, KeyID: keyID, Key: s.Key}
}

// claimsOf are those of a right request object with the named changes. Its values are canaries.
func claimsOf(id string, changes ...any) map[string]any {
	return harness.Changed(map[string]any{"client_id": id, "iss": id, "aud": issuer, "exp": now.Add(time.Minute).Unix(), "nbf": now.Unix(),
		"state": "c4nary state", "c4nary": "c4nary"}, changes...)
}

// unused says that no assertion was used before.
type unused struct{}

func (unused) Mark(context.Context, string, string, time.Duration) (bool, error) { return true, nil }

// desk opens request objects and assertions as the gateway does.
type desk struct {
	registry *client.Registry
	*client.Authenticator
}

func newDesk(t testing.TB, clients string, change ...func(*client.Options)) desk {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(file, []byte(clients), 0o600); err != nil {
		t.Fatal(err)
	}
	registry, err := client.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	options := client.Options{Clients: registry, Marks: unused{}, Now: func() time.Time { return now }}
	for _, f := range change {
		f(&options)
	}
	a, err := client.NewAuthenticator(options)
	if err != nil {
		t.Fatal(err)
	}
	return desk{registry, a}
}

// open opens the request object of a client.
func (d desk) open(t testing.TB, id, object string) (jar.Request, error) {
	t.Helper()
	c := d.registry.Lookup(id)
	if c == nil {
		t.Fatalf("there is no client %s", id)
	}
	token, err := jar.Read(object)
	if err != nil {
		return jar.Request{}, err
	}
	if err := d.VerifyRequestObject(t.Context(), c, token); err != nil {
		return jar.Request{}, err
	}
	return jar.Open(token, jar.Rules{Issuer: issuer, ClientID: id, Now: now})
}

// told is an error as the client is told it, without what every refusal of a request object begins with.
func told(err error) string {
	var e *oauth.Error
	switch {
	case err == nil:
		return "taken"
	case !errors.As(err, &e):
		return "not an *oauth.Error: " + err.Error()
	}
	text := fmt.Sprintf("%d %s %s", e.Status, e.Code, e.Description)
	return strings.TrimPrefix(text, "400 invalid_request_object the request object ")
}

const (
	unproven   = "is not signed with a key that is registered for this client"
	compactJWT = "is not a signed JWT in compact serialization"
	encrypted  = "is encrypted, which is not supported"
	repeated   = "has claims that are not a JSON object without repetitions"
	unpaired   = "has claims that are not Unicode: there is an unpaired surrogate"
	otherKind  = "has a typ of another kind of JWT; use oauth-authz-req+jwt, JWT or none"
	badAlg     = "has an alg that is not supported"
	noClientID = "must have the client_id of the client that sends it"
	structured = "has an object or an array in a claim that must be a string"
	asAForm    = "cannot be sent on as a form: "
)

// hostile are request objects that are refused, each with what is told of it.
var hostile = []struct{ name, client, object, want string }{
	// E-01: none, confusion, weak algorithms.
	{"none", "web", unsigned("none"), badAlg},
	{"None", "web", unsigned("None"), badAlg},
	{"nOnE", "web", unsigned("nOnE"), badAlg},
	{"none with a signature", "web", es256.Sign(claimsOf("web"), "alg", "none"), badAlg},
	{"no alg", "web", es256.Sign(claimsOf("web"), "alg", nil), "has no alg in its header"},
	{"an alg that is a list", "web", es256.Sign(claimsOf("web"), "alg", []string{"ES256"}), "has no alg in its header"},
	{"no signature", "web", unsigned("ES256"), unproven},
	{"HS256 with the public key in PEM", "web", hmacWith(pemOf(es256)), badAlg},
	{"HS256 with the public key in DER", "web", hmacWith(derOf(es256)), badAlg},
	{"HS256 with the public JWK", "web", hmacWith([]byte(es256.JWK())), badAlg},
	{"HS256 with the secret", "web", hmacWith([]byte("s3cret")), badAlg},
	{"HS512", "web", (&harness.Signer{Algorithm: "HS512", Key: []byte(strings.Repeat("s", 64))}).Sign(claimsOf("web")), badAlg},
	{"RS256 where PS256 is registered", "ps", as(rs256, "RS256", "r1").Sign(claimsOf("ps")),
		"must be signed with PS256, which this client is registered for"},
	{"PS512 where PS256 is registered", "ps", as(rs256, "PS512", "r1").Sign(claimsOf("ps")),
		"must be signed with PS256, which this client is registered for"},
	{"a right signature by an alg that is not registered", "es", ed.Sign(claimsOf("es")),
		"must be signed with ES256, which this client is registered for"},
	{"r and s are zero", "web", withSignature(es256.Sign(claimsOf("web")), make([]byte, 64)), unproven},
	{"a signature in DER", "web", withSignature(es256.Sign(claimsOf("web")), append([]byte{0x30, 0x44, 2, 0x20}, make([]byte, 60)...)), unproven},
	{"a signature that is too short", "web", withSignature(es256.Sign(claimsOf("web")), make([]byte, 63)), unproven},
	{"Ed25519 with zeros", "ed", withSignature(ed.Sign(claimsOf("ed")), make([]byte, 64)), unproven},
	{"Ed25519 with a point of small order", "ed", withSignature(ed.Sign(claimsOf("ed")), append([]byte{1}, make([]byte, 63)...)), unproven},
	{"a curve that the alg is not for", "any", es384.Sign(claimsOf("any"), "alg", "ES256"), unproven},
	{"somebody else's key with this kid", "web", foreign.Sign(claimsOf("web")), unproven},
	{"changed claims", "web", withClaims(es256.Sign(claimsOf("web")), claimsOf("web", "scope", "admin")), unproven},
	{"a changed header", "web", withHeader(es256.Sign(claimsOf("web")), `{"alg":"ES256","kid":"k1","typ":"JWT"}`), unproven},
	{"a key for another algorithm", "bound", as(rs256, "PS256", "r1").Sign(claimsOf("bound")), unproven},

	// E-02: kid.
	{"a kid that is a path", "web", es256.Sign(claimsOf("web"), "kid", "../../k1"), unproven},
	{"a kid that is SQL", "web", es256.Sign(claimsOf("web"), "kid", "k1' OR 1=1 --"), unproven},
	{"a kid with a NUL", "web", es256.Sign(claimsOf("web"), "kid", "k1\x00"), unproven},
	{"a kid in another case", "web", es256.Sign(claimsOf("web"), "kid", "K1"), unproven},
	{"a kid that is a URL", "web", foreign.Sign(claimsOf("web"), "kid", "https://evil.example/jwks.json"), unproven},
	{"a huge kid", "web", es256.Sign(claimsOf("web"), "kid", strings.Repeat("k", 10<<10)), "has a kid that is not a string of at most 256 bytes"},
	{"a kid that is an object", "web", es256.Sign(claimsOf("web"), "kid", map[string]any{"$ne": ""}), "has a kid that is not a string of at most 256 bytes"},
	{"the kid of a key of another kind", "same kid", as(es384, "ES384", "k1").Sign(claimsOf("same kid")), unproven},
	{"the kid of a key for encryption", "same kid", foreign.Sign(claimsOf("same kid")), unproven},

	// E-03: headers that bring keys. TestNoHeaderIsFollowed listens where they lead.
	{"jku", "web", foreign.Sign(claimsOf("web"), "jku", "https://evil.example/c4nary"), "has jku in its header, which is not supported"},
	{"x5u", "web", foreign.Sign(claimsOf("web"), "x5u", "https://evil.example/c4nary"), "has x5u in its header, which is not supported"},
	{"x5c", "web", foreign.Sign(claimsOf("web"), "x5c", []string{"AA"}), "has x5c in its header, which is not supported"},
	{"jwk", "web", foreign.Sign(claimsOf("web"), "jwk", json.RawMessage(foreign.JWK())), "has jwk in its header, which is not supported"},
	{"jwk of the client itself", "web", es256.Sign(claimsOf("web"), "jwk", json.RawMessage(es256.JWK())), "has jwk in its header, which is not supported"},

	// E-04: encryption.
	{"RSA-OAEP-256", "web", encryptedTo(rsaPublic(), jose.RSA_OAEP_256, jose.A256GCM, signed(), ""), encrypted},
	{"RSA1_5", "web", encryptedTo(rsaPublic(), jose.RSA1_5, jose.A128CBC_HS256, signed(), ""), encrypted},
	{"ECDH-ES", "web", encryptedTo(ecPublic(es256), jose.ECDH_ES, jose.A256GCM, signed(), ""), encrypted},
	{"ECDH-ES+A256KW", "web", encryptedTo(ecPublic(es256), jose.ECDH_ES_A256KW, jose.A256GCM, signed(), ""), encrypted},
	{"dir", "web", encryptedTo(make([]byte, 32), jose.DIRECT, jose.A256GCM, signed(), ""), encrypted},
	{"PBES2", "web", encryptedTo("s3cret", jose.PBES2_HS256_A128KW, jose.A256GCM, signed(), ""), encrypted},
	{"PBES2 with ten million rounds", "web", withHeader(encryptedTo("s3cret", jose.PBES2_HS256_A128KW, jose.A256GCM, signed(), ""),
		`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":10000000,"p2s":"AAAAAAAAAAA"}`), encrypted},
	{"zip", "web", encryptedTo(rsaPublic(), jose.RSA_OAEP_256, jose.A256GCM, signed(), jose.DEFLATE), encrypted},
	{"a bomb", "web", encryptedTo(make([]byte, 32), jose.DIRECT, jose.A256GCM, string(make([]byte, 1<<20)), jose.DEFLATE), encrypted},
	{"encrypted twice", "web", encryptedTo(make([]byte, 32), jose.DIRECT, jose.A256GCM,
		encryptedTo(make([]byte, 32), jose.DIRECT, jose.A256GCM, signed(), ""), ""), encrypted},
	{"encrypted and not signed", "web", encryptedTo(make([]byte, 32), jose.DIRECT, jose.A256GCM, `{"client_id":"web"}`, ""), encrypted},
	{"five parts of nothing", "web", "....", encrypted},
	{"a signed encrypted one", "web", es256.SignText(encryptedTo(make([]byte, 32), jose.DIRECT, jose.A256GCM, signed(), ""), "cty", "JWT"), repeated},
	{"a signed signed one", "web", es256.SignText(signed(), "cty", "JWT"), repeated},
	{"a JWE in three parts", "web", es256.Sign(claimsOf("web"), "enc", "A256GCM", "alg", "dir"), "has enc in its header, which is not supported"},
	{"zip in a JWS", "web", es256.SignText(deflated(`{"client_id":"web"}`), "zip", "DEF"), "has zip in its header, which is not supported"},
	{"a JWE in JSON", "web", `{"protected":"e30","iv":"AA","ciphertext":"AA","tag":"AA"}`, compactJWT},

	// E-05: crit and b64.
	{"crit", "web", es256.Sign(claimsOf("web"), "crit", []string{"exp"}, "exp", 1), "has crit in its header, which is not supported"},
	{"an empty crit", "web", es256.Sign(claimsOf("web"), "crit", []string{}), "has crit in its header, which is not supported"},
	{"a crit that is null", "web", es256.Sign(claimsOf("web"), "crit", json.RawMessage("null")), "has crit in its header, which is not supported"},
	{"b64 in crit", "web", es256.Sign(claimsOf("web"), "crit", []string{"b64"}, "b64", false), "has crit in its header, which is not supported"},
	{"b64 that is true", "web", es256.Sign(claimsOf("web"), "b64", true), "has b64 in its header, which is not supported"},
	{"b64 alone", "web", es256.Sign(claimsOf("web"), "b64", false), "has b64 in its header, which is not supported"},
	{"claims that are not encoded", "web", `eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.{"client_id":"web"}.AA`, compactJWT},
	{"detached", "web", detached(es256.Sign(claimsOf("web"))), repeated},
	{"detached with b64", "web", detached(es256.Sign(claimsOf("web"), "b64", false, "crit", []string{"b64"})), "has crit in its header, which is not supported"},

	// E-07: aud.
	{"no aud", "web", es256.Sign(claimsOf("web", "aud", nil)), "has no aud"},
	{"an empty aud", "web", es256.Sign(claimsOf("web", "aud", []string{})), "has an aud that is neither a string nor an array of strings"},
	{"an aud that is null", "web", es256.Sign(claimsOf("web", "aud", json.RawMessage("null"))), "has an aud that is neither a string nor an array of strings"},
	{"an aud with an array in it", "web", es256.Sign(claimsOf("web", "aud", []any{[]string{issuer}})), "has an aud that is neither a string nor an array of strings"},
	{"an aud that is an object", "web", es256.Sign(claimsOf("web", "aud", map[string]any{issuer: issuer})), "has an aud that is neither a string nor an array of strings"},
	{"another server's aud", "web", es256.Sign(claimsOf("web", "aud", "https://c4nary.example")), otherAud},
	{"the push endpoint as aud", "web", es256.Sign(claimsOf("web", "aud", issuer+"/par")), otherAud},
	{"the authorization endpoint as aud", "web", es256.Sign(claimsOf("web", "aud", issuer+"/authorize")), otherAud},
	{"the issuer with a slash", "web", es256.Sign(claimsOf("web", "aud", issuer+"/")), otherAud},
	{"the issuer in capitals", "web", es256.Sign(claimsOf("web", "aud", strings.ToUpper(issuer))), otherAud},
	{"the issuer among others in one text", "web", es256.Sign(claimsOf("web", "aud", issuer+" https://b.example")), otherAud},

	// E-09: times; their bounds are in TestTheTimesOfARequestObject.
	{"no exp", "web", es256.Sign(claimsOf("web", "exp", nil)), "has no exp"},
	{"exp null", "web", es256.Sign(claimsOf("web", "exp", json.RawMessage("null"))), "has an exp that is not a time in seconds"},
	{"exp as a text", "web", es256.Sign(claimsOf("web", "exp", "1800000060")), "has an exp that is not a time in seconds"},
	{"exp 1e18", "web", es256.Sign(claimsOf("web", "exp", json.RawMessage("1e18"))), "has an exp that is not a time in seconds"},
	{"exp 1e400", "web", es256.Sign(claimsOf("web", "exp", json.RawMessage("1e400"))), "has an exp that is not a time in seconds"},
	{"exp below zero", "web", es256.Sign(claimsOf("web", "exp", -1)), "has an exp that is not a time in seconds"},
	{"exp in milliseconds", "web", es256.Sign(claimsOf("web", "exp", now.Add(time.Minute).UnixMilli())), "has an exp that is not a time in seconds"},
	{"nbf as a text", "web", es256.Sign(claimsOf("web", "nbf", "0")), "has an nbf that is not a time in seconds"},
	{"iat as an object", "web", es256.Sign(claimsOf("web", "iat", map[string]any{})), "has an iat that is not a time in seconds"},

	// E-10: who it is from, and what is in it.
	{"no client_id", "web", es256.Sign(claimsOf("web", "client_id", nil)), noClientID},
	{"another client_id", "web", es256.Sign(claimsOf("web", "client_id", "es")), noClientID},
	{"client_id in capitals", "web", es256.Sign(claimsOf("web", "client_id", "WEB")), noClientID},
	{"client_id with a blank", "web", es256.Sign(claimsOf("web", "client_id", "web ")), noClientID},
	{"client_id as an array", "web", es256.Sign(claimsOf("web", "client_id", []string{"web"})), noClientID},
	{"another iss", "web", es256.Sign(claimsOf("web", "iss", "es")), "has an iss that is not the client_id"},
	{"an iss that is null", "web", es256.Sign(claimsOf("web", "iss", json.RawMessage("null"))), "has an iss that is not the client_id"},
	{"the client as sub", "web", es256.Sign(claimsOf("web", "sub", "web")), "must not have the client_id as sub; it could be taken for a client assertion"},
	{"request", "web", es256.Sign(claimsOf("web", "request", signed())), "must not have request in it"},
	{"an empty request", "web", es256.Sign(claimsOf("web", "request", "")), "must not have request in it"},
	{"request_uri", "web", es256.Sign(claimsOf("web", "request_uri", "https://c4nary.example/r")), "must not have request_uri in it"},
	{"request_uri null", "web", es256.Sign(claimsOf("web", "request_uri", json.RawMessage("null"))), "must not have request_uri in it"},
	{"request in capitals", "web", es256.Sign(claimsOf("web", "REQUEST", "c4nary")), asAForm + "a parameter name is request in another spelling; send it as request"},
	{"request_uri with a bracket", "web", es256.Sign(claimsOf("web", "request_uri[]", "c4nary")), asAForm + "a parameter name is request_uri in another spelling; send it as request_uri"},
	{"request_uri with a point", "web", es256.Sign(claimsOf("web", "request.uri", "c4nary")), asAForm + "a parameter name is request_uri in another spelling; send it as request_uri"},
	{"scope as an array", "web", es256.Sign(claimsOf("web", "scope", []string{"openid", "c4nary"})), structured},
	{"scope as an object", "web", es256.Sign(claimsOf("web", "scope", map[string]any{"c4nary": 1})), structured},
	{"redirect_uri as an array", "web", es256.Sign(claimsOf("web", "redirect_uri", []string{"https://c4nary.example"})), structured},
	{"claims as an array", "web", es256.Sign(claimsOf("web", "claims", []string{"c4nary"})), structured},
	{"authorization_details as an object", "web", es256.Sign(claimsOf("web", "authorization_details", map[string]any{"type": "c4nary"})), structured},
	{"resource as an object", "web", es256.Sign(claimsOf("web", "resource", map[string]any{"c4nary": "https://a.example"})), structured},
	{"resource with a number", "web", es256.Sign(claimsOf("web", "resource", []any{"https://a.example", 1})), "has a resource that is neither a string nor an array of strings"},
	{"resource in resource", "web", es256.Sign(claimsOf("web", "resource", []any{[]string{"https://c4nary.example"}})), "has a resource that is neither a string nor an array of strings"},
	{"an unknown claim with an object", "web", es256.Sign(claimsOf("web", "c4nary", map[string]any{"c4nary": []int{1}})), structured},
	{"a claim twice", "web", claimsText(`"state":"a","state":"b"`), repeated},
	{"a claim twice, once escaped", "web", claimsText(`"state":"a","st\u0061te":"b"`), repeated},
	{"a claim twice, once null", "web", claimsText(`"redirect_uri":"https://c4nary.example","redirect_uri":null`), repeated},
	{"a member twice in claims", "web", claimsText(`"claims":{"id_token":{"acr":null,"acr":{"value":"c4nary"}}}`), repeated},
	{"a member twice in authorization_details", "web", claimsText(`"authorization_details":[{"type":"a","\u0074ype":"b"}]`), repeated},
	{"aud twice", "web", claimsText(`"aud":"https://c4nary.example"`), repeated},
	{"a known claim in another case", "web", claimsText(`"State":"c4nary"`), asAForm + "a parameter name is state in another spelling; send it as state"},
	{"a known claim with a dotless i", "web", claimsText(`"redırect_uri":"https://c4nary.example"`), asAForm + "a parameter name is redirect_uri in another spelling; send it as redirect_uri"},
	{"a known claim with a blank", "web", claimsText(`" scope":"c4nary"`), asAForm + "a parameter name is scope in another spelling; send it as scope"},
	{"a known claim and a NUL", "web", claimsText(`"scope\u0000x":"c4nary"`), asAForm + "a parameter name is not properly form-encoded UTF-8"},
	{"a credential in another case", "web", claimsText(`"Client_Secret":"c4nary"`), asAForm + "a parameter name is client_secret in another spelling; send it as client_secret"},
	{"a claim without a name", "web", claimsText(`"":"c4nary"`), asAForm + "a parameter name is not properly form-encoded UTF-8"},
	{"NUL in a known claim", "web", claimsText(`"state":"a\u0000c4nary"`), asAForm + "the value of state is not properly form-encoded UTF-8"},
	{"NUL in an unknown claim", "web", claimsText(`"c4nary":"\u0000"`), asAForm + "the value of a parameter is not properly form-encoded UTF-8"},
	{"half a surrogate pair", "web", claimsText(`"state":"\ud800c4nary"`), unpaired},
	{"the other half", "web", claimsText(`"state":"c4nary\uDC00"`), unpaired},
	{"a surrogate pair the wrong way round", "web", claimsText(`"state":"\udc00\ud800"`), unpaired},
	{"half a surrogate pair in a name", "web", claimsText(`"st\ud83date":"c4nary"`), unpaired},
	{"half a surrogate pair in claims", "web", claimsText(`"claims":{"userinfo":{"\ud800":null}}`), unpaired},
	{"101 parameters", "web", claimsText(manyClaims(100)), asAForm + "the form has more than 100 parameters"},
	{"a number that is too large", "web", claimsText(`"max_age":1e300`), "has a number that is too large or too long"},
	{"a number that is too long", "web", claimsText(`"max_age":1.` + strings.Repeat("0", 30)), "has a number that is too large or too long"},
	{"a number of many digits", "web", claimsText(`"max_age":` + strings.Repeat("9", 31)), "has a number that is too large or too long"},

	// E-12: algorithms of later libraries.
	{"ML-DSA-44", "web", es256.Sign(claimsOf("web"), "alg", "ML-DSA-44"), badAlg},
	{"ML-DSA-65", "web", es256.Sign(claimsOf("web"), "alg", "ML-DSA-65"), badAlg},
	{"ML-DSA-87", "web", es256.Sign(claimsOf("web"), "alg", "ML-DSA-87"), badAlg},
	{"ES256K", "web", es256.Sign(claimsOf("web"), "alg", "ES256K"), badAlg},
	{"Ed448", "web", es256.Sign(claimsOf("web"), "alg", "Ed448"), badAlg},

	// What is no compact JWS of a JSON object.
	{"nothing", "web", "", compactJWT},
	{"a word", "web", "c4nary", compactJWT},
	{"two parts", "web", "e30.e30", compactJWT},
	{"four parts", "web", "e30.e30.e30.e30", compactJWT},
	{"only dots", "web", "..", "has a header that is not a JSON object without repetitions"},
	{"thousands of dots", "web", strings.Repeat(".", 30<<10), compactJWT},
	{"a line end in it", "web", strings.Replace(es256.Sign(claimsOf("web")), ".", "\n.", 1), compactJWT},
	{"a blank behind it", "web", es256.Sign(claimsOf("web")) + " ", compactJWT},
	{"padding", "web", strings.Replace(es256.Sign(claimsOf("web")), ".", "=.", 1), compactJWT},
	{"base64 that is not for URLs", "web", "e30.+/+/.AA", compactJWT},
	{"the JSON serialization", "web", `{"payload":"e30","signatures":[{"protected":"e30","signature":"AA"}]}`, compactJWT},
	{"a header twice", "web", es256.SignRaw(`{"alg":"none","alg":"ES256","kid":"k1"}`, `{}`), "has a header that is not a JSON object without repetitions"},
	{"a header of half a surrogate pair", "web", es256.SignRaw(`{"alg":"ES256","kid":"k1","x":"\ud800"}`, `{}`), "has a header that is not Unicode: there is an unpaired surrogate"},
	{"claims that are a text", "web", es256.SignText(`"c4nary"`), repeated},
	{"claims that are null", "web", es256.SignText(`null`), repeated},
	{"claims of bad UTF-8", "web", es256.SignText("{\"client_id\":\"web\xff\"}"), repeated},
	{"claims with a BOM", "web", es256.SignText("\ufeff{}"), repeated},
	{"claims with something behind", "web", es256.SignText(`{}{"client_id":"web"}`), repeated},
	{"claims with a comma at the end", "web", es256.SignText(`{"client_id":"web",}`), repeated},
	{"too much of it", "web", es256.Sign(claimsOf("web", "x", strings.Repeat("x", 32<<10))), "has more than 32768 bytes"},
	{"deep JSON", "web", es256.SignText(strings.Repeat("[", 20<<10)), "has claims that are nested more than 32 times"},
}

const otherAud = "has another aud; use the issuer, alone or among others"

func unsigned(algorithm string) string {
	token := es256.Sign(claimsOf("web"), "alg", algorithm)
	return token[:strings.LastIndexByte(token, '.')+1]
}

func signed() string { return es256.Sign(claimsOf("web")) }

// claimsText signs the right claims with others behind them, as they stand.
func claimsText(others string) string {
	return es256.SignText(`{"client_id":"web","aud":"` + issuer + `","exp":1800000060,` + others + `}`)
}

// manyClaims are n claims that become parameters, beside the client_id.
func manyClaims(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"p%d":"c4nary"`, i))
	}
	return strings.Join(all, ",")
}

func hmacWith(key []byte) string {
	return (&harness.Signer{Algorithm: "HS256", KeyID: "k1", Key: key}).Sign(claimsOf("web"))
}

func ecPublic(s *harness.Signer) *ecdsa.PublicKey { return &s.Key.(*ecdsa.PrivateKey).PublicKey }

func rsaPublic() *rsa.PublicKey { return &rs256.Key.(*rsa.PrivateKey).PublicKey }

func derOf(s *harness.Signer) []byte {
	der, err := x509.MarshalPKIXPublicKey(ecPublic(s))
	if err != nil {
		panic(err)
	}
	return der
}

func pemOf(s *harness.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: derOf(s)})
}

// part replaces one part of a token.
func part(token string, i int, with []byte) string {
	parts := strings.Split(token, ".")
	parts[i] = base64.RawURLEncoding.EncodeToString(with)
	return strings.Join(parts, ".")
}

func withSignature(token string, signature []byte) string { return part(token, 2, signature) }

func withHeader(token, header string) string { return part(token, 0, []byte(header)) }

func detached(token string) string { return part(token, 1, nil) }

func withClaims(token string, claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return part(token, 1, text)
}

func encryptedTo(key any, algorithm jose.KeyAlgorithm, content jose.ContentEncryption, text string, zip jose.CompressionAlgorithm) string {
	options := (&jose.EncrypterOptions{Compression: zip}).WithContentType("JWT")
	e, err := jose.NewEncrypter(content, jose.Recipient{Algorithm: algorithm, Key: key, PBES2Count: 1000}, options)
	if err != nil {
		panic(err)
	}
	jwe, err := e.Encrypt([]byte(text))
	if err != nil {
		panic(err)
	}
	compact, err := jwe.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}

func deflated(text string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func TestHostileRequestObjectsAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clients)
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request, err := d.open(t, test.client, test.object)
			if got := told(err); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
			if request.Params != nil || !request.Expires.IsZero() {
				t.Errorf("something of it is used: %v", request)
			}
			var e *oauth.Error
			if errors.As(err, &e) {
				wantPlain(t, e.Description)
			}
			if strings.Contains(fmt.Sprint(err), "c4nary") {
				t.Errorf("its own text is in the answer or in the log: %v", err)
			}
		})
	}
}

// wantPlain checks what RFC 6749 §5.2 allows in a description.
func wantPlain(t testing.TB, description string) {
	t.Helper()
	for _, c := range description {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("the description has %q: %s", c, description)
		}
	}
}

func TestRightRequestObjectsAreOpened(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clients)
	for _, test := range []struct{ name, client, object string }{
		{"ES256", "web", es256.Sign(claimsOf("web"))},
		{"the registered alg", "es", es256.Sign(claimsOf("es"))},
		{"PS256", "ps", as(rs256, "PS256", "r1").Sign(claimsOf("ps"))},
		{"any: RS256", "any", rs256.Sign(claimsOf("any"))},
		{"any: ES384", "any", es384.Sign(claimsOf("any"))},
		{"any: EdDSA", "any", ed.Sign(claimsOf("any"))},
		{"any: Ed25519", "any", ed.Sign(claimsOf("any"), "alg", "Ed25519")},
		{"no kid", "any", es384.Sign(claimsOf("any"), "kid", nil)},
		{"keys without a kid", "nameless", es256.Sign(claimsOf("nameless"))},
		{"a kid of several keys", "same kid", es256.Sign(claimsOf("same kid"))},
		{"its own typ", "web", es256.Sign(claimsOf("web"), "typ", "oauth-authz-req+jwt")},
		{"its own typ in full", "web", es256.Sign(claimsOf("web"), "typ", "application/OAuth-Authz-Req+JWT")},
		{"typ JWT", "web", es256.Sign(claimsOf("web"), "typ", "JWT")},
		{"cty", "web", es256.Sign(claimsOf("web"), "cty", "json")},
		{"x5t", "web", es256.Sign(claimsOf("web"), "x5t", "abc")},
		{"no iss, nbf and iat", "web", es256.Sign(claimsOf("web", "iss", nil, "nbf", nil))},
		{"the issuer among others", "web", es256.Sign(claimsOf("web", "aud", []string{"https://other.example/", issuer}))},
		{"another sub", "web", es256.Sign(claimsOf("web", "sub", "somebody"))},
		{"iss in another case is no iss", "web", es256.Sign(claimsOf("web", "Iss", "x", "iss", nil))},
		{"100 parameters", "web", claimsText(manyClaims(99))},
		{"a whole surrogate pair", "web", claimsText(`"state":"\ud83d\ude00\\ud800"`)},
		{"the character for what cannot be read", "web", claimsText(`"state":"\ufffd�"`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request, err := d.open(t, test.client, test.object)
			if err != nil || request.Params.Get("client_id") != test.client {
				t.Errorf("%v, %v", request, err)
			}
		})
	}
}

// A client that has pushed one before proves itself again with its next push, so that a replay is nobody else's.
func TestARequestObjectMayBePushedAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clients)
	object := es256.Sign(claimsOf("web", "jti", "1"))
	for range 3 {
		if _, err := d.open(t, "web", object); err != nil {
			t.Error(err)
		}
	}
}

// A client file with a key that is too weak, or private, or no signature key, is refused when it is read.
func TestHostileKeysAreNotRegistered(t *testing.T) {
	t.Parallel()
	weak := `{"kty":"RSA","e":"AQAB","kid":"w","n":"` + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 128)) + `"}`
	smallOrder := func(first byte) string {
		point := make([]byte, 32)
		point[0] = first
		return `{"kty":"OKP","crv":"Ed25519","kid":"s","x":"` + base64.RawURLEncoding.EncodeToString(point) + `"}`
	}
	for name, test := range map[string]struct{ key, want string }{
		"RSA with 1024 bits":                    {weak, "is an RSA key of less than 2048 bits"},
		"the neutral element of Ed25519":        {smallOrder(1), "cannot be read: invalid Ed25519 public key, low-order point"},
		"a point of order four":                 {smallOrder(0), "cannot be read: invalid Ed25519 public key, low-order point"},
		"a secret":                              {`{"kty":"oct","k":"AAAA"}`, "is private; take it out, and do not use it any more"},
		"a point that is not on its curve":      {`{"kty":"EC","crv":"P-256","x":"` + zeros32 + `","y":"` + zeros32 + `"}`, "cannot be read"},
		"a private key":                         {strings.Replace(es256.JWK(), "{", `{"d":"AA",`, 1), "is private; take it out, and do not use it any more"},
		"a key with a kid of ten KiB":           {es256.JWK("kid", strings.Repeat("k", 10<<10)), "has a kid of more than 256 bytes"},
		"a key with a member that occurs twice": {strings.Replace(es256.JWK(), "{", `{"kid":"x",`, 1), "is not a JSON object without repetitions"},
	} {
		file := filepath.Join(t.TempDir(), "clients.json")
		content := `[{"client_id":"web","client_secret":"s","jwks":` + keys(test.key) + `}]`
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Load(file); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

var zeros32 = base64.RawURLEncoding.EncodeToString(make([]byte, 32))

// E-06: one kind of JWT is never taken for another, though the client has signed them all with its one key.
func TestNoKindOfJWTIsTakenForAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clients)
	exp, iat := now.Add(time.Minute).Unix(), now.Unix()
	assertion := map[string]any{"iss": "jwt", "sub": "jwt", "aud": issuer, "jti": "1", "exp": exp, "iat": iat}
	object := map[string]any{"iss": "jwt", "aud": issuer, "client_id": "jwt", "exp": exp, "nbf": iat, "response_type": "code", "jti": "1"}
	idToken := map[string]any{"iss": issuer, "sub": "user", "aud": "jwt", "exp": exp, "iat": iat, "nonce": "n"}
	proof := map[string]any{"htm": "POST", "htu": issuer + "/par", "iat": iat, "jti": "1"}
	accessToken := map[string]any{"iss": issuer, "sub": "jwt", "aud": issuer, "client_id": "jwt", "exp": exp, "iat": iat, "jti": "1"}
	logoutToken := map[string]any{"iss": issuer, "aud": "jwt", "iat": iat, "exp": exp, "jti": "1", "events": map[string]any{}}
	const (
		assertionKind = "has a typ of another kind of JWT; use client-authentication+jwt, JWT or none"
		notBoth       = "must have the client_id as both iss and sub"
	)
	for _, test := range []struct {
		name                  string
		claims                map[string]any
		header                []any
		asObject, asAssertion string
	}{
		{"an assertion", assertion, nil, noClientID, "taken"},
		{"an assertion of its own type", assertion, []any{"typ", "client-authentication+jwt"}, otherKind, "taken"},
		{"an assertion with a client_id", with(assertion, "client_id", "jwt"), nil, "must not have the client_id as sub; it could be taken for a client assertion", "taken"},
		{"a request object", object, nil, "taken", notBoth},
		{"a request object of its own type", object, []any{"typ", "oauth-authz-req+jwt"}, "taken", assertionKind},
		{"an ID token", idToken, nil, noClientID, notBoth},
		{"an ID token of type JWT", idToken, []any{"typ", "JWT"}, noClientID, notBoth},
		{"an ID token with a client_id", with(idToken, "client_id", "jwt"), nil, "has an iss that is not the client_id", notBoth},
		{"a DPoP proof", proof, []any{"typ", "dpop+jwt", "jwk", json.RawMessage(es256.JWK())}, "has jwk in its header, which is not supported", "has jwk in its header, which is not supported"},
		{"a DPoP proof without its key", proof, []any{"typ", "dpop+jwt"}, otherKind, assertionKind},
		{"a DPoP proof without a type", proof, nil, noClientID, notBoth},
		{"an access token", accessToken, []any{"typ", "at+jwt"}, otherKind, assertionKind},
		{"an access token without a type", accessToken, nil, "has an iss that is not the client_id", notBoth},
		{"a logout token", logoutToken, []any{"typ", "logout+jwt"}, otherKind, assertionKind},
		{"a logout token without a type", logoutToken, nil, noClientID, notBoth},
		{"a type that is a number", object, []any{"typ", 1}, otherKind, assertionKind},
		{"an empty type", object, []any{"typ", ""}, otherKind, assertionKind},
	} {
		token := es256.Sign(test.claims, test.header...)
		if _, err := d.open(t, "jwt", token); told(err) != test.asObject {
			t.Errorf("%s as a request object: %s\nwant %s", test.name, told(err), test.asObject)
		}
		if got := strings.TrimPrefix(told(d.assert(t, token)), "401 invalid_client client_assertion "); got != test.asAssertion {
			t.Errorf("%s as an assertion: %s\nwant %s", test.name, got, test.asAssertion)
		}
	}
}

func with(claims map[string]any, name string, value any) map[string]any {
	changed := map[string]any{name: value}
	for name, value := range claims {
		changed[name] = value
	}
	return changed
}

// assert authenticates with an assertion.
func (d desk) assert(t testing.TB, assertion string) error {
	t.Helper()
	form := oauth.Params{{Name: "client_assertion_type", Value: harness.AssertionType}, {Name: "client_assertion", Value: assertion}}
	cred, _, err := client.Read(http.Header{}, form)
	if err != nil {
		return err
	}
	_, err = d.Authenticate(t.Context(), cred, client.Server{Issuer: issuer, TokenEndpoint: issuer + "/token", PushEndpoint: issuer + "/par"})
	return err
}
