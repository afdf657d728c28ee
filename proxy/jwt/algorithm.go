package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"maps"
	"slices"
)

// EdDSA with an Ed25519 key, which is all that fits it here, has two names (RFC 8037, RFC 9864).
const (
	edDSA       = "EdDSA"
	ed25519Name = "Ed25519"
)

// asymmetric are the algorithms with a key pair that are accepted (RFC 7518 §3.1, RFC 8037), with what fits a key of each.
var asymmetric = map[string]func(crypto.PublicKey) bool{
	"RS256": isRSA, "RS384": isRSA, "RS512": isRSA, "PS256": isRSA, "PS384": isRSA, "PS512": isRSA,
	"ES256": isOnCurve(elliptic.P256()), "ES384": isOnCurve(elliptic.P384()), "ES512": isOnCurve(elliptic.P521()),
	edDSA: isEd25519,
}

// withSecret are the algorithms with a shared secret, with the bytes that a secret must have for each (RFC 7518 §3.2).
var withSecret = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// Asymmetric returns the names of the algorithms with a key pair that are accepted.
func Asymmetric() []string { return slices.Sorted(maps.Keys(asymmetric)) }

// FAPI returns the names of the algorithms that FAPI 2.0 allows for what clients sign (FAPI 2.0 Security Profile §5.4.1).
func FAPI() []string { return []string{"PS256", "ES256", edDSA} }

// MACs returns the names of the algorithms with a shared secret that are accepted.
func MACs() []string { return slices.Sorted(maps.Keys(withSecret)) }

// MACBytes is how many bytes a secret must have for the algorithm; zero when it is none with a shared secret.
func MACBytes(algorithm string) int { return withSecret[algorithm] }

// IsAsymmetric reports whether the algorithm is an accepted one with a key pair.
func IsAsymmetric(algorithm string) bool { return asymmetric[algorithm] != nil }

// Canonical returns the name by which an algorithm is known here.
func Canonical(algorithm string) string {
	if algorithm == ed25519Name {
		return edDSA
	}
	return algorithm
}

// Aliases returns the other names of algorithms, each with the one that Canonical has.
func Aliases() map[string]string { return map[string]string{ed25519Name: edDSA} }

// Fits reports whether a signature of that algorithm may be verified with such a key.
func Fits(algorithm string, key crypto.PublicKey) bool {
	fits := asymmetric[algorithm]
	return fits != nil && fits(key)
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
