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

	"pargate/proxy/jwt"
)

// verify returns nil when the assertion was signed by c, and else the reason for the log. Whoever c is, a signature is
// verified, so that an unknown client takes the work of a known one. Whether c may use the algorithm is not asked here.
func (a *Authenticator) verify(ctx context.Context, c *Client, s *assertion) error {
	if s.method() == MethodSecretJWT {
		return a.verifyMAC(c, s)
	}
	return a.verifyWithKeys(ctx, c, s.Token)
}

// verifyWithKeys returns nil when one of c's keys has signed the token, and else the reason for the log.
func (a *Authenticator) verifyWithKeys(ctx context.Context, c *Client, t *jwt.Token) error {
	keys, trouble := a.keysOf(ctx, c)
	fitting := t.Candidates(keys)
	if a.signedBy(t, fitting) {
		return nil
	}
	// A key that the client has published since: its kid is new, or it has none.
	if c.published != nil && (t.KeyID == "" || len(fitting) == 0) {
		newer, err := c.published.newer(ctx, a)
		if err == nil && a.signedBy(t, t.Candidates(newer)) {
			return nil
		}
		trouble = errors.Join(trouble, err)
	}
	if len(fitting) == 0 {
		return errors.Join(errors.New("no key for the token"), trouble)
	}
	return errors.New("wrong signature")
}

func (a *Authenticator) verifyMAC(c *Client, s *assertion) error {
	key := []byte(c.secret.value().text)
	known := len(key) > 0
	if !known {
		key = a.decoys.mac
	}
	switch verified := a.try(s.Token, key); {
	case !known:
		return errors.New("no secret for the client's assertion")
	case !verified:
		return errors.New("wrong signature")
	}
	return nil
}

// signedBy reports whether one of the keys verifies the signature. Without any, a decoy takes their place.
func (a *Authenticator) signedBy(t *jwt.Token, keys []jwt.Key) bool {
	if len(keys) == 0 {
		a.try(t, a.decoys.keyFor(t.Algorithm))
		return false
	}
	for _, k := range keys {
		if a.try(t, k.Public) {
			return true
		}
	}
	return false
}

// try verifies the signature with one key.
func (a *Authenticator) try(t *jwt.Token, key any) bool {
	a.worked(workSignature)
	return t.VerifiedBy(key)
}

// decoys are verified with where there is no key. What they verify counts for nothing.
type decoys struct {
	mac  []byte
	keys []crypto.PublicKey
}

func newDecoys() (*decoys, error) {
	// To make an RSA key takes long; to verify with, every odd number of its size is as good.
	one := big.NewInt(1)
	modulus := new(big.Int).Sub(new(big.Int).Lsh(one, 2048), one)
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
		if jwt.Fits(algorithm, key) {
			return key
		}
	}
	return d.mac
}
