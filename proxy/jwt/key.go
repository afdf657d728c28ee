package jwt

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeys   = 64   // in one set
	minRSA    = 2048 // bits (RFC 7518 §3.3)
	maxTrials = 8    // keys that one token without a kid is tried with
)

// Key is a public key with which signatures are verified, or a certificate is recognised.
type Key struct {
	ID        string // empty: it has none
	Algorithm string // the only one it is for; empty: any that fits it
	Public    crypto.PublicKey

	verifies bool // key_ops allows to verify with it
}

// Fits reports whether a signature of that algorithm may be verified with the key.
func (k Key) Fits(algorithm string) bool {
	return k.verifies && (k.Algorithm == "" || k.Algorithm == algorithm) && Fits(algorithm, k.Public)
}

// FitsAny reports whether any signature may be verified with the key.
func (k Key) FitsAny() bool { return slices.ContainsFunc(Asymmetric(), k.Fits) }

// ParseKeys reads a JWK set (RFC 7517 §5). Keys that are of no use here are left out; those that must not be there are
// problems. Without an error the set is one, and what it has besides the problems can be used.
func ParseKeys(content []byte) (keys []Key, problems []string, err error) {
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

// What must not be among keys.
var (
	errPrivate = errors.New("is private; take it out, and do not use it any more")
	errShort   = fmt.Errorf("is an RSA key of less than %d bits", minRSA)
)

// parseKey reads a JWK; nil when it is for something else than signatures, or of a kind that is not known here.
func parseKey(raw []byte) (*Key, error) {
	var members map[string]josejson.RawMessage
	if err := josejson.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("is not a JSON object without repetitions: %w", err)
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, private := members[name]; private {
			return nil, errPrivate
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
	case !jwk.IsPublic() || !jwk.Valid() || isBrokenRSA(jwk.Key):
		return nil, errors.New("is no valid public key")
	case len(jwk.KeyID) > maxKeyID:
		return nil, fmt.Errorf("has a kid of more than %d bytes", maxKeyID)
	}
	key := Key{ID: jwk.KeyID, Algorithm: Canonical(jwk.Algorithm), Public: jwk.Key,
		verifies: use.Operations == nil || slices.Contains(use.Operations, "verify")}
	if rsaKey, ok := jwk.Key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSA {
		return nil, errShort
	}
	return &key, nil
}

// isBrokenRSA reports whether a key is one that no key of RSA can be: its primes are odd, and so is its exponent. Nothing
// is ever verified with such a one.
func isBrokenRSA(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && (k.N.Bit(0) == 0 || k.E%2 == 0)
}

// Candidates returns the keys with which the token may be signed: those that its kid names, else, as some sets have keys
// without one, the nameless; all that fit when it names none.
func (t *Token) Candidates(keys []Key) []Key {
	var named, nameless, fitting []Key
	for _, k := range keys {
		if !k.Fits(t.Algorithm) {
			continue
		}
		fitting = append(fitting, k)
		switch k.ID {
		case "":
			nameless = append(nameless, k)
		case t.KeyID:
			named = append(named, k)
		}
	}
	switch {
	case t.KeyID == "":
	case len(named) > 0:
		fitting = named
	default:
		fitting = nameless
	}
	return fitting[:min(len(fitting), maxTrials)]
}
