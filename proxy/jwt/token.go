package jwt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	maxSize   = 32 << 10 // bytes
	maxDepth  = 32       // arrays and objects in each other
	maxHeader = 64       // values in a header
	maxKeyID  = 256      // bytes
)

// Kind is what a token must be. One kind of JWT is never taken for another (RFC 8725 §3.11).
type Kind struct {
	Types []string // values of typ, in lower case and without application/; an empty one stands for a token without typ
	Use   string   // says in words which typ would be right
	Key   bool     // the header has the public key (jwk) that has signed; others must not
	MAC   bool     // a shared secret may have signed
	Most  int      // how many values its claims may have, at any depth: to decode many costs more than to verify a signature
}

// Object is a JSON object, in which no member occurs twice.
type Object map[string]josejson.RawMessage

// Token is a signed JWT (RFC 7519) in compact serialization. Nothing in it is proven before VerifiedBy has said so.
type Token struct {
	Text      string
	Algorithm string // as Canonical has it
	KeyID     string // empty: it names none
	Header    Object
	Claims    Object
	Key       *Key // the header's own, which may be anybody's; nil unless the kind has one

	jws *jose.JSONWebSignature
}

// ErrAlgorithm means that a token's alg is not among those that are accepted.
var ErrAlgorithm = errors.New("has an alg that is not supported")

// Parse reads a token. Its error continues "the token …" and repeats nothing of it.
func Parse(text string, kind Kind) (*Token, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("has more than %d bytes", maxSize)
	}
	parts := strings.Split(text, ".")
	switch {
	case len(parts) == 5:
		return nil, errors.New("is encrypted, which is not supported")
	case len(parts) != 3 || slices.ContainsFunc(parts, isNotBase64):
		return nil, errors.New("is not a signed JWT in compact serialization")
	}
	t := &Token{Text: text}
	if err := t.readHeader(parts[0], kind); err != nil {
		return nil, err
	}
	var err error
	if t.jws, err = parseJWS(text, t.Algorithm); err != nil {
		return nil, errors.New("is not a signed JWT in compact serialization")
	}
	if t.Claims, err = parseObject(t.jws.UnsafePayloadWithoutVerification(), kind.Most); err != nil {
		return nil, fmt.Errorf("has claims that are %w", err)
	}
	return t, nil
}

// isNotBase64 is stricter than decoders, which skip line ends and bits behind the end: one token would have many texts.
func isNotBase64(part string) bool {
	_, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return err != nil || strings.ContainsAny(part, "\r\n")
}

// parseJWS guards against a panic in the parser, of which there has been one (CVE-2026-34986).
func parseJWS(text, algorithm string) (jws *jose.JSONWebSignature, err error) {
	defer func() {
		if recover() != nil {
			jws, err = nil, errors.New("the parser gave up")
		}
	}()
	accepted := []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)}
	if algorithm == edDSA {
		accepted = append(accepted, ed25519Name)
	}
	return jose.ParseSignedCompact(text, accepted)
}

// refusedHeaders name keys, or rules by which the rest is to be read. None is ever followed, and whoever sends one
// expects something that is not done.
var refusedHeaders = []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc"}

func (t *Token) readHeader(encoded string, kind Kind) (err error) {
	raw, _ := base64.RawURLEncoding.DecodeString(encoded) // it has been decoded before
	if t.Header, err = parseObject(raw, maxHeader); err != nil {
		return fmt.Errorf("has a header that is %w", err)
	}
	for _, name := range refusedHeaders {
		if _, there := t.Header[name]; there && !(name == "jwk" && kind.Key) {
			return fmt.Errorf("has %s in its header, which is not supported", name)
		}
	}
	var algorithm string
	switch {
	case !t.Header.Text("alg", &algorithm):
		return errors.New("has no alg in its header")
	case t.Header["kid"] != nil && (!t.Header.Text("kid", &t.KeyID) || len(t.KeyID) > maxKeyID):
		return fmt.Errorf("has a kid that is not a string of at most %d bytes", maxKeyID)
	case !t.Header.isOf(kind):
		return errors.New("has a typ of another kind of JWT; use " + kind.Use)
	}
	t.Algorithm = Canonical(algorithm)
	if !IsAsymmetric(t.Algorithm) && !(kind.MAC && MACBytes(t.Algorithm) > 0) {
		return ErrAlgorithm
	}
	if kind.Key {
		return t.readKey()
	}
	return nil
}

// isOf reports whether the header is that of the kind.
func (header Object) isOf(kind Kind) bool {
	var name string
	if header["typ"] != nil && (!header.Text("typ", &name) || name == "") {
		return false
	}
	return slices.Contains(kind.Types, strings.TrimPrefix(strings.ToLower(name), "application/"))
}

// parseObject returns an error that continues "something that is …". go-jose's decoder heeds case and refuses members
// that occur twice, at any depth.
func parseObject(raw []byte, most int) (Object, error) {
	var object Object
	var all any
	decoder := josejson.NewDecoder(bytes.NewReader(raw))
	decoder.SetNumberType(josejson.UnmarshalJSONNumber) // any number, however large
	depth, values := measure(raw)
	switch {
	case depth > maxDepth:
		return nil, fmt.Errorf("nested more than %d times", maxDepth)
	case values > most:
		return nil, fmt.Errorf("more than %d values", most)
	case !utf8.Valid(raw) || josejson.Unmarshal(raw, &object) != nil || object == nil || decoder.Decode(&all) != nil:
		return nil, errors.New("not a JSON object without repetitions")
	case hasUnpairedSurrogate(raw):
		return nil, errors.New("not Unicode: there is an unpaired surrogate")
	}
	return object, nil
}

// measure returns how deep arrays and objects stand in each other, and at most how many values there are. What is no JSON
// may give any answer.
func measure(raw []byte) (deepest, values int) {
	depth, inString, escaped := 0, false, false
	for _, c := range raw {
		switch {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
			values++ // the first in it
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
	}
	return deepest, values
}
