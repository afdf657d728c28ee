package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeys   = 64   // of one client
	minRSA    = 2048 // bits (RFC 7518 §3.3)
	maxKeyID  = 256  // bytes
	maxTrials = 8    // keys that one assertion without a kid is tried with
)

// publicKey is a key with which a client's signatures are verified, or its certificate is recognised.
type publicKey struct {
	id        string // empty: it has none
	algorithm string // the only one it is for; empty: any that fits it
	signs     bool   // key_ops allows to verify with it
	key       crypto.PublicKey
}

// algorithms are the asymmetric ones that are accepted (RFC 7518 §3.1, RFC 8037), with what fits a key of each.
var algorithms = map[string]func(crypto.PublicKey) bool{
	"RS256": isRSA, "RS384": isRSA, "RS512": isRSA, "PS256": isRSA, "PS384": isRSA, "PS512": isRSA,
	"ES256": isOnCurve(elliptic.P256()), "ES384": isOnCurve(elliptic.P384()), "ES512": isOnCurve(elliptic.P521()),
	"EdDSA": isEd25519,
}

// macAlgorithms are the ones of client_secret_jwt, with the bytes that a secret must have for each (RFC 7518 §3.2).
var macAlgorithms = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// canonical returns the name by which an algorithm is known here. RFC 9864 gives EdDSA with an Ed25519 key, which is
// all that fits it here, a name of its own.
func canonical(algorithm string) string {
	if algorithm == "Ed25519" {
		return "EdDSA"
	}
	return algorithm
}

func isRSA(key crypto.PublicKey) bool {
	_, ok := key.(*rsa.PublicKey)
	return ok
}

func isOnCurve(curve elliptic.Curve) func(crypto.PublicKey) bool {
	return func(key crypto.PublicKey) bool {
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve == curve
	}
}

func isEd25519(key crypto.PublicKey) bool {
	_, ok := key.(ed25519.PublicKey)
	return ok
}

// fits reports whether a signature of that algorithm may be verified with the key.
func (k publicKey) fits(algorithm string) bool {
	return k.signs && (k.algorithm == "" || k.algorithm == algorithm) && algorithms[algorithm](k.key)
}

func (k publicKey) fitsAny() bool {
	for algorithm := range algorithms {
		if k.fits(algorithm) {
			return true
		}
	}
	return false
}

// parseKeys reads a JWK set (RFC 7517 §5). Keys that are of no use here are left out; those that must not be there are
// problems. Without an error the set is one, and what it has besides the problems can be used.
func parseKeys(content []byte) (keys []publicKey, problems []string, err error) {
	var set struct {
		Keys []josejson.RawMessage `json:"keys"`
	}
	// go-jose's decoder heeds case and refuses members that occur twice.
	switch err := josejson.Unmarshal(content, &set); {
	case err != nil:
		return nil, nil, fmt.Errorf("is not a JWK set (RFC 7517): %w", err)
	case set.Keys == nil:
		return nil, nil, errors.New("is not a JWK set (RFC 7517): it has no keys")
	}
	if len(set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("has more than %d keys", maxKeys)
	}
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		switch {
		case err != nil:
			problems = append(problems, fmt.Sprintf("has a key %d that %v", i+1, err))
		case key != nil:
			keys = append(keys, *key)
		}
	}
	return keys, problems, nil
}

// parseKey reads a JWK; nil when it is for something else than signatures, or of a kind that is not known here.
func parseKey(raw []byte) (*publicKey, error) {
	var members map[string]josejson.RawMessage
	if err := josejson.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("is not a JSON object without repetitions: %w", err)
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, private := members[name]; private {
			return nil, errors.New("is private; take it out, and do not use it any more")
		}
	}
	var use struct {
		Use        string   `json:"use"`
		Operations []string `json:"key_ops"`
	}
	if err := josejson.Unmarshal(raw, &use); err != nil {
		return nil, fmt.Errorf("has a use or key_ops that is none: %w", err)
	}
	if use.Use != "" && use.Use != "sig" {
		return nil, nil
	}
	var jwk jose.JSONWebKey
	switch err := josejson.Unmarshal(raw, &jwk); {
	case errors.Is(err, jose.ErrUnsupportedKeyType):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %s", strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))
	case !jwk.IsPublic() || !jwk.Valid():
		return nil, errors.New("is no valid public key")
	case len(jwk.KeyID) > maxKeyID:
		return nil, fmt.Errorf("has a kid of more than %d bytes", maxKeyID)
	}
	key := publicKey{id: jwk.KeyID, algorithm: canonical(jwk.Algorithm), key: jwk.Key,
		signs: use.Operations == nil || slices.Contains(use.Operations, "verify")}
	if rsaKey, ok := jwk.Key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSA {
		return nil, fmt.Errorf("is an RSA key of less than %d bits", minRSA)
	}
	return &key, nil
}

// candidates returns the keys with which an assertion may be signed: those that its kid names, else, as some sets have
// keys without one, the nameless; all that fit when it names none.
func candidates(keys []publicKey, algorithm, id string) []publicKey {
	var named, nameless, fitting []publicKey
	for _, k := range keys {
		if !k.fits(algorithm) {
			continue
		}
		fitting = append(fitting, k)
		switch k.id {
		case "":
			nameless = append(nameless, k)
		case id:
			named = append(named, k)
		}
	}
	switch {
	case id == "":
	case len(named) > 0:
		fitting = named
	default:
		fitting = nameless
	}
	return fitting[:min(len(fitting), maxTrials)]
}

// hasKeyOf reports whether the certificate's key is among the keys (RFC 8705 §2.2).
func hasKeyOf(keys []publicKey, cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && slices.ContainsFunc(keys, func(k publicKey) bool { return key.Equal(k.key) })
}
