// Package client knows the registered clients and decides whether a push comes from one of them.
//
// Clients are described by client metadata in the words of RFC 7591. A member that is absent is not checked here
// and is left to the authorization server. Credentials are a type of their own, so that they cannot be taken for
// parameters of a request and be stored or forwarded.
//
//	Read ──▶ Credentials ──▶ Authenticator ──▶ Client
//	  what was sent              │
//	                             ├ a secret            secret.go, verified.go
//	                             ├ a signed assertion  assertion.go, signature.go, keys.go, keyset.go
//	                             └ a certificate       certificate.go, subject.go
//
// With the same keys the Authenticator verifies request objects (requestobject.go).
package client

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"pargate/proxy/jwt"
)

// Client authentication methods (RFC 7591 §2, OpenID Connect Core §9, RFC 8705 §2) that are checked here.
const (
	MethodBasic         = "client_secret_basic"
	MethodPost          = "client_secret_post"
	MethodSecretJWT     = "client_secret_jwt"
	MethodPrivateKeyJWT = "private_key_jwt"
	MethodTLS           = "tls_client_auth"
	MethodSelfSignedTLS = "self_signed_tls_client_auth"
	MethodNone          = "none"
)

// Client is one registered client.
type Client struct {
	ID            string
	AuthMethods   []string // any one of them; never empty
	SigningAlg    string   // of its assertions, exactly (token_endpoint_auth_signing_alg); empty: any that fits the method
	Audience      Audience // of its assertions; empty: as for every client
	RedirectURIs  []string // nil: not checked here
	ResponseTypes []string // nil: not checked here
	Scope         []string // the values it may ask for; nil: not checked here
	RequirePAR    bool     // require_pushed_authorization_requests
	ObjectAlg     string   // of its request objects, exactly (request_object_signing_alg); empty: any that fits a key
	RequireSigned bool     // require_signed_request_object

	secret        hidden[secret]
	secretExpires time.Time // zero: never
	keys          []jwt.Key // of jwks
	published     *keySet   // of jwks_uri; nil: there is none
	subject       *subject  // of its certificate (tls_client_auth); nil: there is none
}

// Public reports whether the client may push without proving anything (RFC 6749 §2.1).
func (c *Client) Public() bool { return c.uses(MethodNone) }

// uses reports whether the client is registered for one of the methods.
func (c *Client) uses(methods ...string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(c.AuthMethods, m) })
}

// RefusesPlain reports whether the client's authorization requests are refused that were neither pushed nor, where
// that is enough, signed (RFC 9126 §6, RFC 9101 §10.5).
func (c *Client) RefusesPlain() bool { return c.RequirePAR || c.RequireSigned }

// Signs reports whether there are keys with which the client's request objects can be verified.
func (c *Client) Signs() bool { return c.signsWith(jwt.Asymmetric()) }

// signsWith reports whether there may be a key of the client for one of the algorithms.
func (c *Client) signsWith(algorithms []string) bool {
	fits := func(k jwt.Key) bool { return slices.ContainsFunc(algorithms, k.Fits) }
	return c.published != nil || slices.ContainsFunc(c.keys, fits)
}

// Described returns the members of the client's metadata by which its requests are checked here; what is not among them is
// left to the authorization server.
func (c *Client) Described() (members []string) {
	for name, there := range map[string]bool{"redirect_uris": c.RedirectURIs != nil, "response_types": c.ResponseTypes != nil, "scope": c.Scope != nil} {
		if there {
			members = append(members, name)
		}
	}
	slices.Sort(members)
	return members
}

// HasRedirectURI reports whether uri is registered: by exact comparison, but for the port of a loopback address,
// which a native application chooses when it starts (RFC 8252 §7.3).
func (c *Client) HasRedirectURI(uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	portless, ok := withoutLoopbackPort(uri)
	if !ok {
		return false
	}
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		other, ok := withoutLoopbackPort(registered)
		return ok && other == portless
	})
}

// withoutLoopbackPort cuts the port out of an http URI whose host is a loopback address, as text.
func withoutLoopbackPort(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.User != nil {
		return "", false
	}
	if host := u.Hostname(); host != "127.0.0.1" && host != "::1" {
		return "", false
	}
	if u.Port() == "" {
		return uri, true
	}
	return strings.Replace(uri, u.Host, strings.TrimSuffix(u.Host, ":"+u.Port()), 1), true
}
