package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"pargate/proxy/jwt"
	"pargate/proxy/oauth"
)

// VerifyRequestObject returns nil when c has signed the request object, with an algorithm that it may use (RFC 9101 §6.2).
// The error is one to tell (*oauth.Error), and speaks of nothing that the object says.
func (a *Authenticator) VerifyRequestObject(ctx context.Context, c *Client, object *jwt.Token) error {
	if c.ObjectAlg != "" && c.ObjectAlg != object.Algorithm {
		return oauth.InvalidRequestObject(fmt.Sprintf("the request object must be signed with %s, which this client is registered for", c.ObjectAlg)).ChangedBy("request_object_signing_alg in CLIENTS_FILE")
	}
	if a.Algorithms != nil && !slices.Contains(a.Algorithms, object.Algorithm) {
		return oauth.InvalidRequestObject(fmt.Sprintf("the request object is signed with %s; use %s", object.Algorithm, list(a.Algorithms))).ChangedBy("PROFILE")
	}
	if err := a.verifyWithKeys(ctx, c, object); err != nil {
		return oauth.InvalidRequestObject("the request object is not signed with a key that is registered for this client").Because(err).ChangedBy("jwks in CLIENTS_FILE")
	}
	return nil
}

// objectMembers say how a client signs its requests (RFC 9101 §10.5, OpenID Connect Registration §2).
var objectMembers = map[string]member{
	"request_object_signing_alg":    readObjectAlg,
	"require_signed_request_object": readRequireSigned,
	"request_object_encryption_alg": refuseEncryption,
	"request_object_encryption_enc": refuseEncryption,
}

func readObjectAlg(c *Client, v json.RawMessage) error {
	if err := text(v, &c.ObjectAlg); err != nil {
		return err
	}
	if c.ObjectAlg = jwt.Canonical(c.ObjectAlg); !jwt.IsAsymmetric(c.ObjectAlg) {
		return fmt.Errorf("%.64q is not an algorithm that is accepted; use %s", c.ObjectAlg, list(jwt.Asymmetric()))
	}
	return nil
}

func readRequireSigned(c *Client, v json.RawMessage) error { return truth(v, &c.RequireSigned) }

func refuseEncryption(*Client, json.RawMessage) error {
	return errors.New("asks for encrypted request objects, which are not supported; a push is confidential without")
}

// checkRequestObjects: who signs needs a key for it, with one of the algorithms.
func (c *authCheck) checkRequestObjects(algorithms []string) {
	for _, name := range []string{"request_object_signing_alg", "require_signed_request_object"} {
		if c.has(name) && !c.has("jwks") && !c.has("jwks_uri") {
			c.fail("%s has no effect without jwks or jwks_uri", name)
		}
	}
	switch {
	case c.broken["request_object_signing_alg"] || !c.has("jwks") || c.broken["jwks"]:
	case c.ObjectAlg != "" && !slices.ContainsFunc(c.keys, func(k jwt.Key) bool { return k.Fits(c.ObjectAlg) }):
		c.fail("jwks has no key for request_object_signing_alg %s", c.ObjectAlg)
	case c.RequireSigned && !c.Signs():
		c.fail("jwks has no key for the signatures that require_signed_request_object asks for")
	case c.RequireSigned && !c.signsWith(algorithms):
		c.fail("jwks has no key for require_signed_request_object, which takes %s", list(algorithms))
	}
}
