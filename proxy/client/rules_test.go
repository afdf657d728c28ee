package client_test

import (
	"path/filepath"
	"strings"
	"testing"

	"pargate/proxy/client"
	"pargate/test/harness"
)

var fapi = client.Rules{FAPI: true}

func TestAClientFileUnderTheProfileHasItsClientsAlone(t *testing.T) {
	t.Parallel()
	const (
		secret  = `"client_secret": "` + longSecret + `"`
		not     = " is not allowed with PROFILE=fapi2"
		methods = not + "; use private_key_jwt, tls_client_auth or self_signed_tls_client_auth"
		uri     = `"jwks_uri": "https://app.example/jwks"`
		dns     = `"tls_client_auth_san_dns": "app.example"`
		signed  = `"require_signed_request_object": true`
	)
	jwks, ps256 := keys(es256.JWK()), harness.NewSigner("PS256", "p1")
	alg := func(name string) string { return `"token_endpoint_auth_signing_alg": "` + name + `"` }
	for _, test := range []struct {
		name, entry, want string // what is wrong; empty: nothing
	}{
		{"a key", entry(method("private_key_jwt"), jwks), ""},
		{"keys elsewhere", entry(method("private_key_jwt"), uri), ""},
		{"a certificate by name", entry(method("tls_client_auth"), `"tls_client_auth_san_dns": "app.example"`), ""},
		{"a certificate of its own", entry(method("self_signed_tls_client_auth"), keys(rs256.JWK("alg", "RS256"))), ""},
		{"PS256", entry(method("private_key_jwt"), keys(ps256.JWK()), alg("PS256")), ""},
		{"signed requests", entry(method("tls_client_auth"), dns, keys(ps256.JWK()), signed, `"request_object_signing_alg": "PS256"`), ""},
		{"signed requests by keys elsewhere", entry(method("tls_client_auth"), dns, uri, signed), ""},
		{"EdDSA by its newer name", entry(method("private_key_jwt"), keys(harness.NewSigner("EdDSA", "e1").JWK()), alg("Ed25519")), ""},
		{"the audience that holds anyway", entry(method("private_key_jwt"), jwks, `"assertion_audience": "issuer"`), ""},

		{"the method that is the default", entry(secret), "token_endpoint_auth_method client_secret_basic" + methods},
		{"a secret in the form", entry(method("client_secret_post"), secret), "token_endpoint_auth_method client_secret_post" + methods},
		{"a secret that signs", entry(method("client_secret_jwt"), secret), "token_endpoint_auth_method client_secret_jwt" + methods},
		{"a public client", entry(method("none")), "token_endpoint_auth_method none" + methods},
		{"a secret besides", entry(method("private_key_jwt", "client_secret_basic"), jwks, secret), "token_endpoint_auth_method client_secret_basic" + methods},
		{"another algorithm", entry(method("private_key_jwt"), uri, alg("RS256")), "token_endpoint_auth_signing_alg RS256" + not + "; use PS256, ES256 or EdDSA"},
		{"another size", entry(method("private_key_jwt"), uri, alg("PS512")), "token_endpoint_auth_signing_alg PS512" + not + "; use PS256, ES256 or EdDSA"},
		{"a key for another algorithm", entry(method("private_key_jwt"), keys(rs256.JWK("alg", "RS256"))), "jwks has no key for PS256, ES256 or EdDSA"},
		{"a key on another curve", entry(method("private_key_jwt"), keys(harness.NewSigner("ES384", "k").JWK())), "jwks has no key for PS256, ES256 or EdDSA"},
		{"requests by another algorithm", entry(method("private_key_jwt"), uri, `"request_object_signing_alg": "RS256"`), "request_object_signing_alg RS256" + not + "; use PS256, ES256 or EdDSA"},
		{"requests by another size", entry(method("tls_client_auth"), dns, uri, `"request_object_signing_alg": "PS512"`), "request_object_signing_alg PS512" + not + "; use PS256, ES256 or EdDSA"},
		{"signed requests without a key for them", entry(method("tls_client_auth"), dns, keys(rs256.JWK("alg", "RS256")), signed),
			"jwks has no key for require_signed_request_object, which takes PS256, ES256 or EdDSA"},
		{"three audiences", entry(method("private_key_jwt"), jwks, `"assertion_audience": "rfc9126"`),
			"assertion_audience rfc9126" + not + ", by which an assertion is for the issuer alone; take it out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "clients.json")
			write(t, path, "["+test.entry+"]")
			_, err := client.LoadUnder(path, fapi)
			if test.want == "" && err != nil {
				t.Errorf("LoadUnder() = %v", err)
			}
			if want := `client 1 ("a"): ` + test.want; test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
				t.Errorf("LoadUnder() = %v\nwant %s", err, want)
			}
			if test.want != "" && !strings.Contains(test.want, " none"+methods) {
				load(t, "["+test.entry+"]") // which is right without the profile
			}
		})
	}
}

func TestTheProfileHoldsForTheFileThatIsReadLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clients.json")
	write(t, path, "["+entry(method("private_key_jwt"), keys(es256.JWK()))+"]")
	r, err := client.LoadUnder(path, fapi)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, oneClient)
	if changed, err := r.Reload(); changed || err == nil || r.Lookup("a") == nil || !r.HoldsFAPI() {
		t.Errorf("Reload() = %t, %v; the client of before is there: %t", changed, err, r.Lookup("a") != nil)
	}
}

func TestARegistrySaysWhetherTheProfileHolds(t *testing.T) {
	t.Parallel()
	if load(t, "["+entry(method("private_key_jwt"), keys(es256.JWK()))+"]").HoldsFAPI() {
		t.Error("it holds for a file that was read without it")
	}
	if !new(client.Registry).HoldsFAPI() {
		t.Error("it does not hold where there are no clients")
	}
}

func TestARegistryKnowsWhetherSignaturesCanBeVerified(t *testing.T) {
	t.Parallel()
	for clients, want := range map[string]bool{
		`[]`:      false,
		oneClient: false,
		"[" + entry(method("private_key_jwt"), keys(es256.JWK())) + "]":                                        true,
		"[" + entry(method("private_key_jwt"), `"jwks_uri": "https://app.example/jwks"`) + "]":                 true,
		"[" + entry(method("tls_client_auth"), `"tls_client_auth_san_dns": "app.example"`) + "]":               false,
		"[" + entry(method("self_signed_tls_client_auth"), keys(es256.JWK("key_ops", []string{"sign"}))) + "]": false,
	} {
		if got := load(t, clients).AnySigns(); got != want {
			t.Errorf("%s: %t", clients, got)
		}
	}
	if new(client.Registry).AnySigns() {
		t.Error("nobody has keys")
	}
}
