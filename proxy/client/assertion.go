package client

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pargate/proxy/jwt"
	"pargate/proxy/oauth"
)

// assertionType is the only client_assertion_type (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// An assertion is over at most this long after its exp: clocks differ.
	expiredFor = 10 * time.Second
	// Its exp may lie this far ahead. Client libraries choose a minute to an hour; the mark of its jti lives as long.
	maxAssertionLife = time.Hour
)

// assertionKind: a type is not required (draft-ietf-oauth-rfc7523bis §5); other kinds of JWT that a client signs have types of
// their own, and are no assertions.
var assertionKind = jwt.Kind{Types: []string{"", "jwt", "client-authentication+jwt"}, Use: "client-authentication+jwt, JWT or none", MAC: true, Most: 64}

// assertion is a client's signed statement about itself (RFC 7523). Nothing in it is proven before its signature has
// been verified.
type assertion struct {
	*jwt.Token
	claims claims
}

// claims are what an assertion states (RFC 7523 §3).
type claims struct {
	issuer, id string // the issuer is the subject too
	audience   jwt.Audience
	times      jwt.Times // Expires is never nil
}

// method is the client authentication method that the assertion belongs to (OpenID Connect Core §9).
func (a *assertion) method() string {
	if jwt.MACBytes(a.Algorithm) > 0 {
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
	token, err := jwt.Parse(text, assertionKind)
	if err != nil {
		return nil, err
	}
	a := &assertion{Token: token}
	return a, a.readClaims()
}

func (a *assertion) readClaims() (err error) {
	c := &a.claims
	var subject string
	if !a.Claims.Text("iss", &c.issuer) || !a.Claims.Text("sub", &subject) || c.issuer != subject || c.issuer == "" {
		return errors.New("must have the client_id as both iss and sub")
	}
	if c.audience, err = a.Audience(); err != nil {
		return err
	}
	if c.id, err = a.ID(); err != nil {
		return err
	}
	if c.times, err = a.Times(); err == nil && c.times.Expires == nil {
		err = errors.New("has no exp")
	}
	return err
}

// AssertionRules say which assertions are taken, whoever verifies them.
type AssertionRules struct {
	Audience   Audience
	Algorithms []string // by jwt.Canonical's names; nil: all that are known
	At         Server
}

// check returns what is wrong with an assertion, as its client is told it. Its signature, and that it is used once, are not
// looked at.
func (r AssertionRules) check(a *assertion, now time.Time) error {
	if r.Algorithms != nil && !slices.Contains(r.Algorithms, a.Algorithm) {
		return oauth.InvalidClient(fmt.Sprintf("client_assertion is signed with %s; use %s", a.Algorithm, list(r.Algorithms)), false)
	}
	if !r.Audience.takes(a.claims, r.At) {
		return r.Audience.another(a.claims, r.At)
	}
	if err := a.claims.checkTimes(now); err != nil {
		return oauth.InvalidClient("client_assertion "+err.Error(), false)
	}
	return nil
}

// checkTimes says what is wrong with the assertion's times, at now.
func (c *claims) checkTimes(now time.Time) error {
	switch expires := *c.times.Expires; {
	case jwt.Seconds(now) >= expires+expiredFor.Seconds():
		return errors.New("has expired")
	case expires > jwt.Seconds(now.Add(jwt.MaxAhead+maxAssertionLife)):
		return fmt.Errorf("has an exp that is more than %d minutes ahead", maxAssertionLife/time.Minute)
	}
	return c.times.CheckNotAhead(now)
}

// remaining is how long after now the assertion would still be taken.
func (c *claims) remaining(now time.Time) time.Duration {
	left := *c.times.Expires - jwt.Seconds(now)
	return time.Duration(math.Ceil(left))*time.Second + expiredFor
}
