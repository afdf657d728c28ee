package client_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"pargate/proxy/client"
)

// reply is an answer of a legacy server.
type reply struct {
	status      int
	contentType string
	body        string
}

func oauthError(status int, code string) reply {
	return reply{status, "application/json;charset=UTF-8", `{"error":"` + code + `","error_description":"said the server"}`}
}

var (
	invalidGrant  = oauthError(400, "invalid_grant")
	invalidClient = oauthError(401, "invalid_client")
	badClient     = oauthError(400, "invalid_client")
	plainRefusal  = reply{401, "text/plain", "Unauthorized"}
	unsupported   = oauthError(400, "unsupported_grant_type")
	surprise      = oauthError(500, "server_error")
	loginPage     = reply{200, "text/html; charset=utf-8", "<!DOCTYPE html><title>Login</title>"}
	done          = reply{200, "text/html; charset=utf-8", ""}
	doneJSON      = reply{200, "application/json", "{}"}
	inactive      = reply{200, "application/json", `{"active":false}`}
)

// manners are how one endpoint answers.
type manners struct {
	right, wrong, unknown, missing reply // a confidential client: its secret, another, none; a name that nobody has
	public, publicSecret           reply // a public client, and one that shows a secret
	post                           *manners
}

// all is an endpoint that answers everybody alike.
func all(r reply) manners {
	return manners{right: r, wrong: r, unknown: r, missing: r, public: r, publicSecret: r}
}

// strict is an endpoint that does what the RFC says.
func strict(right, wrong reply) manners {
	return manners{right: right, wrong: wrong, unknown: wrong, missing: wrong, public: right, publicSecret: wrong}
}

func (m manners) with(change func(*manners)) manners {
	change(&m)
	return m
}

// legacy is an authorization server as it was measured; an endpoint that is not there is nil.
type legacy struct {
	name                                     string
	code, refresh, revocation, introspection *manners
	accept                                   []string // PROBE_ACCEPT

	public, publicLater int  // status that a public client gets: at once, and after a confidential one has pushed; zero means that it passes
	unknown             int  // status that a name nobody has gets, at first; zero means 401
	basicOnly           bool // a secret in the form is not known

	mu     sync.Mutex
	secret string // of web
	asked  []asked
	before func(n int, w http.ResponseWriter, r *http.Request) bool // takes the nth request for itself; nil: none
}

// asked is a request as the server has seen it.
type asked struct {
	path, grant, method, id, secret, assertion string
	raw                                        string // header and body
}

const realSecret = "s3cret"

func ptr(m manners) *manners { return &m }

// legacies are the servers of upstreams.md, table C of both parts.
func legacies() []*legacy {
	ok := strict(invalidGrant, invalidClient)
	zopCode := all(invalidGrant)
	return []*legacy{
		{name: "dex", code: ptr(ok), refresh: ptr(strict(oauthError(400, "invalid_request"), invalidClient)), introspection: ptr(all(inactive))},
		{name: "oidc-provider", code: ptr(ok), refresh: ptr(ok), revocation: ptr(strict(done, invalidClient)), introspection: ptr(strict(inactive, invalidClient))},
		{name: "oauth2orize", code: ptr(strict(oauthError(403, "invalid_grant"), plainRefusal).with(func(m *manners) { m.public = plainRefusal })),
			refresh: ptr(strict(oauthError(501, "unsupported_grant_type"), plainRefusal)), public: 401},
		{name: "oauth2-server", code: ptr(ok.with(func(m *manners) {
			m.missing, m.public, m.publicSecret = badClient, badClient, badClient
			m.post = ptr(m.with(func(m *manners) { m.wrong = badClient }))
		})), refresh: ptr(ok), public: 401},
		{name: "zitadel Provider", code: ptr(zopCode), refresh: ptr(ok.with(func(m *manners) { m.unknown, m.publicSecret = surprise, invalidGrant })),
			revocation: ptr(strict(doneJSON, invalidClient)), introspection: ptr(strict(inactive, reply{401, "application/json", `"unauthorized"`})), unknown: 503},
		{name: "zitadel LegacyServer", code: ptr(strict(invalidGrant, badClient).with(func(m *manners) { m.publicSecret = invalidGrant })),
			revocation: ptr(strict(doneJSON, invalidClient)), introspection: ptr(strict(inactive, oauthError(400, "unauthorized_client")))},
		{name: "go-oauth2", basicOnly: true, code: ptr(strict(oauthError(401, "invalid_grant"), invalidClient).with(func(m *manners) {
			m.unknown, m.public = surprise, invalidClient
			m.post = ptr(all(invalidClient))
		})), refresh: ptr(all(oauthError(401, "invalid_grant")).with(func(m *manners) { m.missing, m.public = invalidClient, invalidClient })), public: 401, unknown: 503},
		{name: "hydra", code: ptr(ok), refresh: ptr(ok), revocation: ptr(strict(done, invalidClient)), introspection: ptr(all(inactive))},
		{name: "LemonLDAP::NG", code: ptr(strict(invalidGrant, invalidClient).with(func(m *manners) {
			m.missing, m.publicSecret = badClient, invalidGrant
			m.post = ptr(m.with(func(m *manners) { m.wrong, m.unknown = badClient, badClient }))
		})), refresh: ptr(all(unsupported)), revocation: ptr(all(loginPage)),
			introspection: ptr(strict(inactive, invalidClient).with(func(m *manners) { m.public = oauthError(401, "unauthorized_client") })), public: 503},
		{name: "Django OAuth Toolkit", code: ptr(ok), revocation: ptr(strict(done, invalidClient)), introspection: ptr(strict(inactive, reply{403, "text/html", "<h1>403</h1>"}))},
		{name: "Authlib", code: ptr(ok), refresh: ptr(all(unsupported)), revocation: ptr(strict(doneJSON, invalidClient)), introspection: ptr(strict(inactive, invalidClient))},
		{name: "Glewlwyd", accept: []string{"invalid_code"}, code: ptr(strict(oauthError(403, "invalid_code"), oauthError(403, "unauthorized_client"))), unknown: 503},
		{name: "Glewlwyd without PROBE_ACCEPT", code: ptr(strict(oauthError(403, "invalid_code"), oauthError(403, "unauthorized_client"))),
			revocation: ptr(strict(done, reply{401, "", ""})), introspection: ptr(strict(inactive, reply{401, "", ""}))},
		{name: "Doorkeeper", code: ptr(ok), refresh: ptr(all(unsupported)), revocation: ptr(strict(doneJSON, oauthError(403, "unauthorized_client"))),
			introspection: ptr(strict(inactive, invalidClient))},
	}
}

// named returns the legacy server called name.
func named(name string) *legacy {
	for _, l := range legacies() {
		if l.name == name {
			return l
		}
	}
	panic(name)
}

func (l *legacy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	p := asked{path: r.URL.Path, grant: r.PostForm.Get("grant_type"), id: r.PostForm.Get("client_id"), secret: r.PostForm.Get("client_secret"),
		assertion: r.PostForm.Get("client_assertion"), raw: r.Header.Get("Authorization") + " " + r.PostForm.Encode() + r.URL.RawQuery + r.Header.Get("Cookie")}
	user, password, basic := r.BasicAuth()
	switch {
	case basic:
		p.method, p.id, p.secret = client.MethodBasic, user, password
	case p.assertion != "":
		p.method = "private_key_jwt"
	case r.PostForm.Has("client_secret"):
		p.method = client.MethodPost
	default:
		p.method = client.MethodNone
	}
	l.mu.Lock()
	l.asked = append(l.asked, p)
	n, secret := len(l.asked), l.secret
	l.mu.Unlock()
	if l.before != nil && l.before(n, w, r) {
		return
	}
	l.answer(p, secret).write(w)
}

func (r reply) write(w http.ResponseWriter) {
	w.Header()["Content-Type"] = []string{r.contentType}
	w.WriteHeader(r.status)
	w.Write([]byte(r.body))
}

// answer knows the confidential clients web and web2, which have one secret, jwt, which signs, the public client spa, and
// nobody else.
func (l *legacy) answer(p asked, secret string) reply {
	m := map[string]*manners{"/token": l.code, "/revoke": l.revocation, "/introspect": l.introspection}[p.path]
	if p.grant == "refresh_token" {
		m = l.refresh
	}
	if m == nil {
		return unsupported
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.method == client.MethodPost && m.post != nil {
		m = m.post
	}
	switch {
	case p.id == "spa" && p.method == client.MethodNone:
		return m.public
	case p.id == "spa":
		return m.publicSecret
	case p.id != "web" && p.id != "web2" && !(p.method == "private_key_jwt" && p.id == "jwt"):
		return m.unknown
	case p.method == client.MethodNone:
		return m.missing
	case p.method == "private_key_jwt" && strings.HasSuffix(p.assertion, "."+goodSignature), p.method != "private_key_jwt" && p.secret == secret:
		return m.right
	}
	return m.wrong
}

// start starts the server, and returns its endpoints.
func (l *legacy) start(t *testing.T) client.Endpoints {
	l.secret = realSecret
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	e := client.Endpoints{Token: server.URL + "/token"}
	if l.revocation != nil {
		e.Revocation = server.URL + "/revoke"
	}
	if l.introspection != nil {
		e.Introspection = server.URL + "/introspect"
	}
	return e
}

func (l *legacy) all() []asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]asked{}, l.asked...)
}

func (l *legacy) count() int { return len(l.all()) }

func (l *legacy) setSecret(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secret = secret
}

var goodSignature = base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("good", 16)))

// assertion is a client assertion that the legacy servers take for signed.
func assertion(claims map[string]any) string {
	return encode(map[string]any{"alg": "ES256", "kid": "k"}) + "." + encode(claims) + "." + goodSignature
}

func encode(v any) string {
	raw, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(raw)
}
