package client

import "net/http"

// CountWork calls f for each hash, signature and chain that is computed, with its name.
func (a *Authenticator) CountWork(f func(what string)) { a.work = f }

// SetTransport replaces what fetches key sets.
func (a *Authenticator) SetTransport(t http.RoundTripper) { a.fetcher.client.Transport = t }

// CheckPublic refuses an address that is not one of the public Internet.
var CheckPublic = checkPublic

// MaxVerified is how many secrets are known to be right at once.
const MaxVerified = maxVerified

// Parse reads a client file.
func Parse(content []byte) ([]*Client, error) { return parse(content, Rules{}) }

// Lacks names what a client of its methods cannot do without, and does not have; empty when there is nothing.
func (c *Client) Lacks() string {
	kept := c.secret.value()
	switch {
	case c.uses(MethodBasic, MethodPost) && kept.hash == nil && kept.digest == secretDigest{}:
		return "a secret"
	case c.uses(MethodSecretJWT) && len(kept.text) < 32:
		return "the text of its secret"
	case !c.uses(MethodSecretJWT) && kept.text != "":
		return "a reason to keep the text of its secret"
	case c.uses(MethodPrivateKeyJWT, MethodSelfSignedTLS) && len(c.keys) == 0 && c.published == nil:
		return "keys"
	case c.uses(MethodTLS) && c.subject == nil:
		return "a name"
	case c.Public() && len(c.AuthMethods) > 1 && (kept.hash != nil || c.keys != nil || c.subject != nil):
		return "a decision"
	}
	return ""
}
