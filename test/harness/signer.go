package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// AssertionType is the client_assertion_type of RFC 7523.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Signer makes what a client signs.
type Signer struct {
	Algorithm string
	KeyID     string // empty: none
	Key       any    // a private key, or the bytes of a secret
}

// rsaKey is one for every test: making one takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

// NewSigner returns a signer with a key of the algorithm's kind; those for RSA all have the same one.
func NewSigner(algorithm, keyID string) *Signer {
	s := &Signer{Algorithm: algorithm, KeyID: keyID}
	switch algorithm {
	case "ES256":
		s.Key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case "ES384":
		s.Key = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case "ES512":
		s.Key = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	case "EdDSA", "Ed25519":
		s.Key = ed25519.NewKeyFromSeed([]byte(rand.Text() + rand.Text())[:ed25519.SeedSize])
	default:
		s.Key = rsaKey()
	}
	return s
}

// JWK is the public key, with the named changes.
func (s *Signer) JWK(changes ...any) string {
	key := s.Key
	if signer, ok := key.(crypto.Signer); ok {
		key = signer.Public()
	}
	members := map[string]any{}
	if err := json.Unmarshal(must(jose.JSONWebKey{Key: key, KeyID: s.KeyID}.MarshalJSON()), &members); err != nil {
		panic(err)
	}
	return string(must(json.Marshal(Changed(members, changes...))))
}

// KeySet is a JWK set of the signers' public keys.
func KeySet(signers ...*Signer) string {
	var keys []string
	for _, s := range signers {
		keys = append(keys, s.JWK())
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

// Claims are those of an assertion for a minute from now, with the named changes.
func Claims(client, audience string, now time.Time, changes ...any) map[string]any {
	return Changed(map[string]any{"iss": client, "sub": client, "aud": audience, "jti": rand.Text(),
		"exp": now.Add(time.Minute).Unix(), "iat": now.Unix()}, changes...)
}

// Changed are the members of a JSON object with the named changes: pairs of name and value; a nil value takes a member away.
func Changed(members map[string]any, changes ...any) map[string]any {
	members = maps.Clone(members)
	for i := 0; i+1 < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(members, name)
		} else {
			members[name] = changes[i+1]
		}
	}
	return members
}

// Sign makes a JWT of the claims, with the named changes of its header.
func (s *Signer) Sign(claims map[string]any, header ...any) string {
	return s.SignText(string(must(json.Marshal(claims))), header...)
}

// SignText signs any payload.
func (s *Signer) SignText(payload string, header ...any) string {
	members := map[string]any{"alg": s.Algorithm}
	if s.KeyID != "" {
		members["kid"] = s.KeyID
	}
	return s.SignRaw(string(must(json.Marshal(Changed(members, header...)))), payload)
}

// SignRaw signs any header and payload, with the signer's own algorithm.
func (s *Signer) SignRaw(header, payload string) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(s.signature(input))
}

func (s *Signer) signature(input string) []byte {
	bits := s.Algorithm[2:]
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[bits]
	digest := func() []byte {
		h := hash.New()
		h.Write([]byte(input))
		return h.Sum(nil)
	}
	switch key := s.Key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, []byte(input))
	case []byte:
		h := hmac.New(hash.New, key)
		h.Write([]byte(input))
		return h.Sum(nil)
	case *ecdsa.PrivateKey:
		size := (key.Params().BitSize + 7) / 8
		r, v, err := ecdsa.Sign(rand.Reader, key, digest())
		signature := make([]byte, 2*size)
		must(r, err).FillBytes(signature[:size])
		v.FillBytes(signature[size:])
		return signature
	case *rsa.PrivateKey:
		if strings.HasPrefix(s.Algorithm, "PS") {
			return must(rsa.SignPSS(rand.Reader, key, hash, digest(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, key, hash, digest()))
	}
	panic("harness: no key")
}

// Assert adds an assertion to a form.
func Assert(form url.Values, assertion string) url.Values {
	form.Set("client_assertion_type", AssertionType)
	form.Set("client_assertion", assertion)
	return form
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Sprint("harness: ", err))
	}
	return value
}
