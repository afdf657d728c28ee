package proxy

import (
	"net/url"
	"slices"

	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// endpoints is what is known of the upstream at one time. Nothing in it changes.
type endpoints struct {
	issuer         string   // the issuer identifier, exactly as the metadata has it
	public         *url.URL // scheme and host of everything public
	places         *paths
	authorize      []string          // the authorization endpoints' paths
	authorizeQuery map[string]string // by path: the query that an endpoint's own URL has
	token          string            // the token endpoint's URL, as clients know it; empty: not known
	revocation     string            // likewise the revocation endpoint's (RFC 7009)
	introspection  string            // and the introspection endpoint's (RFC 7662)
	proofs         []string          // the algorithms of DPoP proofs that are taken (RFC 9449 §5.1); nil: none, as DPoP is not known
	push           string            // the push endpoint's path; empty when the upstream's own has that path
	native         string            // the upstream's own push endpoint, when it has one
	oidc, oauth    *patched          // nil: passed through
	endSession     string            // and the end-session endpoint's (RP-Initiated Logout §2.1)
	says           []Capability      // what the metadata promises; nil: there is none
	source         string            // where this was learned: a path, or settings
	warnings       []string          // what its metadata makes one expect trouble of; nil: nothing
}

// patched is a metadata document as clients get it.
type patched struct {
	body []byte
	etag string
}

// pushURL is the address of the push endpoint.
func (e *endpoints) pushURL() string { return e.public.String() + e.push }

// covers reports whether every path that old protects is protected by e too.
func (e *endpoints) covers(old *endpoints) bool {
	return !slices.ContainsFunc(old.authorize, func(p string) bool { return !e.places.classify(p).protected() })
}

// withoutOwn drops the parameters that the endpoint's own URL has, in any spelling: nothing pushed overrides them
// (RFC 6749 §3.1).
func (e *endpoints) withoutOwn(params oauth.Params) oauth.Params {
	own := map[string]bool{}
	for _, query := range e.authorizeQuery {
		for pair := range rewrite.Pairs(query) {
			own[oauth.Fold(pair.Name)] = true
		}
	}
	if len(own) == 0 {
		return params
	}
	return slices.DeleteFunc(slices.Clone(params), func(p oauth.Param) bool { return own[oauth.Fold(p.Name)] })
}

// longestQuery is the length in bytes of the longest query with which a pushed one may go upstream.
func (e *endpoints) longestQuery(pushed string) int {
	longest := len(pushed)
	for _, own := range e.authorizeQuery {
		if own != "" {
			longest = max(longest, len(own)+1+len(pushed))
		}
	}
	return longest
}
