package client

import (
	"slices"

	"pargate/proxy/jwt"
)

// Rules narrow what a client file may say. The zero value narrows nothing.
type Rules struct {
	Without map[string]string // methods that no client can use, each with the reason, which continues the method's name; nil: none
	FAPI    bool              // every client does what FAPI 2.0 demands of one
}

// FAPIMethods returns the client authentication methods that FAPI 2.0 allows (FAPI 2.0 Security Profile §5.3.2.1).
func FAPIMethods() []string {
	return []string{MethodPrivateKeyJWT, MethodTLS, MethodSelfSignedTLS}
}

const byProfile = "is not allowed with PROFILE=fapi2"

// against says why no client can use the method; empty when one can.
func (r Rules) against(method string) string {
	if r.FAPI && slices.Contains(allMethods, method) && !slices.Contains(FAPIMethods(), method) {
		return byProfile + "; use " + list(FAPIMethods())
	}
	return r.Without[method]
}

// algorithms are those with a key pair that clients may sign with.
func (r Rules) algorithms() []string {
	if r.FAPI {
		return jwt.FAPI()
	}
	return jwt.Asymmetric()
}

// apply says what of the client's members the rules do not allow.
func (r Rules) apply(c *authCheck) {
	for _, method := range c.AuthMethods {
		if reason := r.against(method); reason != "" {
			c.fail("token_endpoint_auth_method %s %s", method, reason)
		}
	}
	if !r.FAPI {
		return
	}
	if c.Audience == AudienceRFC9126 {
		c.fail("assertion_audience %s %s, by which an assertion is for the issuer alone; take it out", c.Audience, byProfile)
	}
	c.wantFAPI("token_endpoint_auth_signing_alg", c.SigningAlg)
	c.wantFAPI("request_object_signing_alg", c.ObjectAlg)
}

// wantFAPI wants the algorithm of a member, if it is there, to be one of the profile's. What is wrong with one of a shared
// secret is said of its method.
func (c *authCheck) wantFAPI(member, algorithm string) {
	if algorithm == "" || jwt.MACBytes(algorithm) > 0 || c.broken[member] || slices.Contains(jwt.FAPI(), algorithm) {
		return
	}
	c.fail("%s %s %s; use %s", member, algorithm, byProfile, list(jwt.FAPI()))
	c.broken[member] = true
}
