package jwt

import (
	"crypto/ed25519"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// VerifiedBy reports whether key, a public one or the bytes of a secret, has signed the token. Whether the key is for the
// token's algorithm is the caller's to know.
func (t *Token) VerifiedBy(key any) (verified bool) {
	defer func() {
		if recover() != nil {
			verified = false
		}
	}()
	if k, ok := key.(ed25519.PublicKey); ok {
		key = edVerifier{k}
	}
	_, err := t.jws.Verify(key)
	return err == nil
}

// edVerifier verifies under either name of the algorithm; go-jose knows the older one.
type edVerifier struct{ key ed25519.PublicKey }

// VerifyPayload implements jose.OpaqueVerifier.
func (v edVerifier) VerifyPayload(payload, signature []byte, algorithm jose.SignatureAlgorithm) error {
	if Canonical(string(algorithm)) != edDSA || !ed25519.Verify(v.key, payload, signature) {
		return errors.New("wrong signature")
	}
	return nil
}
