package proxy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// pushed is a request that is being validated.
type pushed struct {
	server *Server
	known  *endpoints
	client *client.Client
	params oauth.Params
	query  string // as it is going to be forwarded
}

// checks are run in this order; the first error is the answer. What the registry does not say about a client is
// not checked, and left to the authorization server (RFC 9126 §2.1, step 3).
var checks = []struct {
	name  string
	check func(*pushed) error
}{
	{"own names", (*pushed).checkOwnNames},
	{"response_type", (*pushed).checkResponseType},
	{"redirect_uri", (*pushed).checkRedirectURI},
	{"scope", (*pushed).checkScope},
	{"PKCE", (*pushed).checkPKCE},
	{"dpop_jkt", (*pushed).checkDPoPJKT},
	{"claims", (*pushed).checkClaims},
	{"authorization_details", (*pushed).checkAuthorizationDetails},
	{"resource", (*pushed).checkResource},
	{"prompt", (*pushed).checkPrompt},
	{"max_age", (*pushed).checkMaxAge},
	{"size", (*pushed).checkSize},
}

// validate returns the request as it is kept.
func (s *Server) validate(e *endpoints, c *client.Client, params oauth.Params) (pushstore.Request, error) {
	params = e.withoutOwn(params)
	p := &pushed{server: s, known: e, client: c, params: params, query: params.Encode()}
	for _, step := range checks {
		if err := step.check(p); err != nil {
			return pushstore.Request{}, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return pushstore.Request{Query: p.query, RedirectURI: p.redirectURI(), State: params.Get(oauth.ParamState),
		Listed: s.Clients.Lookup(c.ID) != nil}, nil
}

func (p *pushed) checkOwnNames() error {
	for _, param := range p.params {
		if oauth.IsOwnName(oauth.Fold(param.Name)) {
			return oauth.InvalidRequest("parameter names that begin with pargate are the gateway's own")
		}
	}
	return nil
}

// responseTypes are the values that exist (OAuth 2.0 Multiple Response Type Encoding Practices).
var responseTypes = []string{"code", "token", "id_token", "none"}

func (p *pushed) checkResponseType() error {
	value := p.params.Get(oauth.ParamResponseType)
	if value == "" {
		return oauth.InvalidRequest("response_type is missing")
	}
	types := strings.Split(value, " ")
	for _, part := range types {
		if !slices.Contains(responseTypes, part) {
			return oauth.UnsupportedResponseType("response_type is none that exists")
		}
	}
	if p.server.FAPI && value != "code" {
		return oauth.UnsupportedResponseType("response_type must be code").Because(itIs(value)).ChangedBy("PROFILE")
	}
	if p.client.ResponseTypes == nil {
		return nil
	}
	for _, allowed := range p.client.ResponseTypes {
		if sameSet(strings.Fields(allowed), types) {
			return nil
		}
	}
	return oauth.UnauthorizedClient("this client may not use this response_type").Because(itIs(value)).ChangedBy("response_types in CLIENTS_FILE")
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// redirectURI is where the response will go: a push may leave it out when the client has exactly one (RFC 6749
// §3.1.2.3).
func (p *pushed) redirectURI() string {
	if uri := p.params.Get(oauth.ParamRedirectURI); uri != "" || len(p.client.RedirectURIs) != 1 {
		return uri
	}
	return p.client.RedirectURIs[0]
}

func (p *pushed) checkRedirectURI() error {
	uri := p.params.Get(oauth.ParamRedirectURI)
	isOpenID := slices.Contains(strings.Fields(p.params.Get(oauth.ParamScope)), "openid")
	switch {
	case uri == "" && p.server.FAPI:
		return oauth.InvalidRequest("redirect_uri is missing").ChangedBy("PROFILE")
	case uri == "" && isOpenID:
		return oauth.InvalidRequest("redirect_uri is missing; OpenID Connect requires it")
	case p.redirectURI() == "":
		return oauth.InvalidRequest("redirect_uri is missing, and there is no single registered one").ChangedBy("redirect_uris in CLIENTS_FILE")
	}
	u, err := url.Parse(p.redirectURI())
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" && u.Path == "" && u.Opaque == "":
		return oauth.InvalidRequest("redirect_uri is not an absolute URI")
	case strings.Contains(p.redirectURI(), "#"):
		return oauth.InvalidRequest("redirect_uri has a fragment")
	case slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob", "about"}, strings.ToLower(u.Scheme)):
		return oauth.InvalidRequest("redirect_uri has a scheme that is no application's")
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host == "" || u.User != nil:
		return oauth.InvalidRequest("redirect_uri has no plain host")
	case p.server.FAPI && !isSecureRedirect(u):
		return oauth.InvalidRequest("redirect_uri is neither https nor on a loopback address").ChangedBy("PROFILE")
	case rewrite.HasResponseName(u.RawQuery):
		return oauth.InvalidRequest("redirect_uri has a parameter in its query that belongs to the response")
	}
	registered := p.client.HasRedirectURI(p.redirectURI())
	if p.client.RedirectURIs != nil && !registered {
		return oauth.InvalidRequest("redirect_uri is not registered for this client").Because(differenceTo(u, p.client.RedirectURIs)).ChangedBy("redirect_uris in CLIENTS_FILE")
	}
	// The response must leave the gateway's origin to be told from the login's own redirects.
	if sameServer(u, p.known.public) && (!registered || p.known.places.classify(pathOf(u)).protected()) {
		return oauth.InvalidRequest("redirect_uri is at the authorization server itself").ChangedBy("redirect_uris in CLIENTS_FILE")
	}
	return nil
}

// differenceTo says for the log how a redirect_uri differs from the registered one that is nearest to it. What was
// sent is not repeated: it may hold secrets.
func differenceTo(sent *url.URL, registered []string) error {
	best, nearest := -1, "none"
	parts := []string{"scheme", "host", "path", "query"}
	for _, uri := range registered {
		u, err := url.Parse(uri)
		if err != nil {
			continue
		}
		equal := slices.Index([]bool{sent.Scheme == u.Scheme, sent.Host == u.Host, sent.EscapedPath() == u.EscapedPath(), false}, false)
		if equal > best {
			best, nearest = equal, uri
		}
	}
	return fmt.Errorf("its %s differs from the nearest registered one, which is %s", parts[max(best, 0)], nearest)
}

func (p *pushed) checkScope() error {
	if p.client.Scope == nil {
		return nil
	}
	for _, value := range strings.Fields(p.params.Get(oauth.ParamScope)) {
		if !slices.Contains(p.client.Scope, value) {
			return oauth.InvalidScope("scope has a value that is not registered for this client").Because(itIs(value)).ChangedBy("scope in CLIENTS_FILE")
		}
	}
	return nil
}

var challengePattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// checkPKCE looks at the shape (RFC 7636 §4.2, §4.3), and requires it of public clients, who have nothing else
// (RFC 9700 §2.1.1). FAPI 2.0 requires it of all, by S256.
func (p *pushed) checkPKCE() error {
	challenge, method := p.params.Get(oauth.ParamCodeChallenge), p.params.Get(oauth.ParamCodeChallengeMethod)
	issuesCode := slices.Contains(strings.Fields(p.params.Get(oauth.ParamResponseType)), "code")
	switch {
	case challenge == "" && method != "":
		return oauth.InvalidRequest("code_challenge_method without code_challenge")
	case challenge == "" && p.server.FAPI:
		return oauth.InvalidRequest("code_challenge is missing; every client must use PKCE").ChangedBy("PROFILE")
	case p.server.FAPI && method != "S256": // without a method it is plain (RFC 7636 §4.3)
		return oauth.InvalidRequest("code_challenge_method must be S256").ChangedBy("PROFILE")
	case challenge == "" && p.client.Public() && issuesCode:
		return oauth.InvalidRequest("code_challenge is missing; public clients must use PKCE")
	case challenge == "":
		return nil
	case method != "" && method != "plain" && method != "S256":
		return oauth.InvalidRequest("code_challenge_method is neither S256 nor plain")
	case !challengePattern.MatchString(challenge):
		return oauth.InvalidRequest("code_challenge is not 43 to 128 unreserved characters")
	}
	return nil
}

// checkClaims: an object (OpenID Connect Core §5.5). Its text is kept as it is.
func (p *pushed) checkClaims() error {
	value := p.params.Get(oauth.ParamClaims)
	var object map[string]json.RawMessage
	if value != "" && (json.Unmarshal([]byte(value), &object) != nil || object == nil) {
		return oauth.InvalidRequest("claims is not a JSON object")
	}
	return nil
}

// checkAuthorizationDetails: an array of objects with a type (RFC 9396 §2).
func (p *pushed) checkAuthorizationDetails() error {
	value := p.params.Get(oauth.ParamAuthorizationDetails)
	if value == "" {
		return nil
	}
	var details []struct {
		Type *string `json:"type"`
	}
	if json.Unmarshal([]byte(value), &details) != nil || details == nil {
		return oauth.InvalidAuthorizationDetails("authorization_details is not a JSON array of objects")
	}
	for _, detail := range details {
		if detail.Type == nil {
			return oauth.InvalidAuthorizationDetails("an authorization_details object has no type")
		}
	}
	return nil
}

// checkResource: absolute URIs without fragment (RFC 8707 §2).
func (p *pushed) checkResource() error {
	for value := range p.params.All(oauth.ParamResource) {
		if u, err := url.Parse(value); err != nil || !u.IsAbs() || strings.Contains(value, "#") {
			return oauth.InvalidTarget("resource is not an absolute URI without fragment")
		}
	}
	return nil
}

func (p *pushed) checkPrompt() error {
	values := strings.Fields(p.params.Get(oauth.ParamPrompt))
	if len(values) > 1 && slices.Contains(values, "none") {
		return oauth.InvalidRequest("prompt has none beside another value")
	}
	return nil
}

func (p *pushed) checkMaxAge() error {
	value := p.params.Get(oauth.ParamMaxAge)
	if _, err := strconv.ParseUint(value, 10, 32); value != "" && err != nil {
		return oauth.InvalidRequest("max_age is not a number of seconds")
	}
	return nil
}

// checkSize: what the upstream could not take is refused now, while the client can still do something about it.
func (p *pushed) checkSize() error {
	limit := int(p.server.MaxQueryBytes)
	if n := p.known.longestQuery(p.query); n > limit {
		return oauth.TooLarge(fmt.Sprintf("the request has %d bytes when it is sent on, and the authorization server takes %d", n, limit)).ChangedBy("UPSTREAM_MAX_REQUEST")
	}
	return nil
}

// hasCredentials reports whether a query carries what a client proves itself with.
func hasCredentials(query string) bool {
	for pair := range rewrite.Pairs(query) {
		if oauth.IsCredentialName(oauth.Fold(pair.Name)) {
			return true
		}
	}
	return false
}
