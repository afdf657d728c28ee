package proxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"pargate/rewrite"
)

// Issuer says which authorization server the gateway stands in front of, and what of it cannot be learned from
// its metadata.
type Issuer struct {
	UpstreamURL    *url.URL // its address; the path says under which issuer path the metadata lies
	PublicURL      *url.URL // the address that browsers and clients use; nil: the issuer's
	PushPath       string   // empty: the issuer's path and /par
	AuthorizePaths []string // authorization endpoints beside the one in the metadata
	TokenPath      string   // empty: as in the metadata
}

// policy is what of the configuration shows in the endpoints.
type policy struct {
	patchMetadata bool
	requirePAR    bool // of every client
	advertiseISS  bool // in the metadata
	fapi          bool

	openedAlgorithms func() []string // of request objects, at present; nil when none are opened
}

// guessPushPath is where pushes go as long as nothing is known but the settings.
func (i Issuer) guessPushPath() string {
	if i.PushPath != "" {
		return i.PushPath
	}
	return strings.TrimSuffix(i.UpstreamURL.EscapedPath(), "/") + "/par"
}

// resolve makes endpoints out of what the upstream's metadata says. A document may be nil, not both.
func (i Issuer) resolve(oidc, oauth *document, pol policy) (*endpoints, error) {
	found := slices.DeleteFunc([]*document{oidc, oauth}, func(d *document) bool { return d == nil })
	issuer, err := i.checkIssuer(found[0].Issuer)
	if err != nil {
		return nil, err
	}
	e := &endpoints{issuer: found[0].Issuer, public: originURL(issuer), source: found[0].path}
	for _, doc := range found {
		if doc.PushEndpoint != "" {
			e.native = doc.PushEndpoint
		}
		e.token = cmp.Or(e.token, doc.TokenEndpoint)
		e.revocation = cmp.Or(e.revocation, doc.RevocationEndpoint)
		e.introspection = cmp.Or(e.introspection, doc.IntrospectionEndpoint)
	}
	e.proofs = pol.proofs(found...)
	e.warnings = pol.warnings(e, found...)
	e.says, e.endSession = whatIsSaid(found...)
	issuerPath := strings.TrimSuffix(issuer.EscapedPath(), "/")
	exact, err := i.place(e, issuerPath, found...)
	switch {
	case err != nil:
		return nil, err
	case e.push == "" && pol.requirePAR: // its references are none of ours, so nobody could log in
		return nil, fmt.Errorf("requests must be pushed to the gateway, but the upstream's own push endpoint has its path, %s; set PAR_PATH to another", e.native)
	}
	if pol.patchMetadata && e.native == "" {
		if err := e.patch(exact, issuerPath, oidc, oauth, pol); err != nil {
			return nil, err
		}
	}
	e.places = newPaths(exact)
	return e, nil
}

// resolveStatic makes endpoints for an upstream that publishes no metadata.
func (i Issuer) resolveStatic(pol policy) (*endpoints, error) {
	var missing []string
	if i.PublicURL == nil {
		missing = append(missing, "PUBLIC_URL")
	}
	if len(i.AuthorizePaths) == 0 {
		missing = append(missing, "AUTHORIZE_PATH")
	}
	if i.TokenPath == "" {
		missing = append(missing, "TOKEN_PATH")
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w under %s; set %s", errNoMetadata, i.UpstreamURL, strings.Join(missing, ", "))
	}
	e := &endpoints{issuer: strings.TrimSuffix(i.PublicURL.String(), "/"), public: originURL(i.PublicURL), source: "settings"}
	e.warnings = pol.warnings(e)
	exact, err := i.place(e, strings.TrimSuffix(i.PublicURL.EscapedPath(), "/"))
	e.places = newPaths(exact)
	return e, err
}

func (i Issuer) checkIssuer(identifier string) (*url.URL, error) {
	issuer, err := url.Parse(identifier)
	switch {
	case err != nil || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "":
		return nil, fmt.Errorf("the issuer %q in the metadata is not a URL without query and fragment (RFC 8414 section 2)", identifier)
	case i.PublicURL != nil && !sameOrigin(i.PublicURL, issuer):
		return nil, fmt.Errorf("the issuer in the metadata is %s, but PUBLIC_URL is %s; they must have one origin", identifier, i.PublicURL)
	case !isSecureOrigin(issuer):
		return nil, fmt.Errorf("the issuer %s is neither https nor on a loopback address", identifier)
	}
	return issuer, nil
}

// place collects the endpoints' paths out of the settings and the metadata into e, and returns what each path is.
func (i Issuer) place(e *endpoints, issuerPath string, found ...*document) (map[string]place, error) {
	exact := map[string]place{}
	e.authorize, e.authorizeQuery = slices.Clone(i.AuthorizePaths), map[string]string{}
	for _, doc := range found {
		for _, endpoint := range []string{doc.TokenEndpoint, doc.EndSessionEndpoint, doc.BackchannelEndpoint, doc.Aliases.TokenEndpoint, doc.Aliases.BackchannelEndpoint} {
			// One on another host, for mutual TLS say, is not served here.
			if u, err := e.onPublicHost("endpoint", endpoint); err == nil {
				exact[pathOf(u)] = atExempt
			}
		}
		if doc.AuthorizationEndpoint == "" {
			continue
		}
		u, err := e.onPublicHost("authorization_endpoint", doc.AuthorizationEndpoint)
		if err != nil {
			return nil, err
		}
		e.authorizeQuery[pathOf(u)] = u.RawQuery
		if !slices.Contains(e.authorize, pathOf(u)) {
			e.authorize = append([]string{pathOf(u)}, e.authorize...)
		}
	}
	if len(e.authorize) == 0 {
		return nil, fmt.Errorf("the metadata at %s has no authorization_endpoint; set AUTHORIZE_PATH", e.source)
	}
	if i.TokenPath != "" {
		exact[i.TokenPath] = atExempt
		if e.token == "" {
			e.token = e.public.String() + i.TokenPath
		}
	}
	for _, p := range e.authorize {
		exact[p] = atAuthorize
	}
	return exact, i.placePush(e, exact, issuerPath)
}

// placePush gives the push endpoint its path, which nothing of the upstream's may have.
func (i Issuer) placePush(e *endpoints, exact map[string]place, issuerPath string) error {
	e.push = i.PushPath
	if e.push == "" {
		e.push = issuerPath + "/par"
	}
	if native, err := url.Parse(e.native); err == nil && e.native != "" && i.PushPath == "" && sameServer(native, e.public) && pathOf(native) == e.push {
		e.push = "" // the upstream's own keeps its place
		return nil
	}
	if _, taken := exact[e.push]; taken || strings.Contains(e.push, "/.well-known/") {
		return fmt.Errorf("PAR_PATH %s is the path of another endpoint of the upstream", e.push)
	}
	exact[e.push] = atPush
	return nil
}

// patch makes the documents that clients get, and places them at every path where a client may look: after the
// issuer's path as OpenID Connect has it, before it as RFC 8414 §3.1 and §5 have it, and where they were found.
func (e *endpoints) patch(exact map[string]place, issuerPath string, oidc, oauth *document, pol policy) (err error) {
	if oidc != nil {
		if e.oidc, err = e.patchOne(oidc, pol); err != nil {
			return err
		}
		for _, p := range []string{oidc.path, issuerPath + oidcWellKnown, oidcWellKnown + issuerPath} {
			exact[p], exact[p+"/"] = atOIDC, atOIDC
		}
	}
	if oauth == nil {
		oauth = oidc // it has the members that RFC 8414 asks for
	} else {
		exact[oauth.path] = atOAuth
	}
	if e.oauth, err = e.patchOne(oauth, pol); err != nil {
		return err
	}
	for _, p := range []string{oauthWellKnown + issuerPath, issuerPath + oauthWellKnown} {
		exact[p] = atOAuth
	}
	return nil
}

func (e *endpoints) patchOne(doc *document, pol policy) (*patched, error) {
	body, err := rewrite.Metadata(doc.raw, pol.patch(e))
	if err != nil {
		return nil, fmt.Errorf("the metadata at %s: %w", doc.path, err)
	}
	sum := sha256.Sum256(body)
	return &patched{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

// onPublicHost parses the URL of an endpoint, which must be on the public host: what is elsewhere does not come
// through the gateway. The scheme may differ, since servers behind a proxy guess it.
func (e *endpoints) onPublicHost(name, endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s %q in the metadata is not an absolute URL", name, endpoint)
	}
	if !strings.EqualFold(u.Host, e.public.Host) {
		return nil, fmt.Errorf("%s is %s, which is not on the issuer's host %s: browsers would go around the gateway", name, endpoint, e.public.Host)
	}
	return u, nil
}
