package jwt

import (
	"errors"
	"fmt"
	"slices"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
)

// Text puts the member into into and reports whether it is there as a string.
func (o Object) Text(name string, into *string) bool { return isText(o[name], into) }

func isText(raw josejson.RawMessage, into *string) bool {
	return len(raw) > 0 && raw[0] == '"' && josejson.Unmarshal(raw, into) == nil
}

// Audience is for whom a token is (RFC 7519 §4.1.3).
type Audience struct {
	Values []string
	IsText bool // it is one string, not an array
}

// Audience returns an error that continues "the token …".
func (t *Token) Audience() (Audience, error) {
	raw := t.Claims["aud"]
	if raw == nil {
		return Audience{}, errors.New("has no aud")
	}
	var one string
	if isText(raw, &one) {
		return Audience{Values: []string{one}, IsText: true}, nil
	}
	malformed := errors.New("has an aud that is neither a string nor an array of strings")
	var many []josejson.RawMessage
	if josejson.Unmarshal(raw, &many) != nil || len(many) == 0 {
		return Audience{}, malformed
	}
	var a Audience
	for _, each := range many {
		if !isText(each, &one) {
			return Audience{}, malformed
		}
		a.Values = append(a.Values, one)
	}
	return a, nil
}

// Has reports whether value is one of those for whom the token is. Strings are compared exactly.
func (a Audience) Has(value string) bool { return slices.Contains(a.Values, value) }

// MaxID bounds a jti, in bytes: it is remembered.
const MaxID = 256

// ID is the token's jti (RFC 7519 §4.1.7). An error continues "the token …".
func (t *Token) ID() (string, error) {
	var id string
	switch {
	case t.Claims["jti"] == nil:
		return "", errors.New("has no jti")
	case !t.Claims.Text("jti", &id) || id == "" || len(id) > MaxID:
		return "", fmt.Errorf("has a jti that is not a string of 1 to %d bytes", MaxID)
	}
	return id, nil
}

// Times are those of a token (RFC 7519 §4.1.4 to §4.1.6), in seconds since 1970. Nil ones are absent.
type Times struct {
	Expires, NotBefore, Issued *float64
}

// Times returns an error that continues "the token …".
func (t *Token) Times() (times Times, err error) {
	for _, claim := range []struct {
		name string
		into **float64
	}{{"exp", &times.Expires}, {"nbf", &times.NotBefore}, {"iat", &times.Issued}} {
		if !isTime(t.Claims[claim.name], claim.into) {
			return times, fmt.Errorf("has an %s that is not a time in seconds", claim.name)
		}
	}
	return times, nil
}

// MaxAhead is how far an nbf or iat may lie ahead: clocks differ. FAPI 2.0 Security Profile §5.3.2.1 wants 10 s taken and
// more than 60 s refused.
const MaxAhead = 30 * time.Second

// CheckNotAhead returns an error, which continues "the token …", when the token is not valid yet (RFC 7519 §4.1.5), or is
// said to be issued later than now.
func (times Times) CheckNotAhead(now time.Time) error {
	limit := Seconds(now.Add(MaxAhead))
	switch {
	case times.NotBefore != nil && *times.NotBefore > limit:
		return errors.New("has an nbf that lies ahead; set the clock")
	case times.Issued != nil && *times.Issued > limit:
		return errors.New("has an iat that lies ahead; set the clock")
	}
	return nil
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

// Seconds is a time as a token has it.
func Seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
