package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const (
	oidcWellKnown  = "/.well-known/openid-configuration"       // OpenID Connect Discovery §4
	oauthWellKnown = "/.well-known/oauth-authorization-server" // RFC 8414 §3
	maxMetadata    = 1 << 20                                   // bytes of one document
)

// document is an authorization server metadata document as the upstream has it.
type document struct {
	path string // where it was found
	raw  []byte
	members
}

// members are the ones that the gateway itself uses (RFC 8414 §2, RFC 8705 §5, RFC 9126 §5, RFC 9449
// §5.1, RP-Initiated Logout §2.1, CIBA §4).
type members struct {
	Issuer                string  `json:"issuer"`
	AuthorizationEndpoint string  `json:"authorization_endpoint"`
	TokenEndpoint         string  `json:"token_endpoint"`
	EndSessionEndpoint    string  `json:"end_session_endpoint"`
	RevocationEndpoint    string  `json:"revocation_endpoint"`
	IntrospectionEndpoint string  `json:"introspection_endpoint"`
	PushEndpoint          string  `json:"pushed_authorization_request_endpoint"`
	ProofAlgorithms       names   `json:"dpop_signing_alg_values_supported"`
	BackchannelEndpoint   string  `json:"backchannel_authentication_endpoint"`
	Aliases               aliases `json:"mtls_endpoint_aliases"`
}

// aliases are the endpoints of clients with a certificate (RFC 8705 §5). A member of another form is none.
type aliases struct {
	TokenEndpoint       string
	BackchannelEndpoint string
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *aliases) UnmarshalJSON(raw []byte) error {
	var known struct {
		TokenEndpoint       string `json:"token_endpoint"`
		BackchannelEndpoint string `json:"backchannel_authentication_endpoint"`
	}
	if json.Unmarshal(raw, &known) == nil {
		*a = aliases(known)
	}
	return nil
}

// names are an array of strings. A member of another form is none, and spoils no document.
type names []string

// UnmarshalJSON implements json.Unmarshaler.
func (n *names) UnmarshalJSON(raw []byte) error {
	var all []string
	if json.Unmarshal(raw, &all) == nil {
		*n = all
	}
	return nil
}

// errNoMetadata means that the upstream answered, and has no metadata.
var errNoMetadata = errors.New("the upstream publishes no metadata")

// fetchDocuments reads the metadata that lies under the path of the upstream's URL: the OpenID Connect document and
// the OAuth one, either of which may be nil. public is what the upstream is called in Host and X-Forwarded-*.
func (u *upstream) fetchDocuments(ctx context.Context, public *url.URL) (oidc, oauth *document, err error) {
	path := strings.TrimSuffix(u.issuer.UpstreamURL.EscapedPath(), "/")
	oidc, err = u.fetchFirst(ctx, public, path+oidcWellKnown, path+oidcWellKnown+"/")
	if err != nil && !errors.Is(err, errNoMetadata) {
		return nil, nil, err
	}
	oauth, err = u.fetchFirst(ctx, public, oauthWellKnown+path, path+oauthWellKnown)
	if err != nil && !errors.Is(err, errNoMetadata) {
		return nil, nil, err
	}
	switch {
	case oidc == nil && oauth == nil:
		return nil, nil, errNoMetadata
	case oidc != nil && oauth != nil && oidc.Issuer != oauth.Issuer:
		// RFC 8414 §3.3: what names another issuer is not this one's metadata.
		oauth = nil
	}
	return oidc, oauth, nil
}

// fetchFirst returns the first document that one of the candidates has.
func (u *upstream) fetchFirst(ctx context.Context, public *url.URL, candidates ...string) (*document, error) {
	for i, path := range candidates {
		if i > 0 && path == candidates[0] {
			continue
		}
		doc, err := u.fetchDocument(ctx, public, path)
		if err == nil || !errors.Is(err, errNoMetadata) {
			return doc, err
		}
	}
	return nil, errNoMetadata
}

func (u *upstream) fetchDocument(ctx context.Context, public *url.URL, path string) (*document, error) {
	target := u.issuer.UpstreamURL.Scheme + "://" + u.issuer.UpstreamURL.Host + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	// Some servers build every URL in the document from these.
	req.Host = public.Host
	req.Header.Set("X-Forwarded-Host", public.Host)
	req.Header.Set("X-Forwarded-Proto", public.Scheme)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pargate")
	req.Header.Set(hopHeader, u.hop)
	res, err := u.client.Do(req)
	if err != nil {
		return nil, kindOf(err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusLoopDetected:
		return nil, fmt.Errorf("UPSTREAM_URL %s leads back to this gateway", u.issuer.UpstreamURL)
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%s answers %s", path, res.Status)
	case res.StatusCode != http.StatusOK:
		return nil, errNoMetadata
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxMetadata+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", path, kindOf(err))
	case len(raw) > maxMetadata:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxMetadata)
	}
	doc := &document{path: path, raw: raw}
	if json.Unmarshal(raw, &doc.members) != nil || doc.Issuer == "" {
		return nil, errNoMetadata // a login page, say: status 200 proves nothing
	}
	return doc, nil
}
