package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pargate/proxy/oauth"
)

type secretDigest [sha256.Size]byte

func digestOf(secret string) secretDigest { return sha256.Sum256([]byte(secret)) }

// nobody is compared with when the client is unknown, so that the answer takes the same work.
var nobody = &Client{AuthMethods: []string{MethodBasic, MethodPost}}

// Authenticate returns the client that cred proves (RFC 9126 §2.1, step 1). Every failure is invalid_client in
// one wording; only who has the right secret is told that the method is the wrong one.
func (r *Registry) Authenticate(cred Credentials) (*Client, error) {
	named, err := r.identify(cred)
	if err != nil {
		return nil, err
	}
	// Two clients may be called alike in the two encodings of Basic: the one with this secret is meant.
	known, proven := len(named) > 0, false
	c := nobody
	for i, candidate := range append(named, nobody) {
		matches := candidate.matchesSecret(cred.proof.value().secrets) && i < len(named)
		if i == 0 || matches && !proven {
			c, proven = candidate, matches
		}
	}
	allowed := slices.Contains(c.AuthMethods, cred.Method)
	switch {
	case cred.Method == MethodNone && known && allowed:
		return c, nil
	case proven && allowed:
		return c, nil
	case proven:
		return nil, oauth.InvalidClient(fmt.Sprintf("%s was used, but this client is registered for %s",
			cred.Method, strings.Join(c.AuthMethods, " or ")), cred.Challenged())
	}
	return nil, oauth.InvalidClient("client authentication failed", cred.Challenged()).Because(reason(cred, known, allowed))
}

// Identify returns the client that cred names, proven or not; nil when there is none.
func (r *Registry) Identify(cred Credentials) *Client {
	if named, _ := r.identify(cred); len(named) > 0 {
		return named[0]
	}
	return nil
}

// identify finds the clients that cred may name. Basic and the body must not name two.
func (r *Registry) identify(cred Credentials) ([]*Client, error) {
	ids := cred.proof.value().ids
	switch {
	case len(ids) == 0 && cred.ClientID == "":
		return nil, oauth.InvalidClient("client_id is missing", false)
	case len(ids) == 0:
		ids = []string{cred.ClientID}
	case cred.ClientID != "" && !slices.Contains(ids, cred.ClientID):
		return nil, oauth.InvalidRequest("client_id in the form is not the client of the Authorization header")
	case cred.ClientID != "":
		ids = []string{cred.ClientID}
	}
	var named []*Client
	for _, id := range ids {
		if c := r.Lookup(id); c != nil {
			named = append(named, c)
		}
	}
	return named, nil
}

// matchesSecret compares in constant time, and always every text.
func (c *Client) matchesSecret(secrets []string) bool {
	want := c.secret.value() // zero when there is none, which no text has as its digest
	match := 0
	for _, secret := range secrets {
		digest := digestOf(secret)
		match |= subtle.ConstantTimeCompare(digest[:], want[:])
	}
	return match == 1
}

// reason is for the log alone.
func reason(cred Credentials, known, allowed bool) error {
	switch {
	case !known:
		return errors.New("unknown client")
	case cred.Method == MethodNone:
		return errors.New("a confidential client sent no credentials")
	case !allowed:
		return fmt.Errorf("wrong secret, and %s is not registered", cred.Method)
	}
	return errors.New("wrong secret")
}
