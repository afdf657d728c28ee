package jwt

import (
	"crypto/rsa"
	"strings"
	"testing"
)

// FuzzKeySet: of any document that is fetched, only keys come out that a signature may be verified with: public, of a
// known kind, not too short, and no more than are bearable. A problem repeats nothing of a private key.
func FuzzKeySet(f *testing.F) {
	const ec = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`
	for _, seed := range []string{
		`{"keys":[]}`, `{}`, `[]`, `{"keys":null}`, `{"keys":[` + ec + `}]}`, `{"keys":[` + ec + `,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}`,
		`{"keys":[` + ec + `,"use":"enc"},` + ec + `,"kid":"a","alg":"ES256","key_ops":["verify"]}]}`, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, `{"keys":[{"kty":"EC"}],"keys":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, problems, err := ParseKeys(content)
		if err != nil && (keys != nil || problems != nil) {
			t.Fatalf("%d keys beside the error %v", len(keys), err)
		}
		if len(keys) > maxKeys {
			t.Errorf("%d keys", len(keys))
		}
		for _, k := range keys {
			if k.Public == nil || len(k.ID) > maxKeyID {
				t.Errorf("%q holds %T %q", content, k.Public, k.ID)
			}
			if key, ok := k.Public.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
				t.Errorf("%q holds an RSA key of %d bits", content, key.N.BitLen())
			}
			if isRSA(k.Public) && k.Fits("ES256") || isEd25519(k.Public) && (k.Fits("RS256") || k.Fits("ES256")) {
				t.Errorf("%q holds a %T for another algorithm", content, k.Public)
			}
		}
		for _, p := range problems {
			if strings.Contains(p, "jpsQnnGQmL") {
				t.Errorf("a problem repeats a private key: %s", p)
			}
		}
	})
}
