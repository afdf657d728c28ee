// Package dpop verifies DPoP proofs (RFC 9449): a client's statement, signed anew for each request, that it holds a key.
// It says which key that is. What the key then counts for, and that a proof is used once, is the caller's.
package dpop

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"pargate/proxy/jwt"
)

const (
	maxBytes = 8 << 10 // of a proof
	maxAge   = 60 * time.Second
	leeway   = 10 * time.Second // clocks differ

	// Window is the longest time in which one proof is taken. Its use must be remembered as long.
	Window = jwt.MaxAhead + maxAge + leeway
)

// kind: the type is required (RFC 9449 §4.2), so that nothing else that a client signs passes for a proof.
var kind = jwt.Kind{Types: []string{"dpop+jwt"}, Use: "dpop+jwt", Key: true, Most: 64}

// Request is the request that a proof comes with.
type Request struct {
	Method     string    // in the case in which it is sent
	URI        string    // of the endpoint as clients know it; nothing that the request itself says of its target
	Algorithms []string  // with which the proof may be signed, as jwt.Canonical has them; none: none is taken
	Time       time.Time // when it came
}

// Proof is a verified proof.
type Proof struct {
	Thumbprint string // of its key (RFC 7638), by SHA-256, in base64url: the dpop_jkt and jkt of RFC 9449
	ID         string // names it by its key, its htu and its jti; its text could be written in several ways
}

// Verify verifies the proof in the fields of a request's DPoP header (RFC 9449 §4.3). A nonce in it is not looked at, since
// none is given out here; nor is an ath, which is for resource servers. The error continues "the DPoP proof …" and repeats
// nothing of it.
func Verify(fields []string, r Request) (*Proof, error) {
	switch {
	case len(fields) != 1 || strings.Contains(fields[0], ","):
		return nil, errors.New("must come alone, in one DPoP header")
	case len(fields[0]) > maxBytes:
		return nil, fmt.Errorf("has more than %d bytes", maxBytes)
	}
	token, err := jwt.Parse(fields[0], kind)
	switch {
	case errors.Is(err, jwt.ErrAlgorithm), err == nil && !slices.Contains(r.Algorithms, token.Algorithm):
		return nil, errors.New("has an alg that is not taken here" + instead(r.Algorithms))
	case err != nil:
		return nil, err
	case !token.VerifiedBy(token.Key.Public):
		return nil, errors.New("is not signed by the key in its header")
	}
	return checkClaims(token, r)
}

func instead(algorithms []string) string {
	if len(algorithms) == 0 {
		return ""
	}
	return "; use " + strings.Join(algorithms, " or ")
}

// checkClaims looks at what a verified proof states (RFC 9449 §4.2).
func checkClaims(token *jwt.Token, r Request) (*Proof, error) {
	var method, target string
	if !token.Claims.Text("htm", &method) || method != r.Method {
		return nil, errors.New("has another htm than the request's method; use " + r.Method)
	}
	endpoint, ok := normalize(r.URI)
	if !ok {
		return nil, errors.New("cannot be compared with the endpoint's own URI")
	}
	if !token.Claims.Text("htu", &target) {
		target = ""
	}
	if sent, ok := normalize(target); !ok || sent != endpoint {
		return nil, errors.New("has another htu than the endpoint's; use " + r.URI)
	}
	id, err := token.ID()
	if err != nil {
		return nil, err
	}
	if err := checkTimes(token, r.Time); err != nil {
		return nil, err
	}
	sum, err := (&jose.JSONWebKey{Key: token.Key.Public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("has a key in its header that has no thumbprint")
	}
	p := &Proof{Thumbprint: base64.RawURLEncoding.EncodeToString(sum)}
	// No two lists give one name: a thumbprint and a URI have no blank.
	p.ID = "dpop " + p.Thumbprint + " " + endpoint + " " + id
	return p, nil
}

// checkTimes wants a proof that was made for this request (RFC 9449 §11.1). exp and nbf are not asked for, and hold where
// they are (RFC 7519 §4.1).
func checkTimes(token *jwt.Token, now time.Time) error {
	times, err := token.Times()
	if err != nil {
		return err
	}
	if times.Issued == nil {
		return errors.New("has no iat")
	}
	if err := times.CheckNotAhead(now); err != nil {
		return err
	}
	switch seconds := jwt.Seconds(now); {
	case *times.Issued < seconds-(maxAge+leeway).Seconds():
		return fmt.Errorf("has an iat that is more than %d seconds old; make a proof for each request", maxAge/time.Second)
	case times.Expires != nil && *times.Expires <= seconds-leeway.Seconds():
		return errors.New("has expired; make a proof for each request")
	}
	return nil
}
