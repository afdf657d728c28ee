package harness

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// ProofClaims are those of a DPoP proof for a POST to uri at the time, with the named changes.
func ProofClaims(uri string, at time.Time, changes ...any) map[string]any {
	return Changed(map[string]any{"htm": "POST", "htu": uri, "jti": rand.Text(), "iat": at.Unix()}, changes...)
}

// Prove makes a DPoP proof (RFC 9449 §4.2) of the claims, with the named changes of its header.
func (s *Signer) Prove(claims map[string]any, header ...any) string {
	own := []any{"typ", "dpop+jwt", "jwk", json.RawMessage(s.JWK())}
	return s.Sign(claims, append(own, header...)...)
}

// Thumbprint is that of the public key (RFC 7638): what stands for the key in dpop_jkt.
func (s *Signer) Thumbprint() string {
	var all map[string]string
	if err := json.Unmarshal([]byte(s.JWK()), &all); err != nil {
		panic(err)
	}
	required := map[string]string{}
	for _, name := range map[string][]string{"EC": {"crv", "kty", "x", "y"}, "RSA": {"e", "kty", "n"}, "OKP": {"crv", "kty", "x"}}[all["kty"]] {
		required[name] = all[name]
	}
	sum := sha256.Sum256(must(json.Marshal(required))) // in the order of names, without blanks
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
