package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"pargate/proxy/jwt"
)

// authMembers say how a client proves itself (RFC 7591 §2, OpenID Connect Registration §2, RFC 8705 §2.1.2).
var authMembers = map[string]member{
	"token_endpoint_auth_method":      readAuthMethods,
	"token_endpoint_auth_signing_alg": readSigningAlg,
	"client_secret":                   readSecret,
	"client_secret_expires_at":        readSecretExpiry,
	"jwks":                            readJWKS,
	"jwks_uri":                        readJWKSURI,
	"assertion_audience":              readAudience,
	"tls_client_auth_subject_dn":      readSubject("tls_client_auth_subject_dn"),
	"tls_client_auth_san_dns":         readSubject("tls_client_auth_san_dns"),
	"tls_client_auth_san_uri":         readSubject("tls_client_auth_san_uri"),
	"tls_client_auth_san_ip":          readSubject("tls_client_auth_san_ip"),
	"tls_client_auth_san_email":       readSubject("tls_client_auth_san_email"),
}

var allMethods = []string{MethodBasic, MethodPost, MethodSecretJWT, MethodPrivateKeyJWT, MethodTLS, MethodSelfSignedTLS, MethodNone}

func readAuthMethods(c *Client, v json.RawMessage) error {
	var one string
	if json.Unmarshal(v, &one) == nil {
		c.AuthMethods = []string{one}
	} else if err := texts(v, &c.AuthMethods); err != nil || len(c.AuthMethods) == 0 {
		return errors.New("is neither a method nor an array of methods")
	}
	var problems []string
	for _, method := range c.AuthMethods {
		if !slices.Contains(allMethods, method) {
			problems = append(problems, fmt.Sprintf("%.64q is not a method; use %s", method, list(allMethods)))
		}
	}
	return oneError(problems)
}

func readSigningAlg(c *Client, v json.RawMessage) error {
	var name string
	if err := text(v, &name); err != nil {
		return err
	}
	c.SigningAlg = jwt.Canonical(name)
	if !slices.Contains(jwt.Asymmetric(), c.SigningAlg) && jwt.MACBytes(c.SigningAlg) == 0 {
		names := append(jwt.Asymmetric(), jwt.MACs()...)
		return fmt.Errorf("%.64q is not an algorithm that is accepted; use %s", name, list(names))
	}
	return nil
}

func readSecret(c *Client, v json.RawMessage) error {
	var value string
	if err := text(v, &value); err != nil {
		return err
	}
	if value == "" {
		return errors.New("is empty")
	}
	hash, err := parseHash(value)
	switch {
	case err != nil:
		return err
	case hash != nil:
		c.secret = hide(secret{hash: hash})
	default:
		c.secret = hide(secret{digest: digestOf(value), text: value}) // the text goes once the methods are known
	}
	return nil
}

// readSecretExpiry: 0 is never, and stands in every registration (RFC 7591 §3.2.1).
func readSecretExpiry(c *Client, v json.RawMessage) error {
	var seconds int64
	if err := json.Unmarshal(v, &seconds); err != nil || isNull(v) || seconds < 0 {
		return errors.New("is not a time in seconds")
	}
	if seconds > 0 {
		c.secretExpires = time.Unix(seconds, 0)
	}
	return nil
}

func readJWKS(c *Client, v json.RawMessage) error {
	keys, problems, err := jwt.ParseKeys(v)
	if err != nil {
		return err
	}
	c.keys = keys
	return oneError(problems)
}

func readJWKSURI(c *Client, v json.RawMessage) error {
	var uri string
	if err := text(v, &uri); err != nil {
		return err
	}
	if u, err := url.Parse(uri); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("is not an https URL without credentials and fragment")
	}
	c.published = &keySet{uri: uri}
	return nil
}

func readAudience(c *Client, v json.RawMessage) error {
	var value string
	if err := text(v, &value); err != nil {
		return err
	}
	c.Audience = Audience(value)
	if c.Audience != AudienceRFC9126 && c.Audience != AudienceIssuer {
		return fmt.Errorf("%.64q is neither %s nor %s", value, AudienceRFC9126, AudienceIssuer)
	}
	return nil
}

func readSubject(name string) member {
	return func(c *Client, v json.RawMessage) error {
		var value string
		if err := text(v, &value); err != nil {
			return err
		}
		if value == "" {
			return errors.New("is empty")
		}
		is, err := subjectMembers[name](value)
		c.subject = &subject{member: name, is: is}
		return err
	}
}

// authCheck looks whether a client's members make sense together: each method has what it needs, and nothing is there
// without an effect, since somebody would rely on it.
type authCheck struct {
	*Client
	entry    map[string]json.RawMessage
	broken   map[string]bool // members whose problem is told already
	problems []error
}

func (c *authCheck) run(rules Rules) {
	rules.apply(c)
	c.needs([]string{MethodBasic, MethodPost, MethodSecretJWT}, "client_secret")
	c.needsKeys(MethodPrivateKeyJWT, MethodSelfSignedTLS)
	c.needs([]string{MethodTLS}, slices.Sorted(maps.Keys(subjectMembers))...)
	for _, name := range []string{"token_endpoint_auth_signing_alg", "assertion_audience"} {
		if c.has(name) && !c.uses(MethodSecretJWT, MethodPrivateKeyJWT) {
			c.fail("%s has no effect without %s or %s; take it out", name, MethodSecretJWT, MethodPrivateKeyJWT)
		}
	}
	if !c.secretExpires.IsZero() && !c.has("client_secret") {
		c.fail("client_secret_expires_at has no effect without client_secret; take it out")
	}
	if c.uses(MethodSecretJWT) {
		c.checkSecretJWT()
	} else if kept := c.secret.value(); kept.text != "" {
		c.secret = hide(secret{digest: kept.digest})
	}
	if c.uses(MethodPrivateKeyJWT) {
		c.checkPrivateKeyJWT(rules.algorithms())
	}
	if c.uses(MethodSelfSignedTLS) && c.has("jwks") && !c.broken["jwks"] && len(c.keys) == 0 {
		c.fail("jwks has no key for %s", MethodSelfSignedTLS)
	}
	c.checkRequestObjects(rules.algorithms())
}

func (c *authCheck) fail(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

func (c *authCheck) has(name string) bool {
	_, there := c.entry[name]
	return there
}

// needs: exactly one of the members is there when the client uses one of the methods, and else none.
func (c *authCheck) needs(methods []string, members ...string) {
	var there []string
	for _, name := range members {
		if c.has(name) {
			there = append(there, name)
		}
	}
	used := c.uses(methods...)
	switch {
	case used && len(there) == 0 && members[0] == "client_secret":
		c.fail("client_secret is missing; a public client has token_endpoint_auth_method none")
	case used && len(there) == 0:
		c.fail("%s is missing", list(members))
	case len(there) > 1:
		c.fail("%s exclude each other", strings.Join(there, " and "))
	}
	for _, name := range there {
		switch {
		case c.Public():
			c.fail("%s is there and token_endpoint_auth_method may be none; decide for one", name)
		case !used:
			c.fail("%s has no effect without %s; take it out", name, list(methods))
		}
	}
}

// needsKeys: a client of one of the methods has keys. Any other may have them, to sign its requests.
func (c *authCheck) needsKeys(methods ...string) {
	inline, published := c.has("jwks"), c.has("jwks_uri")
	if inline && published {
		c.fail("jwks and jwks_uri exclude each other")
	}
	switch {
	case !c.uses(methods...):
	case !inline && !published:
		c.fail("jwks or jwks_uri is missing")
	case c.Public():
		c.fail("token_endpoint_auth_method may be none and a method with keys; decide for one")
	}
}

func (c *authCheck) checkSecretJWT() {
	algorithm := c.SigningAlg
	if algorithm == "" {
		algorithm = "HS256"
	}
	least := jwt.MACBytes(algorithm)
	switch kept := c.secret.value(); {
	case c.broken["token_endpoint_auth_signing_alg"]:
	case least == 0:
		c.fail("token_endpoint_auth_signing_alg %s leaves %s without an algorithm", algorithm, MethodSecretJWT)
	case c.broken["client_secret"] || !c.has("client_secret"):
	case kept.hash != nil:
		c.fail("client_secret is a hash, but %s needs the secret itself", MethodSecretJWT)
	case len(kept.text) < least:
		c.fail("client_secret has less than %d bytes, which %s needs", least, algorithm)
	}
}

// checkPrivateKeyJWT looks whether the client can sign, with one of the algorithms.
func (c *authCheck) checkPrivateKeyJWT(algorithms []string) {
	has := func(k jwt.Key) bool { return slices.ContainsFunc(algorithms, k.Fits) }
	switch {
	case c.broken["token_endpoint_auth_signing_alg"]:
	case jwt.MACBytes(c.SigningAlg) > 0:
		c.fail("token_endpoint_auth_signing_alg %s leaves %s without an algorithm", c.SigningAlg, MethodPrivateKeyJWT)
	case !c.has("jwks") || c.broken["jwks"]:
	case c.SigningAlg != "" && !slices.ContainsFunc(c.keys, func(k jwt.Key) bool { return k.Fits(c.SigningAlg) }):
		c.fail("jwks has no key for %s", c.SigningAlg)
	case !slices.ContainsFunc(c.keys, jwt.Key.FitsAny):
		c.fail("jwks has no key for signatures")
	case !slices.ContainsFunc(c.keys, has):
		c.fail("jwks has no key for %s", list(algorithms))
	}
}

// list joins names with commas and an or.
func list(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
