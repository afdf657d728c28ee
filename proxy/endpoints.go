package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"pargate/proxy/oauth"
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

// endpoints is what is known of the upstream at one time. Nothing in it changes.
type endpoints struct {
	issuer         string   // the issuer identifier, exactly as the metadata has it
	public         *url.URL // scheme and host of everything public
	places         *paths
	authorize      []string // the authorization endpoints' paths
	authorizeQuery map[string]string
	push           string // the push endpoint's path; empty when the upstream's own has that path
	native         string // the upstream's own push endpoint, when it has one
	oidc, oauth    *patched
	source         string // for the log: where this was learned
}

// patched is a metadata document as clients get it.
type patched struct {
	body []byte
	etag string
}

// pushURL is the address of the push endpoint.
func (e *endpoints) pushURL() string { return e.public.String() + e.push }

// policy is what of the configuration shows in the endpoints.
type policy struct {
	patchMetadata bool
	requirePAR    bool // of every client
}

// resolve makes endpoints out of what the upstream's metadata says. A document may be nil, not both.
func (i Issuer) resolve(oidc, oauth *document, pol policy) (*endpoints, error) {
	main := oidc
	if main == nil {
		main = oauth
	}
	issuer, err := url.Parse(main.Issuer)
	if err != nil || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return nil, fmt.Errorf("the issuer %q in the metadata is not a URL without query and fragment (RFC 8414 section 2)", main.Issuer)
	}
	e := &endpoints{issuer: main.Issuer, public: originURL(issuer), authorizeQuery: map[string]string{}, source: main.path}
	if i.PublicURL != nil && !sameOrigin(i.PublicURL, issuer) {
		return nil, fmt.Errorf("the issuer in the metadata is %s, but PUBLIC_URL is %s; they must have one origin", main.Issuer, i.PublicURL)
	}
	if !isSecureOrigin(issuer) {
		return nil, fmt.Errorf("the issuer %s is neither https nor on a loopback address", main.Issuer)
	}
	for _, doc := range []*document{oidc, oauth} {
		if doc != nil && doc.PushEndpoint != "" {
			e.native = doc.PushEndpoint
		}
	}
	if err := i.addPaths(e, main, strings.TrimSuffix(issuer.EscapedPath(), "/")); err != nil {
		return nil, err
	}
	if pol.patchMetadata && e.native == "" {
		return e, e.patch(oidc, oauth, pol)
	}
	return e, nil
}

// resolveStatic makes endpoints for an upstream that publishes no metadata.
func (i Issuer) resolveStatic() (*endpoints, error) {
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
	e := &endpoints{issuer: strings.TrimSuffix(i.PublicURL.String(), "/"), public: originURL(i.PublicURL),
		authorizeQuery: map[string]string{}, source: "settings"}
	return e, i.addPaths(e, &document{}, strings.TrimSuffix(i.PublicURL.EscapedPath(), "/"))
}

// addPaths collects the paths of e out of the settings and the metadata, and places them.
func (i Issuer) addPaths(e *endpoints, doc *document, issuerPath string) error {
	exact := map[string]place{}
	e.authorize = slices.Clone(i.AuthorizePaths)
	if doc.AuthorizationEndpoint != "" {
		u, err := e.onPublicHost("authorization_endpoint", doc.AuthorizationEndpoint)
		if err != nil {
			return err
		}
		discovered := pathOf(u)
		e.authorizeQuery[discovered] = u.RawQuery
		if !slices.Contains(e.authorize, discovered) {
			e.authorize = append([]string{discovered}, e.authorize...)
		}
	}
	if len(e.authorize) == 0 {
		return fmt.Errorf("the metadata at %s has no authorization_endpoint; set AUTHORIZE_PATH", doc.path)
	}
	for name, endpoint := range map[string]string{"token_endpoint": doc.TokenEndpoint, "end_session_endpoint": doc.EndSessionEndpoint} {
		// One on another host, for mutual TLS say, is not served here.
		if u, err := e.onPublicHost(name, endpoint); endpoint != "" && err == nil {
			exact[pathOf(u)] = atExempt
		}
	}
	if i.TokenPath != "" {
		exact[i.TokenPath] = atExempt
	}
	for _, p := range e.authorize {
		exact[p] = atAuthorize
	}
	return i.placePush(e, exact, doc, issuerPath)
}

// placePush gives the push endpoint its path, which nothing of the upstream's may have.
func (i Issuer) placePush(e *endpoints, exact map[string]place, doc *document, issuerPath string) error {
	e.push = i.PushPath
	if e.push == "" {
		e.push = issuerPath + "/par"
	}
	if native, err := url.Parse(e.native); err == nil && e.native != "" && i.PushPath == "" && pathOf(native) == e.push {
		e.push = "" // the upstream's own keeps its place
	}
	if _, taken := exact[e.push]; taken || strings.Contains(e.push, "/.well-known/") {
		return fmt.Errorf("PAR_PATH %s is the path of another endpoint of the upstream", e.push)
	}
	if e.push != "" {
		exact[e.push] = atPush
	}
	e.places = newPaths(exact)
	if e.push != "" && newPaths(withoutPlace(exact, e.push)).classify(e.push).protected() {
		return fmt.Errorf("PAR_PATH %s is under the authorization endpoint", e.push)
	}
	return nil
}

func withoutPlace(exact map[string]place, p string) map[string]place {
	rest := map[string]place{}
	for literal, where := range exact {
		if literal != p {
			rest[literal] = where
		}
	}
	return rest
}

// patch makes the documents that clients get, and places them at every path where a client may look: after the
// issuer's path as OpenID Connect has it, before it as RFC 8414 §3.1 and §5 have it, and where they were found.
func (e *endpoints) patch(oidc, oauth *document, pol policy) error {
	issuer, _ := url.Parse(e.issuer)
	issuerPath := strings.TrimSuffix(issuer.EscapedPath(), "/")
	patch := rewrite.MetadataPatch{PushEndpoint: e.pushURL(), RequirePAR: pol.requirePAR}
	make := func(doc *document) (*patched, error) {
		if doc == nil {
			return nil, nil
		}
		body, err := rewrite.Metadata(doc.raw, patch)
		if err != nil {
			return nil, fmt.Errorf("the metadata at %s: %w", doc.path, err)
		}
		sum := sha256.Sum256(body)
		return &patched{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
	}
	var err error
	if e.oidc, err = make(oidc); err != nil {
		return err
	}
	if oauth == nil {
		oauth = oidc // RFC 8414 has the same members
	}
	if e.oauth, err = make(oauth); err != nil {
		return err
	}
	for _, p := range []string{issuerPath + oidcWellKnown, oidcWellKnown + issuerPath} {
		if e.oidc != nil {
			e.places.exact[p], e.places.exact[p+"/"] = atOIDC, atOIDC
		}
	}
	for _, p := range []string{oauthWellKnown + issuerPath, issuerPath + oauthWellKnown} {
		e.places.exact[p] = atOAuth
	}
	if oidc != nil {
		e.places.exact[oidc.path] = atOIDC
	}
	if oauth != nil && oauth != oidc {
		e.places.exact[oauth.path] = atOAuth
	}
	return nil
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

// covers reports whether every path that old protects is protected by e too.
func (e *endpoints) covers(old *endpoints) bool {
	return !slices.ContainsFunc(old.authorize, func(p string) bool { return !e.places.classify(p).protected() })
}

func pathOf(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

func originURL(u *url.URL) *url.URL { return &url.URL{Scheme: u.Scheme, Host: u.Host} }

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && hostPort(a) == hostPort(b)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// isSecureOrigin reports whether u is https, or plain http that does not leave this machine.
func isSecureOrigin(u *url.URL) bool {
	if u.Scheme != "http" {
		return u.Scheme == "https"
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// publicOf returns the origin of the issuer that the documents name, or nil.
func publicOf(oidc, oauth *document) *url.URL {
	for _, doc := range []*document{oidc, oauth} {
		if doc == nil {
			continue
		}
		if u, err := url.Parse(doc.Issuer); err == nil && u.Host != "" {
			return originURL(u)
		}
	}
	return nil
}

// withoutOwn drops the parameters that the endpoint's own URL has, in any spelling: nothing pushed overrides them.
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

// guessPushPath is where pushes go as long as nothing is known but the settings.
func (i Issuer) guessPushPath() string {
	if i.PushPath != "" {
		return i.PushPath
	}
	return strings.TrimSuffix(i.UpstreamURL.EscapedPath(), "/") + "/par"
}
