package client_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pargate/proxy/client"
	"pargate/test/harness"
)

const (
	longSecret = "0123456789abcdef0123456789abcdef"
	argonHash  = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$MMrR8lQEjr6dHgUmhKBUGQ" // bounds are what counts here
	bcryptHash = "$2b$04$abcdefghijklmnopqrstuuuGMf8O8NDfzpnbyqnpkKGJzXh7F9x2a"
)

var (
	es256 = harness.NewSigner("ES256", "k1")
	rs256 = harness.NewSigner("RS256", "r1")
)

// entry is a client called a, with members besides.
func entry(members ...string) string {
	return `{"client_id": "a", ` + strings.Join(members, ", ") + `}`
}

func method(names ...string) string {
	return `"token_endpoint_auth_method": ["` + strings.Join(names, `", "`) + `"]`
}

func keys(jwks ...string) string { return `"jwks": {"keys": [` + strings.Join(jwks, ", ") + `]}` }

func TestAMemberOfAuthenticationIsThereWhereItHasAnEffect(t *testing.T) {
	t.Parallel()
	const (
		secret = `"client_secret": "` + longSecret + `"`
		uri    = `"jwks_uri": "https://app.example/jwks"`
		dn     = `"tls_client_auth_subject_dn": "CN=web"`
	)
	jwks := keys(es256.JWK())
	for _, test := range []struct {
		name, entry, want string // what is wrong; empty: nothing
	}{
		{"a secret for every method that needs one", entry(method("client_secret_basic", "client_secret_post", "client_secret_jwt"), secret), ""},
		{"keys", entry(method("private_key_jwt"), jwks), ""},
		{"keys elsewhere", entry(method("private_key_jwt", "self_signed_tls_client_auth"), uri), ""},
		{"keys for a certificate", entry(method("self_signed_tls_client_auth"), jwks), ""},
		{"a name", entry(method("tls_client_auth"), dn), ""},
		{"all of it", entry(method("client_secret_basic", "private_key_jwt", "tls_client_auth"), secret, jwks, dn, `"assertion_audience": "issuer"`), ""},
		{"keys to sign requests with", entry(secret, jwks, `"require_signed_request_object": true, "request_object_signing_alg": "ES256"`), ""},
		{"keys elsewhere to sign requests with", entry(method("none"), uri, `"request_object_signing_alg": "Ed25519"`), ""},
		{"Argon2", entry(`"client_secret": "` + argonHash + `"`), ""},
		{"bcrypt", entry(`"client_secret": "` + bcryptHash + `"`), ""},
		{"a secret that expires", entry(secret, `"client_secret_expires_at": 1893456000`), ""},
		{"a secret that never expires", entry(secret, `"client_secret_expires_at": 0`), ""},
		{"no secret that never expires", entry(method("private_key_jwt"), jwks, `"client_secret_expires_at": 0`), ""},

		{"no keys", entry(method("private_key_jwt")), "jwks or jwks_uri is missing"},
		{"no keys for a certificate", entry(method("self_signed_tls_client_auth")), "jwks or jwks_uri is missing"},
		{"keys in two places", entry(method("private_key_jwt"), jwks, uri), "jwks and jwks_uri exclude each other"},
		{"keys of a client that may be public", entry(method("none", "private_key_jwt"), jwks), "token_endpoint_auth_method may be none and a method with keys; decide for one"},
		{"an algorithm for requests without keys", entry(secret, `"request_object_signing_alg": "ES256"`), "request_object_signing_alg has no effect without jwks or jwks_uri"},
		{"an algorithm for requests without a key for it", entry(secret, jwks, `"request_object_signing_alg": "PS256"`), "jwks has no key for request_object_signing_alg PS256"},
		{"requests that nobody signs", entry(secret, jwks, `"request_object_signing_alg": "none"`),
			`request_object_signing_alg "none" is not an algorithm that is accepted; use ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384 or RS512`},
		{"requests signed with a secret", entry(secret, jwks, `"request_object_signing_alg": "HS256"`),
			`request_object_signing_alg "HS256" is not an algorithm that is accepted; use ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384 or RS512`},
		{"signed requests without keys", entry(secret, `"require_signed_request_object": true`), "require_signed_request_object has no effect without jwks or jwks_uri"},
		{"signed requests without a key to sign", entry(secret, keys(es256.JWK("use", "enc")), `"require_signed_request_object": true`), "jwks has no key for the signatures that require_signed_request_object asks for"},
		{"signed requests, perhaps", entry(secret, jwks, `"require_signed_request_object": "yes"`), "require_signed_request_object is not true or false"},
		{"encrypted requests", entry(secret, jwks, `"request_object_encryption_alg": "RSA-OAEP-256"`),
			"request_object_encryption_alg asks for encrypted request objects, which are not supported; a push is confidential without"},
		{"a secret without an effect", entry(method("private_key_jwt"), jwks, secret),
			"client_secret has no effect without client_secret_basic, client_secret_post or client_secret_jwt; take it out"},
		{"no name", entry(method("tls_client_auth")), "tls_client_auth_san_dns, tls_client_auth_san_email, tls_client_auth_san_ip, tls_client_auth_san_uri or tls_client_auth_subject_dn is missing"},
		{"two names", entry(method("tls_client_auth"), dn, `"tls_client_auth_san_dns": "app.example"`), "tls_client_auth_san_dns and tls_client_auth_subject_dn exclude each other"},
		{"a name without an effect", entry(secret, dn), "tls_client_auth_subject_dn has no effect without tls_client_auth; take it out"},
		{"an algorithm without an effect", entry(secret, `"token_endpoint_auth_signing_alg": "ES256"`),
			"token_endpoint_auth_signing_alg has no effect without client_secret_jwt or private_key_jwt; take it out"},
		{"an audience without an effect", entry(secret, `"assertion_audience": "issuer"`), "assertion_audience has no effect without client_secret_jwt or private_key_jwt; take it out"},
		{"an end without a secret", entry(method("private_key_jwt"), jwks, `"client_secret_expires_at": 1893456000`), "client_secret_expires_at has no effect without client_secret; take it out"},
		{"an algorithm for one method of two", entry(method("private_key_jwt", "client_secret_jwt"), jwks, secret, `"token_endpoint_auth_signing_alg": "ES256"`),
			"token_endpoint_auth_signing_alg ES256 leaves client_secret_jwt without an algorithm"},
		{"an algorithm of the other method", entry(method("private_key_jwt"), jwks, `"token_endpoint_auth_signing_alg": "HS256"`),
			"token_endpoint_auth_signing_alg HS256 leaves private_key_jwt without an algorithm"},
		{"a key for another algorithm", entry(method("private_key_jwt"), jwks, `"token_endpoint_auth_signing_alg": "PS256"`), "jwks has no key for PS256"},
		{"a key that says so", entry(method("private_key_jwt"), keys(rs256.JWK("alg", "RS256")), `"token_endpoint_auth_signing_alg": "PS256"`), "jwks has no key for PS256"},
		{"a key that must not verify", entry(method("private_key_jwt"), keys(es256.JWK("key_ops", []string{"encrypt"}))), "jwks has no key for signatures"},
		{"a key for encryption", entry(method("private_key_jwt"), keys(es256.JWK("use", "enc"))), "jwks has no key for signatures"},
		{"a key for encryption beside another", entry(method("private_key_jwt"), keys(es256.JWK("use", "enc", "kid", "e"), es256.JWK("use", "sig"))), ""},
		{"a key of an unknown kind beside another", entry(method("private_key_jwt"), keys(`{"kty": "OKP", "crv": "X25519", "x": "AAAA"}`, es256.JWK("key_ops", []string{"verify"}))), ""},
		{"no key for a certificate", entry(method("self_signed_tls_client_auth"), keys()), "jwks has no key for self_signed_tls_client_auth"},
		{"a short secret", entry(method("client_secret_jwt"), `"client_secret": "`+longSecret[1:]+`"`), "client_secret has less than 32 bytes, which HS256 needs"},
		{"a short secret for a longer hash", entry(method("client_secret_jwt"), secret, `"token_endpoint_auth_signing_alg": "HS512"`), "client_secret has less than 64 bytes, which HS512 needs"},
		{"a hash where the secret is needed", entry(method("client_secret_jwt"), `"client_secret": "`+argonHash+`"`), "client_secret is a hash, but client_secret_jwt needs the secret itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.want == "" {
				load(t, "["+test.entry+"]")
				return
			}
			checkLoadFails(t, "["+test.entry+"]", `client 1 ("a"): `+test.want)
		})
	}
}

func TestAValueThatIsNoneIsToldWithItsMember(t *testing.T) {
	t.Parallel()
	const algs = "ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512, HS256, HS384 or HS512"
	jwks := keys(es256.JWK())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	modulus := slices.Clone(rs256.Key.(*rsa.PrivateKey).N.Bytes())
	modulus[len(modulus)-1] ^= 1
	even := base64.RawURLEncoding.EncodeToString(modulus)
	weak := &harness.Signer{Algorithm: "RS256", Key: small}
	many := keys(strings.Split(strings.Repeat(es256.JWK()+"\n", 65), "\n")[:65]...)
	private := `{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "s3cret"}`
	for _, test := range []struct{ member, want string }{
		{`"token_endpoint_auth_signing_alg": "none"`, `token_endpoint_auth_signing_alg "none" is not an algorithm that is accepted; use ` + algs},
		{`"token_endpoint_auth_signing_alg": "es256"`, `token_endpoint_auth_signing_alg "es256" is not an algorithm that is accepted; use ` + algs},
		{`"token_endpoint_auth_signing_alg": ["ES256"]`, `token_endpoint_auth_signing_alg is not a string`},
		{`"assertion_audience": "token"`, `assertion_audience "token" is neither rfc9126 nor issuer`},
		{`"assertion_audience": null`, `assertion_audience is not a string`},
		{`"jwks": {}`, `jwks is not a JWK set (RFC 7517): it has no keys`},
		{keys(private), "jwks has a key 1 that is private; take it out, and do not use it any more"},
		{keys(es256.JWK(), `{"kty": "oct", "k": "s3cret"}`), "jwks has a key 2 that is private; take it out, and do not use it any more"},
		{keys(rs256.JWK("e", "AQAC")), "jwks has a key 1 that is no valid public key"}, // 65538
		{keys(rs256.JWK("n", even)), "jwks has a key 1 that is no valid public key"},
		{keys(weak.JWK()), "jwks has a key 1 that is an RSA key of less than 2048 bits"},
		{keys(es256.JWK("kid", strings.Repeat("x", 257))), "jwks has a key 1 that has a kid of more than 256 bytes"},
		{keys(es256.JWK("y", es256.JWK()[:4])), "jwks has a key 1 that cannot be read: "},
		{many, "jwks has more than 64 keys"},
		{`"jwks_uri": "http://app.example/jwks"`, "jwks_uri is not an https URL without credentials and fragment"},
		{`"jwks_uri": "https://u:p@app.example/jwks"`, "jwks_uri is not an https URL without credentials and fragment"},
		{`"jwks_uri": "https://app.example/#x"`, "jwks_uri is not an https URL without credentials and fragment"},
		{`"jwks_uri": "https:///jwks"`, "jwks_uri is not an https URL without credentials and fragment"},
		{`"jwks_uri": 1`, "jwks_uri is not a string"},
		{`"tls_client_auth_subject_dn": "web"`, "tls_client_auth_subject_dn is not a distinguished name as RFC 4514 writes it: an attribute has no value"},
		{`"tls_client_auth_subject_dn": "XX=web"`, `tls_client_auth_subject_dn is not a distinguished name as RFC 4514 writes it: "XX" is not an attribute; use its OID`},
		{`"tls_client_auth_san_ip": "app.example"`, "tls_client_auth_san_ip is not an IP address"},
		{`"tls_client_auth_san_uri": "app"`, "tls_client_auth_san_uri is not an absolute URI"},
		{`"tls_client_auth_san_email": "app"`, "tls_client_auth_san_email is not an e-mail address"},
		{`"tls_client_auth_san_dns": ""`, "tls_client_auth_san_dns is empty"},
		{`"client_secret_expires_at": "0"`, "client_secret_expires_at is not a time in seconds"},
		{`"client_secret_expires_at": -1`, "client_secret_expires_at is not a time in seconds"},
		{`"client_secret_expires_at": null`, "client_secret_expires_at is not a time in seconds"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			members := []string{test.member}
			if !strings.HasPrefix(test.member, `"jwks`) {
				members = append(members, jwks)
			}
			path := filepath.Join(t.TempDir(), "clients.json")
			write(t, path, "["+entry(append(members, method("private_key_jwt"))...)+"]")
			_, err := client.Load(path)
			if err == nil || !strings.Contains(err.Error(), `client 1 ("a"): `+test.want) {
				t.Errorf("%s: %v\nwant %s", test.member, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestAHashHasOneFormAndBounds(t *testing.T) {
	t.Parallel()
	const (
		form  = "looks like a hash of Argon2, but is not $argon2id$v=19$m=…,t=…,p=…$salt$hash"
		dear  = "is a hash of Argon2 that is too dear to check; at most m=131072, t=16 and p=16, and m times t at most 1048576, are taken"
		other = "looks like a hash of bcrypt, but is not $2a$, $2b$ or $2y$ with cost, salt and hash"
		cost  = "is a hash of bcrypt with a cost that is not 4 to 14"
	)
	argon := func(parameters string) string {
		return "$argon2id$v=19$" + parameters + "$c2FsdHNhbHQ$MMrR8lQEjr6dHgUmhKBUGQ"
	}
	for hash, want := range map[string]string{
		argon("m=65536,t=3,p=4"):   "",
		argon("m=131072,t=8,p=16"): "",
		argon("m=131073,t=1,p=1"):  dear, argon("m=9999999,t=1,p=1"): dear, argon("m=131072,t=9,p=1"): dear,
		argon("m=64,t=17,p=1"): dear, argon("m=1024,t=1,p=17"): dear,
		argon("m=15,t=1,p=2"): "is a hash of Argon2 with less than 8 KiB per thread",
		argon("m=0,t=1,p=1"):  form, argon("m=64,t=0,p=1"): form, argon("m=64,p=1,t=1"): form, argon("m=99999999999999999999,t=1,p=1"): form,
		strings.Replace(argon("m=64,t=1,p=1"), "argon2id", "argon2i", 1):   form,
		strings.Replace(argon("m=64,t=1,p=1"), "v=19", "v=16", 1):          form,
		argon("m=64,t=1,p=1") + "=":                                        form,
		"$argon2id$secret":                                                 form,
		"$argon2id$v=19$m=64,t=1,p=1$c2Fsd$MMrR8lQEjr6dHgUmhKBUGQ":         form,
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQAA$MMrR8lQEjr6dHgUmhKBUGQ": "is a hash of Argon2 whose salt or hash is not Base64",
		bcryptHash: "",
		strings.Replace(bcryptHash, "2b", "2y", 1):   "",
		strings.Replace(bcryptHash, "2b", "2x", 1):   other,
		strings.Replace(bcryptHash, "$04", "$15", 1): cost,
		strings.Replace(bcryptHash, "$04", "$03", 1): cost,
		bcryptHash[:59]: other, bcryptHash + "a": other, "$2secret": other,
	} {
		t.Run(hash, func(t *testing.T) {
			t.Parallel()
			content := `[{"client_id": "a", "client_secret": "` + hash + `"}]`
			if want == "" {
				load(t, content)
				return
			}
			checkLoadFails(t, content, `client 1 ("a"): client_secret `+want)
		})
	}
}

func TestAMethodThatCannotBeUsedIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clients.json")
	content := "[" + entry(method("tls_client_auth"), `"tls_client_auth_san_dns": "app.example"`) + "]"
	write(t, path, oneClient)
	r, err := client.LoadUnder(path, client.Rules{Without: map[string]string{"tls_client_auth": "needs a listener"}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, content)
	_, err = r.Reload()
	if want := `client 1 ("a"): token_endpoint_auth_method tls_client_auth needs a listener`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Reload() = %v, want %s", err, want)
	}
	load(t, content)
}

// The property: whatever the file holds, reading it ends with problems or with clients, and each of those has what each
// of its methods needs.
func FuzzClientFile(f *testing.F) {
	f.Add(entry(method("private_key_jwt"), keys(es256.JWK(), rs256.JWK("alg", "PS256"))))
	f.Add(entry(method("tls_client_auth"), `"tls_client_auth_subject_dn": "CN=a\\,b+OU=x,O=#0c0161,2.5.4.6=DE"`))
	f.Add(entry(`"client_secret": "`+argonHash+`"`, `"client_secret_expires_at": 1`))
	f.Add(entry(method("client_secret_jwt"), `"client_secret": "`+longSecret+`"`, `"assertion_audience": "issuer"`))
	f.Add(entry(method("self_signed_tls_client_auth"), `"jwks_uri": "https://app.example/jwks"`))
	f.Fuzz(func(t *testing.T, entry string) {
		clients, err := client.Parse([]byte("[" + entry + "]"))
		if err != nil {
			return
		}
		for _, c := range clients {
			if c.ID == "" || len(c.AuthMethods) == 0 || c.Lacks() != "" {
				t.Errorf("client %q of %v lacks %s: %s", c.ID, c.AuthMethods, c.Lacks(), entry)
			}
		}
	})
}
