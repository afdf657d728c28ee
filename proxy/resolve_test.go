package proxy

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// FuzzResolve: whatever an upstream publishes, endpoints come out of it only with an issuer of the public origin, with
// every authorization endpoint protected in its own spelling, and with a push endpoint that is nobody else's; and what is
// then published is JSON that names it.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		`{"issuer":"https://as.example","authorization_endpoint":"https://as.example/authorize","token_endpoint":"https://as.example/token"}`,
		`{"issuer":"https://as.example/realms/a","authorization_endpoint":"http://as.example/realms/a/auth?x=1","end_session_endpoint":"https://as.example/realms/a/logout"}`,
		`{"issuer":"https://as.example","authorization_endpoint":"https://evil.example/authorize"}`, `{"issuer":"https://evil.example","authorization_endpoint":"https://as.example/a"}`,
		`{"issuer":"https://as.example","authorization_endpoint":"https://as.example/par","pushed_authorization_request_endpoint":"https://as.example/par"}`,
		`{"issuer":"https://as.example/","authorization_endpoint":"https://as.example","signed_metadata":"a.b.c","issuer":"https://as.example/"}`,
		`{"issuer":"https://as.example","authorization_endpoint":"https://as.example/%61uth%20x/é","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/token"}}`,
	} {
		f.Add([]byte(seed))
	}
	public, _ := url.Parse("https://as.example")
	i := Issuer{UpstreamURL: &url.URL{Scheme: "http", Host: "10.0.0.1:9000"}, PublicURL: public}
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc := &document{path: oidcWellKnown, raw: raw}
		if json.Unmarshal(raw, &doc.members) != nil || doc.Issuer == "" {
			return
		}
		e, err := i.resolve(doc, nil, policy{patchMetadata: true, requirePAR: true, openedAlgorithms: func() []string { return []string{"ES256"} }})
		if err != nil {
			return
		}
		if issuer, err := url.Parse(e.issuer); err != nil || !sameOrigin(issuer, public) || len(e.authorize) == 0 {
			t.Fatalf("%s: issuer %q, %d authorization endpoints", raw, e.issuer, len(e.authorize))
		}
		for _, path := range e.authorize {
			if e.places.classify(path) != atAuthorize || path == e.push {
				t.Errorf("%s: %s is not protected", raw, path)
			}
		}
		if e.native == "" && (e.push == "" || e.places.classify(e.push) != atPush) {
			t.Errorf("%s: the push endpoint is %q", raw, e.push)
		}
		if e.oidc == nil {
			return
		}
		var published map[string]any
		if err := json.Unmarshal(e.oidc.body, &published); err != nil || published["pushed_authorization_request_endpoint"] != e.pushURL() || strings.Contains(e.oidc.etag, "\n") {
			t.Errorf("%s becomes %s: %v", raw, e.oidc.body, err)
		}
	})
}
