package dpop_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"pargate/proxy/dpop"
	"pargate/proxy/jwt"
	"pargate/test/harness"
)

const endpoint = "https://as.example/par"

var (
	now   = time.Unix(1_800_000_000, 0)
	es256 = harness.NewSigner("ES256", "")
	es384 = harness.NewSigner("ES384", "")
	ps256 = harness.NewSigner("PS256", "")
	ed    = harness.NewSigner("Ed25519", "")
	other = harness.NewSigner("ES256", "")
)

func at(seconds float64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf("%.3f", float64(now.Unix())+seconds))
}

func request() dpop.Request {
	return dpop.Request{Method: "POST", URI: endpoint, Algorithms: []string{"EdDSA", "ES256", "PS256"}, Time: now}
}

func claims(changes ...any) map[string]any { return harness.ProofClaims(endpoint, now, changes...) }

// privateJWK is the whole key.
func privateJWK(s *harness.Signer) json.RawMessage {
	raw, err := jose.JSONWebKey{Key: s.Key}.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return raw
}

func withSignature(proof string, signature []byte) string {
	return proof[:strings.LastIndex(proof, ".")+1] + base64.RawURLEncoding.EncodeToString(signature)
}

func jwk(s *harness.Signer, changes ...any) json.RawMessage {
	return json.RawMessage(s.JWK(changes...))
}

const (
	wrongAlg = "has an alg that is not taken here; use EdDSA or ES256 or PS256"
	wrongTyp = "has a typ of another kind of JWT; use dpop+jwt"
	wrongKey = "has a jwk in its header that is no public key for signatures"
	unfit    = "has a jwk in its header that is not for its alg"
	private  = "has a private key in its header; send the public one, and do not use this key any more"
	unsigned = "is not signed by the key in its header"
	noJWT    = "is not a signed JWT in compact serialization"
	wrongHTM = "has another htm than the request's method; use POST"
	wrongHTU = "has another htu than the endpoint's; use https://as.example/par"
	wrongJTI = "has a jti that is not a string of 1 to 256 bytes"
	tooOld   = "has an iat that is more than 60 seconds old; make a proof for each request"
	isAhead  = "has an iat that lies ahead; set the clock"
	expired  = "has expired; make a proof for each request"
)

// hostile are proofs that prove nothing, each with what is told of it.
var hostile = []struct{ name, proof, want string }{
	{"nothing", "", noJWT},
	{"no JWT", "x.y", noJWT},
	{"two proofs in a list", es256.Prove(claims()) + ", " + es256.Prove(claims()), "must come alone, in one DPoP header"},
	{"a proof and a comma", es256.Prove(claims()) + ",", "must come alone, in one DPoP header"},
	{"a large one", es256.Prove(claims("x", strings.Repeat("x", 8<<10))), "has more than 8192 bytes"},
	{"a JWE", "e30.e30.e30.e30.e30", "is encrypted, which is not supported"},
	{"a line end in it", strings.Replace(es256.Prove(claims()), ".", ".\n", 1), noJWT},
	{"padding", es256.Prove(claims()) + "=", noJWT},

	// alg
	{"none", withSignature(es256.Prove(claims(), "alg", "none"), nil), wrongAlg},
	{"nOnE", withSignature(es256.Prove(claims(), "alg", "nOnE"), nil), wrongAlg},
	{"no alg", es256.Prove(claims(), "alg", nil), "has no alg in its header"},
	{"a secret's algorithm with the public key as the secret", (&harness.Signer{Algorithm: "HS256", Key: []byte(es256.JWK())}).Sign(claims(), "typ", "dpop+jwt", "jwk", jwk(es256)), wrongAlg},
	{"a known one that the server does not take", es384.Prove(claims()), wrongAlg},
	{"a weaker one for the same key", (&harness.Signer{Algorithm: "RS256", Key: ps256.Key}).Prove(claims()), wrongAlg},
	{"one that nobody knows here", es256.Prove(claims(), "alg", "ES256K"), wrongAlg},
	{"one in lower case", es256.Prove(claims(), "alg", "es256"), wrongAlg},

	// typ
	{"no typ", es256.Prove(claims(), "typ", nil), wrongTyp},
	{"JWT", es256.Prove(claims(), "typ", "JWT"), wrongTyp},
	{"a client assertion", es256.Prove(claims(), "typ", "client-authentication+jwt"), wrongTyp},
	{"a request object", es256.Prove(claims(), "typ", "oauth-authz-req+jwt"), wrongTyp},
	{"an access token", es256.Prove(claims(), "typ", "at+jwt"), wrongTyp},
	{"a typ that is a list", es256.Prove(claims(), "typ", []string{"dpop+jwt"}), wrongTyp},

	// The key.
	{"no key", es256.Prove(claims(), "jwk", nil), "has no jwk in its header; put the public key there"},
	{"a kid in place of the key", es256.Prove(claims(), "jwk", nil, "kid", "k1"), "has no jwk in its header; put the public key there"},
	{"null", es256.Prove(claims(), "jwk", json.RawMessage("null")), wrongKey},
	{"a text", es256.Prove(claims(), "jwk", es256.JWK()), wrongKey},
	{"a key set", es256.Prove(claims(), "jwk", json.RawMessage(harness.KeySet(es256))), wrongKey},
	{"a private EC key", es256.Prove(claims(), "jwk", privateJWK(es256)), private},
	{"a private RSA key", ps256.Prove(claims(), "jwk", privateJWK(ps256)), private},
	{"a private Ed25519 key", ed.Prove(claims(), "jwk", privateJWK(ed)), private},
	{"an empty private member", es256.Prove(claims(), "jwk", jwk(es256, "d", "")), private},
	{"a secret", es256.Prove(claims(), "jwk", json.RawMessage(`{"kty":"oct","k":"AAAA"}`)), private},
	{"a secret without its bytes", es256.Prove(claims(), "jwk", json.RawMessage(`{"kty":"oct"}`)), wrongKey},
	{"a kind that nobody knows", es256.Prove(claims(), "jwk", jwk(es256, "kty", "c4nary")), wrongKey},
	{"a point that is not on the curve", es256.Prove(claims(), "jwk", jwk(es256, "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")), wrongKey},
	{"a key for encryption", es256.Prove(claims(), "jwk", jwk(es256, "use", "enc")), wrongKey},
	{"a key that only signs", es256.Prove(claims(), "jwk", jwk(es256, "key_ops", []string{"sign"})), unfit},
	{"a key for another algorithm", es256.Prove(claims(), "jwk", jwk(es256, "alg", "ES384")), unfit},
	{"a key of another curve", es256.Prove(claims(), "jwk", jwk(es384)), unfit},
	{"a key of another kind", es256.Prove(claims(), "jwk", jwk(ps256)), unfit},
	{"a short RSA key", es256.Prove(claims(), "alg", "PS256", "jwk", oddKey(2047)), "has an RSA key of less than 2048 bits in its header"},
	{"a long RSA key", es256.Prove(claims(), "alg", "PS256", "jwk", oddKey(4097)), wrongKey},
	{"a member twice", es256.SignRaw(`{"alg":"ES256","typ":"dpop+jwt","jwk":`+strings.Replace(es256.JWK(), "{", `{"kty":"RSA",`, 1)+`}`, `{}`),
		"has a header that is not a JSON object without repetitions"},
	{"jku too", es256.Prove(claims(), "jku", "https://evil.example"), "has jku in its header, which is not supported"},
	{"x5u too", es256.Prove(claims(), "x5u", "https://evil.example"), "has x5u in its header, which is not supported"},
	{"x5c too", es256.Prove(claims(), "x5c", []string{"AA"}), "has x5c in its header, which is not supported"},
	{"crit", es256.Prove(claims(), "crit", []string{"exp"}), "has crit in its header, which is not supported"},
	{"b64", es256.Prove(claims(), "b64", false), "has b64 in its header, which is not supported"},

	// The signature.
	{"somebody else's key", other.Prove(claims(), "jwk", jwk(es256)), unsigned},
	{"no signature", withSignature(es256.Prove(claims()), nil), unsigned},
	{"r and s are zero", withSignature(es256.Prove(claims()), make([]byte, 64)), unsigned},
	{"other claims", splice(es256.Prove(claims()), es256.Prove(claims())), unsigned},

	// htm and htu
	{"no htm", es256.Prove(claims("htm", nil)), wrongHTM},
	{"GET", es256.Prove(claims("htm", "GET")), wrongHTM},
	{"post", es256.Prove(claims("htm", "post")), wrongHTM},
	{"an htm that is a list", es256.Prove(claims("htm", []string{"POST"})), wrongHTM},
	{"no htu", es256.Prove(claims("htu", nil)), wrongHTU},
	{"an htu that is a list", es256.Prove(claims("htu", []string{endpoint})), wrongHTU},
	{"the token endpoint", es256.Prove(claims("htu", "https://as.example/token")), wrongHTU},
	{"the issuer", es256.Prove(claims("htu", "https://as.example")), wrongHTU},
	{"a member twice among the claims", es256.SignText(`{"htm":"GET","htm":"POST"}`, "typ", "dpop+jwt", "jwk", jwk(es256)),
		"has claims that are not a JSON object without repetitions"},
	{"HTM", es256.Prove(claims("htm", nil, "HTM", "POST")), wrongHTM},

	// jti
	{"no jti", es256.Prove(claims("jti", nil)), "has no jti"},
	{"an empty jti", es256.Prove(claims("jti", "")), wrongJTI},
	{"a huge jti", es256.Prove(claims("jti", strings.Repeat("j", 257))), wrongJTI},
	{"a number", es256.Prove(claims("jti", 1)), wrongJTI},

	// Times.
	{"no iat", es256.Prove(claims("iat", nil)), "has no iat"},
	{"an iat that is a text", es256.Prove(claims("iat", "1800000000")), "has an iat that is not a time in seconds"},
	{"an iat that is null", es256.Prove(claims("iat", json.RawMessage("null"))), "has an iat that is not a time in seconds"},
	{"an iat in milliseconds", es256.Prove(claims("iat", 1_800_000_000_000)), "has an iat that is not a time in seconds"},
	{"too old", es256.Prove(claims("iat", at(-70.001))), tooOld},
	{"of 1970", es256.Prove(claims("iat", 0)), tooOld},
	{"too far ahead", es256.Prove(claims("iat", at(30.001))), isAhead},
	{"expired", es256.Prove(claims("exp", at(-10))), expired},
	{"exp null", es256.Prove(claims("exp", json.RawMessage("null"))), "has an exp that is not a time in seconds"},
	{"not yet", es256.Prove(claims("nbf", at(30.001))), "has an nbf that lies ahead; set the clock"},
}

// oddKey passes for an RSA key with a modulus of so many bits.
func oddKey(bits uint) json.RawMessage {
	one := big.NewInt(1)
	modulus := new(big.Int).Sub(new(big.Int).Lsh(one, bits), one)
	return json.RawMessage(`{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(modulus.Bytes()) + `"}`)
}

// splice has the claims of the second proof in the first.
func splice(first, second string) string {
	a, b := strings.Split(first, "."), strings.Split(second, ".")
	return a[0] + "." + b[1] + "." + a[2]
}

func TestAHostileProofProvesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range hostile {
		proof, err := dpop.Verify([]string{c.proof}, request())
		if proof != nil || err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestAProofIsOneHeader(t *testing.T) {
	t.Parallel()
	proof := es256.Prove(claims())
	for _, fields := range [][]string{nil, {proof, proof}, {proof, ""}, {"", proof}} {
		if _, err := dpop.Verify(fields, request()); err == nil || err.Error() != "must come alone, in one DPoP header" {
			t.Errorf("%d fields: %v", len(fields), err)
		}
	}
}

func TestAProofNamesItsKey(t *testing.T) {
	t.Parallel()
	for _, s := range []*harness.Signer{es256, es384, ps256, ed, harness.NewSigner("ES256", "with a kid"), harness.NewSigner("RS512", "")} {
		r := request()
		r.Algorithms = jwt.Asymmetric()
		proof, err := dpop.Verify([]string{s.Prove(claims())}, r)
		if err != nil || proof.Thumbprint != s.Thumbprint() {
			t.Errorf("%s: %v %v, want %s", s.Algorithm, proof, err, s.Thumbprint())
		}
	}
}

// The example of RFC 9449 §4.1, with the thumbprint of §6.1.
func TestTheExampleOfRFC9449IsAProof(t *testing.T) {
	t.Parallel()
	const example = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	proof, err := dpop.Verify([]string{example}, dpop.Request{Method: "POST", URI: "https://server.example.com/token",
		Algorithms: []string{"ES256"}, Time: time.Unix(1562262616, 0)})
	if err != nil || proof.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("%v %v", proof, err)
	}
}

func TestAProofIsGoodForAMinute(t *testing.T) {
	t.Parallel()
	for _, changes := range [][]any{
		{"iat", at(-10)}, {"iat", at(10)}, {"iat", at(-70)}, {"iat", at(30)}, {"exp", at(-9.999)}, {"exp", at(1e6)}, {"nbf", at(30)}, {"nbf", at(-1e6)},
	} {
		if _, err := dpop.Verify([]string{es256.Prove(claims(changes...))}, request()); err != nil {
			t.Errorf("%s: %v", changes, err)
		}
	}
	// What is taken at the earliest moment is not taken any more when its mark is forgotten.
	proof := es256.Prove(claims("iat", at(30)))
	late := request()
	late.Time = now.Add(dpop.Window + time.Millisecond)
	if _, err := dpop.Verify([]string{proof}, late); err == nil || err.Error() != tooOld {
		t.Errorf("behind the window: %v", err)
	}
}

func TestOtherClaimsAndHeadersMakeNoDifference(t *testing.T) {
	t.Parallel()
	for _, proof := range []string{
		es256.Prove(claims("nonce", "n"), "kid", "k1", "cty", "x"), es256.Prove(claims("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")),
		es256.Prove(claims(), "typ", "DPoP+JWT"), es256.Prove(claims(), "typ", "application/dpop+jwt"), ed.Prove(claims(), "alg", "EdDSA"),
		es256.Prove(claims(), "jwk", jwk(es256, "use", "sig", "alg", "ES256", "key_ops", []string{"verify"}, "kid", "x", "c4nary", 1)),
	} {
		if _, err := dpop.Verify([]string{proof}, request()); err != nil {
			t.Errorf("%s: %v", proof, err)
		}
	}
}

func TestAProofIsNamedByItsKeyItsTargetAndItsID(t *testing.T) {
	t.Parallel()
	id := func(s *harness.Signer, uri string, changes ...any) string {
		r := request()
		r.URI = uri
		proof, err := dpop.Verify([]string{s.Prove(harness.ProofClaims(uri, now, changes...))}, r)
		if err != nil {
			t.Fatal(err)
		}
		return proof.ID
	}
	one := id(es256, endpoint, "jti", "1")
	for name, other := range map[string]string{
		"the spelling of the target": id(es256, "HTTPS://AS.example:443/p%61r", "jti", "1"), "times": id(es256, endpoint, "jti", "1", "iat", at(-7)),
	} {
		if other != one {
			t.Errorf("%s makes another proof of it: %s and %s", name, one, other)
		}
	}
	all := []string{one, id(es256, endpoint, "jti", "2"), id(other, endpoint, "jti", "1"), id(es256, "https://as.example/other", "jti", "1"),
		id(es256, "https://as.example/pas", "jti", "1"), id(es256, endpoint, "jti", "1 1")}
	if slices.Sort(all); len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("two proofs have one name: %q", all)
	}
}

// FuzzVerify: what a key has signed and is taken as a proof is one of that key, for the request, and what is told of
// anything else is plain and repeats nothing of it. In a header, KEY stands for the key and PRIVATE for the whole of it.
func FuzzVerify(f *testing.F) {
	const header, payload = `{"alg":"ES256","typ":"dpop+jwt","jwk":KEY}`, `{"htm":"POST","htu":"https://as.example/par","jti":"c4nary","iat":1800000000}`
	for _, seed := range []string{
		header, `{"alg":"ES256","typ":"dpop+jwt","jwk":PRIVATE}`, `{"alg":"none","typ":"dpop+jwt","jwk":KEY}`, `{"alg":"ES256","typ":"dpop+jwt"}`,
		`{"alg":"ES256","typ":"dpop+jwt","jwk":KEY,"kid":"c4nary"}`, `{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"c4nary"}}`,
		`{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"RSA","n":"AQ","e":"AQAB"}}`, `{"alg":"ES256","typ":"dpop+jwt","jwk":{"c4nary":KEY}}`,
		`{"alg":"ES256","typ":"dpop+jwt","jwk":[KEY,"c4nary"]}`, `{"alg":"ES256","typ":"c4nary","jwk":KEY}`, `{"alg":"HS256","typ":"dpop+jwt","jwk":KEY}`,
	} {
		f.Add(seed, payload)
	}
	for _, seed := range []string{
		`{}`, `[]`, `{"htm":"c4nary"}`, `{"htm":"POST","htu":"c4nary"}`, strings.Replace(payload, "//as", "//c4nary", 1), strings.Replace(payload, "par", "%70ar?c4nary", 1),
		strings.Replace(payload, "as.example", "AS.EXAMPLE:443/./x/..", 1), strings.Replace(payload, "1800000000", `1.8e9,"exp":1800000000.5,"nbf":0`, 1),
		strings.Replace(payload, `"c4nary"`, `"c4nary","jti":"1"`, 1), strings.Replace(payload, `"c4nary"`, `["c4nary"]`, 1),
	} {
		f.Add(header, seed)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		text := es256.SignRaw(strings.NewReplacer("KEY", es256.JWK(), "PRIVATE", string(privateJWK(es256))).Replace(header), payload)
		proof, err := dpop.Verify([]string{text}, request())
		if err != nil {
			if message := err.Error(); strings.Contains(message, "c4nary") || strings.ContainsFunc(message, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
				t.Errorf("%q %q: %q", header, payload, message)
			}
			return
		}
		var claims map[string]any // by their exact names, unlike a struct's
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		stated := func(name string) string { value, _ := claims[name].(string); return value }
		if proof.Thumbprint != es256.Thumbprint() || stated("htm") != "POST" || stated("jti") == "" || !strings.HasSuffix(proof.ID, " "+stated("jti")) || strings.Contains(header, "PRIVATE") {
			t.Errorf("%q %q are taken: %v", header, payload, proof)
		}
		if u, err := url.Parse(stated("htu")); err == nil && (!strings.EqualFold(u.Scheme, "https") || !strings.EqualFold(u.Hostname(), "as.example") ||
			u.Port() != "" && u.Port() != "443" || path.Clean(u.Path) != "/par") {
			t.Errorf("%q is taken for the endpoint", stated("htu"))
		}
	})
}
