package client

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"

	"pargate/proxy/oauth"
)

// assertionType is the only client_assertion_type (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	maxAssertionSize = 32 << 10 // bytes
	maxJTI           = 256      // bytes

	// An assertion is over at most this long after its exp: clocks differ.
	expiredFor = 10 * time.Second
	// Its nbf and iat may lie this far ahead. FAPI 2.0 §5.3.2.1 wants 10 s taken and more than 60 s refused.
	aheadBy = 30 * time.Second
	// Its exp may lie this far ahead. Client libraries choose a minute to an hour; the mark of its jti lives as long.
	maxAssertionLife = time.Hour
)

// assertion is a client's signed statement about itself (RFC 7523). Nothing in it is proven before its signature has
// been verified.
type assertion struct {
	text      string
	jws       *jose.JSONWebSignature
	algorithm string // canonical
	keyID     string // empty: it names none
	claims    claims
}

// claims are what an assertion states (RFC 7523 §3). Times are seconds since 1970.
type claims struct {
	issuer, subject, id string
	audience            []string
	isText              bool // the audience is one string, not an array
	expires             float64
	notBefore, issued   *float64 // nil: absent
}

// method is the client authentication method that the assertion belongs to (OpenID Connect Core §9).
func (a *assertion) method() string {
	if macAlgorithms[a.algorithm] > 0 {
		return MethodSecretJWT
	}
	return MethodPrivateKeyJWT
}

// readAssertion reads an assertion, and refuses what no client may send. Whose it is makes no difference here, so
// everybody is told what is wrong.
func readAssertion(kind, text string) (*assertion, error) {
	switch {
	case kind != assertionType:
		return nil, oauth.InvalidClient("client_assertion_type must be "+assertionType, false)
	case text == "":
		return nil, oauth.InvalidClient("client_assertion is missing", false)
	}
	a, err := parseAssertion(text)
	if err != nil {
		return nil, oauth.InvalidClient("client_assertion "+err.Error(), false)
	}
	return a, nil
}

// parseAssertion returns an error that continues "client_assertion …" and repeats nothing of it.
func parseAssertion(text string) (*assertion, error) {
	parts := strings.Split(text, ".")
	switch {
	case len(text) > maxAssertionSize:
		return nil, fmt.Errorf("has more than %d bytes", maxAssertionSize)
	case len(parts) == 5:
		return nil, errors.New("is encrypted, which is not supported")
	case len(parts) != 3 || slices.ContainsFunc(parts, isNotBase64):
		return nil, errors.New("is not a signed JWT in compact serialization")
	}
	a := &assertion{text: text}
	if err := a.readHeader(parts[0]); err != nil {
		return nil, err
	}
	jws, err := parseJWS(text, a.algorithm)
	if err != nil {
		return nil, errors.New("is not a signed JWT in compact serialization")
	}
	a.jws = jws
	return a, a.readClaims(jws.UnsafePayloadWithoutVerification())
}

// isNotBase64 is stricter than decoders, which skip line ends and bits behind the end: one assertion would have many texts.
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
	if algorithm == "EdDSA" {
		accepted = append(accepted, "Ed25519")
	}
	return jose.ParseSignedCompact(text, accepted)
}

// refusedHeaders name keys, or rules by which the rest is to be read. None is ever followed, and whoever sends one
// expects something that is not done.
var refusedHeaders = []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc"}

// acceptedTypes are the values of typ (draft-ietf-oauth-rfc7523bis §5); none at all is accepted too. Other kinds of
// JWT that a client signs have types of their own, and are no assertions (RFC 8725 §3.11).
var acceptedTypes = []string{"jwt", "client-authentication+jwt"}

func (a *assertion) readHeader(encoded string) error {
	var header map[string]josejson.RawMessage
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !utf8.Valid(raw) || josejson.Unmarshal(raw, &header) != nil {
		return errors.New("has a header that is not a JSON object")
	}
	for _, name := range refusedHeaders {
		if _, there := header[name]; there {
			return fmt.Errorf("has %s in its header, which is not supported", name)
		}
	}
	var algorithm, kind string
	switch {
	case !isText(header["alg"], &algorithm):
		return errors.New("has no alg in its header")
	case header["kid"] != nil && (!isText(header["kid"], &a.keyID) || len(a.keyID) > maxKeyID):
		return fmt.Errorf("has a kid that is not a text of at most %d bytes", maxKeyID)
	case header["typ"] != nil && (!isText(header["typ"], &kind) || !slices.Contains(acceptedTypes, strings.TrimPrefix(strings.ToLower(kind), "application/"))):
		return errors.New("has a typ of another kind of JWT; use client-authentication+jwt, JWT or none")
	}
	a.algorithm = canonical(algorithm)
	if algorithms[a.algorithm] == nil && macAlgorithms[a.algorithm] == 0 {
		return errors.New("has an alg that is not supported")
	}
	return nil
}

func (a *assertion) readClaims(payload []byte) error {
	var raw struct {
		Issuer    josejson.RawMessage `json:"iss"`
		Subject   josejson.RawMessage `json:"sub"`
		Audience  josejson.RawMessage `json:"aud"`
		ID        josejson.RawMessage `json:"jti"`
		Expires   josejson.RawMessage `json:"exp"`
		NotBefore josejson.RawMessage `json:"nbf"`
		Issued    josejson.RawMessage `json:"iat"`
	}
	if !utf8.Valid(payload) || josejson.Unmarshal(payload, &raw) != nil {
		return errors.New("has claims that are not a JSON object without repetitions")
	}
	c := &a.claims
	var exp *float64
	switch {
	case !isText(raw.Issuer, &c.issuer) || !isText(raw.Subject, &c.subject) || c.issuer != c.subject || c.issuer == "":
		return errors.New("must have the client_id as both iss and sub")
	case raw.Audience == nil:
		return errors.New("has no aud")
	case !c.readAudience(raw.Audience):
		return errors.New("has an aud that is neither a text nor an array of texts")
	case raw.ID == nil:
		return errors.New("has no jti")
	case !isText(raw.ID, &c.id) || c.id == "" || len(c.id) > maxJTI:
		return fmt.Errorf("has a jti that is not a text of 1 to %d bytes", maxJTI)
	case raw.Expires == nil:
		return errors.New("has no exp")
	case !isTime(raw.Expires, &exp) || exp == nil:
		return errors.New("has an exp that is not a time in seconds")
	case !isTime(raw.NotBefore, &c.notBefore) || !isTime(raw.Issued, &c.issued):
		return errors.New("has an nbf or iat that is not a time in seconds")
	}
	c.expires = *exp
	return nil
}

func (c *claims) readAudience(raw josejson.RawMessage) bool {
	var one string
	if c.isText = isText(raw, &one); c.isText {
		c.audience = []string{one}
		return true
	}
	var many []josejson.RawMessage
	if josejson.Unmarshal(raw, &many) != nil || len(many) == 0 {
		return false
	}
	for _, each := range many {
		if !isText(each, &one) {
			return false
		}
		c.audience = append(c.audience, one)
	}
	return true
}

func isText(raw josejson.RawMessage, into *string) bool {
	return len(raw) > 0 && raw[0] == '"' && josejson.Unmarshal(raw, into) == nil
}

// isTime reads a NumericDate (RFC 7519 §2) of this age of the world; an absent one is left nil.
func isTime(raw josejson.RawMessage, into **float64) bool {
	if raw == nil {
		return true
	}
	var seconds float64
	if string(raw) == "null" || josejson.Unmarshal(raw, &seconds) != nil || seconds < 0 || seconds > 1e11 {
		return false
	}
	*into = &seconds
	return true
}

// checkTimes says what is wrong with the assertion's times, at now.
func (c *claims) checkTimes(now time.Time) error {
	seconds := float64(now.UnixNano()) / 1e9
	ahead := seconds + aheadBy.Seconds()
	switch {
	case seconds >= c.expires+expiredFor.Seconds():
		return errors.New("has expired")
	case c.expires > ahead+maxAssertionLife.Seconds():
		return fmt.Errorf("has an exp that is more than %d minutes ahead", maxAssertionLife/time.Minute)
	case c.notBefore != nil && *c.notBefore > ahead:
		return errors.New("has an nbf that lies ahead")
	case c.issued != nil && *c.issued > ahead:
		return errors.New("has an iat that lies ahead")
	}
	return nil
}

// remaining is how long after now the assertion would still be taken.
func (c *claims) remaining(now time.Time) time.Duration {
	left := c.expires - float64(now.UnixNano())/1e9
	return time.Duration(math.Ceil(left))*time.Second + expiredFor
}
