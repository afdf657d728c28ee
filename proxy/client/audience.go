package client

import (
	"fmt"
	"slices"
	"strings"

	"pargate/proxy/oauth"
)

// Audience is which aud a client's assertions may have. RFC 9126 §2 wants three addresses taken; but a client that
// names an endpoint can be made to sign for a server that it does not mean (CVE-2025-27370), so that RFC 7523's
// successor and FAPI 2.0 want the issuer alone.
type Audience string

const (
	AudienceRFC9126 Audience = "rfc9126" // the issuer, the token endpoint or the push endpoint; one of them among others will do
	AudienceIssuer  Audience = "issuer"  // exactly the issuer, as one string
)

// Server is the authorization server at which a client authenticates, by the addresses that clients know.
type Server struct {
	Issuer        string // its identifier, exactly
	TokenEndpoint string // empty: not known
	PushEndpoint  string
}

// audiences are the values of aud that the policy takes at the server.
func (p Audience) audiences(at Server) []string {
	all := []string{at.Issuer, at.TokenEndpoint, at.PushEndpoint}
	if p == AudienceIssuer {
		all = all[:1]
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// takes reports whether an assertion with those claims is for the server. Strings are compared exactly.
func (p Audience) takes(c claims, at Server) bool {
	if p == AudienceIssuer && !c.audience.IsText {
		return false
	}
	accepted := p.audiences(at)
	return slices.ContainsFunc(c.audience.Values, func(aud string) bool { return slices.Contains(accepted, aud) })
}

// wanted says in words, which repeat the server's own addresses alone, what takes accepts.
func (p Audience) wanted(at Server) string {
	all := p.audiences(at)
	for i := range all {
		all[i] = plain(all[i])
	}
	text := strings.Join(all, " or ")
	if p == AudienceIssuer {
		return text + ", as one string"
	}
	return text
}

// plain takes what must not be in an error_description out of an address (RFC 6749 §5.2).
func plain(address string) string {
	return strings.Map(func(r rune) rune {
		if r < '!' || r > '~' || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, address)
}

// seen says in one of a few words what an aud names, for logs and metrics.
func (c claims) seen(at Server) string {
	if len(c.audience.Values) != 1 {
		return "several"
	}
	kind := "other"
	switch c.audience.Values[0] {
	case at.Issuer:
		kind = "issuer"
	case at.TokenEndpoint:
		kind = "token_endpoint"
	case at.PushEndpoint:
		kind = "push_endpoint"
	}
	if !c.audience.IsText {
		kind += "_array"
	}
	return kind
}

// another tells which audience would have been right.
func (p Audience) another(c claims, at Server) error {
	return oauth.InvalidClient("client_assertion has another aud; use "+p.wanted(at), false).Because(fmt.Errorf("its aud is %s", c.seen(at))).ChangedBy("ASSERTION_AUDIENCE")
}
