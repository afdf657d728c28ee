package client

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"

	"github.com/go-jose/go-jose/v4"
)

// verify returns nil when the assertion was signed by c, and else the reason for the log. Whoever c is, a signature is
// verified, so that an unknown client takes the work of a known one. Whether c may use the algorithm is not asked here.
func (a *Authenticator) verify(ctx context.Context, c *Client, s *assertion) error {
	if s.method() == MethodSecretJWT {
		return a.verifyMAC(c, s)
	}
	keys, trouble := a.keysOf(ctx, c)
	fitting := candidates(keys, s.algorithm, s.keyID)
	if a.signedBy(s, fitting) {
		return nil
	}
	// A key that the client has published since: its kid is new, or it has none.
	if c.published != nil && (s.keyID == "" || len(fitting) == 0) {
		newer, err := c.published.newer(ctx, a)
		if err == nil && a.signedBy(s, candidates(newer, s.algorithm, s.keyID)) {
			return nil
		}
		trouble = errors.Join(trouble, err)
	}
	if len(fitting) == 0 {
		return errors.Join(errors.New("no key for the client's assertion"), trouble)
	}
	return errors.New("wrong signature")
}

func (a *Authenticator) verifyMAC(c *Client, s *assertion) error {
	key := []byte(c.secret.value().text)
	known := len(key) > 0
	if !known {
		key = a.decoys.mac
	}
	switch verified := a.try(s, key); {
	case !known:
		return errors.New("no secret for the client's assertion")
	case !verified:
		return errors.New("wrong signature")
	}
	return nil
}

// signedBy reports whether one of the keys verifies the signature. Without any, a decoy takes their place.
func (a *Authenticator) signedBy(s *assertion, keys []publicKey) bool {
	if len(keys) == 0 {
		a.try(s, a.decoys.keyFor(s.algorithm))
		return false
	}
	for _, k := range keys {
		if a.try(s, k.key) {
			return true
		}
	}
	return false
}

// try verifies the signature with one key.
func (a *Authenticator) try(s *assertion, key any) (verified bool) {
	a.worked(workSignature)
	defer func() {
		if recover() != nil {
			verified = false
		}
	}()
	if k, ok := key.(ed25519.PublicKey); ok {
		key = edVerifier{k}
	}
	_, err := s.jws.Verify(key)
	return err == nil
}

// edVerifier verifies under either name of the algorithm; go-jose knows the older one.
type edVerifier struct{ key ed25519.PublicKey }

// VerifyPayload implements jose.OpaqueVerifier.
func (v edVerifier) VerifyPayload(payload, signature []byte, algorithm jose.SignatureAlgorithm) error {
	if canonical(string(algorithm)) != "EdDSA" || !ed25519.Verify(v.key, payload, signature) {
		return errors.New("wrong signature")
	}
	return nil
}

// decoys are verified with where there is no key. What they verify counts for nothing.
type decoys struct {
	mac  []byte
	keys []crypto.PublicKey
}

func newDecoys() (*decoys, error) {
	// To make an RSA key takes long; to verify with, every odd number of its size is as good.
	one := big.NewInt(1)
	modulus := new(big.Int).Sub(new(big.Int).Lsh(one, minRSA), one)
	d := &decoys{mac: make([]byte, 64), keys: []crypto.PublicKey{&rsa.PublicKey{N: modulus, E: 65537}}}
	rand.Read(d.mac)
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		d.keys = append(d.keys, key.Public())
	}
	key, _, err := ed25519.GenerateKey(rand.Reader)
	d.keys = append(d.keys, key)
	return d, err
}

func (d *decoys) keyFor(algorithm string) crypto.PublicKey {
	for _, key := range d.keys {
		if algorithms[algorithm](key) {
			return key
		}
	}
	return d.mac
}
