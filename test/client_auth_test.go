package test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// The clients of these tests, one for each method, with the letters of its name.
var (
	keyCJ = harness.NewSigner("ES256", "cj")
	keyHS = &harness.Signer{Algorithm: "HS256", Key: []byte(secretCH)}
	keyCS = harness.NewSigner("ES256", "cs")
)

const (
	secretCH   = "ch-s3cret-of-thirty-two-bytes-or-more"
	secretOdd  = "p+ss:%ü-_.!"
	secretHash = "$2b$04$6ZCMtFqsPYVjvJUTj5mgRuVWQGhzfQQXj1LCHSY9P4YyJoDDCpP3q" // of another text
)

var authClients = `[
	{"client_id": "cb", "client_secret": "cb-s3cret"},
	{"client_id": "cp", "client_secret": "cp-s3cret", "token_endpoint_auth_method": "client_secret_post"},
	{"client_id": "odd", "client_secret": "` + secretOdd + `"},
	{"client_id": "cj", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "strict", "token_endpoint_auth_method": "private_key_jwt", "assertion_audience": "issuer", "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "lax", "token_endpoint_auth_method": "private_key_jwt", "assertion_audience": "rfc9126", "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "ch", "token_endpoint_auth_method": "client_secret_jwt", "client_secret": "` + secretCH + `"},
	{"client_id": "ct", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=ct,O=Example\\2c Inc."},
	{"client_id": "cs", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": ` + harness.KeySet(keyCS) + `},
	{"client_id": "any", "token_endpoint_auth_method": ["client_secret_post", "client_secret_basic", "private_key_jwt"], "client_secret": "any-s3cret", "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "pu", "token_endpoint_auth_method": "none"}
]`

// desk is a gateway with those clients, and what is needed to push as one of them.
type desk struct {
	*harness.Gateway
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newDesk(t *testing.T, setup harness.Setup) *desk {
	t.Helper()
	d := &desk{}
	var err error
	if d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true}
	d.authority = issue(t, template, template, d.key.Public(), d.key)
	roots := x509.NewCertPool()
	roots.AddCert(d.authority)
	change := setup.Options
	setup.Options = func(o *proxy.Options) {
		o.ClientRoots = func() *x509.CertPool { return roots }
		o.ClientCertHeader, o.TrustedProxies = "Client-Cert", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		if change != nil {
			change(o)
		}
	}
	if setup.Clients == "" {
		setup.Clients = authClients
	}
	d.Gateway = harness.Start(t, setup)
	return d
}

func issue(t *testing.T, template, parent *x509.Certificate, key crypto.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issued is a certificate of the desk's authority.
func (d *desk) issued(t *testing.T, name pkix.Name, change ...func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{Subject: name, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, f := range change {
		f(template)
	}
	return issue(t, template, d.authority, keyCJ.Key.(*ecdsa.PrivateKey).Public(), d.key)
}

func selfSigned(t *testing.T, s *harness.Signer, name string) *x509.Certificate {
	key := s.Key.(*ecdsa.PrivateKey)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
	return issue(t, template, template, key.Public(), key)
}

// with sends a push through a proxy at which the client has shown the certificate (RFC 9440).
func (d *desk) with(cert *x509.Certificate) func(*http.Request) {
	return setHeader("Client-Cert", ":"+base64.StdEncoding.EncodeToString(cert.Raw)+":")
}

var example = pkix.Name{CommonName: "ct", Organization: []string{"Example, Inc."}}

// asserted is a push with an assertion of the client.
func asserted(s *harness.Signer, id, audience string, claims ...any) url.Values {
	return harness.Assert(harness.Form("client_id", id), s.Sign(harness.Claims(id, audience, time.Now(), claims...)))
}

// want pushes and checks the status, with what every error has in common.
func (d *desk) want(t *testing.T, name string, status int, form url.Values, change ...func(*http.Request)) harness.Response {
	t.Helper()
	res := pushOf(t, d.Gateway, form.Encode(), change...)
	switch {
	case res.Status != status:
		t.Errorf("%s: %d %s, want %d", name, res.Status, res.Body, status)
	case status == 401:
		wantPushError(t, res, 401, "invalid_client")
		sent := &http.Request{Header: http.Header{}}
		for _, f := range change {
			f(sent)
		}
		if used := sent.Header.Get("Authorization") != ""; used != (res.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate = %q", name, res.Header.Get("WWW-Authenticate"))
		}
	case status == 400:
		wantPushError(t, res, 400, "invalid_request")
	}
	return res
}

func wantDescription(t *testing.T, res harness.Response, want string) {
	t.Helper()
	if got := res.JSON(t)["error_description"]; got != want {
		t.Errorf("error_description = %v, want %s", got, want)
	}
}

func TestClientAuthentication(t *testing.T) {
	runRows(t, []row{
		{"24 each method proves its client, and its wrong credential does not", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			foreign := harness.NewSigner("ES256", "cj")
			for _, c := range []struct {
				name         string
				right, wrong url.Values
				by, not      []func(*http.Request)
			}{
				{"cb", harness.Form("client_id", "cb"), harness.Form("client_id", "cb"), []func(*http.Request){basic("cb", "cb-s3cret")}, []func(*http.Request){basic("cb", "x")}},
				{"cp", harness.Form("client_id", "cp", "client_secret", "cp-s3cret"), harness.Form("client_id", "cp", "client_secret", "x"), nil, nil},
				{"cj", asserted(keyCJ, "cj", d.URL), asserted(foreign, "cj", d.URL), nil, nil},
				{"ch", asserted(keyHS, "ch", d.URL), asserted(&harness.Signer{Algorithm: "HS256", Key: []byte(secretCH + "x")}, "ch", d.URL), nil, nil},
				{"ct", harness.Form("client_id", "ct"), harness.Form("client_id", "ct"), []func(*http.Request){d.with(d.issued(t, example))}, []func(*http.Request){d.with(selfSigned(t, keyCS, "ct"))}},
				{"cs", harness.Form("client_id", "cs"), harness.Form("client_id", "cs"), []func(*http.Request){d.with(selfSigned(t, keyCS, "x"))}, []func(*http.Request){d.with(selfSigned(t, keyCJ, "x"))}},
				{"pu", harness.Form("client_id", "pu"), harness.Form("client_id", "pu", "client_secret", "x"), nil, nil},
			} {
				d.want(t, c.name, 201, c.right, c.by...)
				wantDescription(t, d.want(t, "wrong "+c.name, 401, c.wrong, c.not...), "client authentication failed")
			}
		}},
		{"27 28 a secret by Basic is encoded, or is not", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			form := harness.Form("client_id", "odd")
			d.want(t, "encoded", 201, form, basic("odd", url.QueryEscape(secretOdd)))
			d.want(t, "as it stands", 201, form, basic("odd", secretOdd))
			d.want(t, "encoded twice", 401, form, basic("odd", url.QueryEscape(url.QueryEscape(secretOdd))))
		}},
		{"29 two methods at once are refused", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			twice := asserted(keyCJ, "any", d.URL)
			d.want(t, "Basic and an assertion", 400, twice, basic("any", "any-s3cret"))
			twice.Set("client_secret", "any-s3cret")
			d.want(t, "a secret and an assertion", 400, twice)
			d.want(t, "Basic and a secret", 400, harness.Form("client_id", "any", "client_secret", "any-s3cret"), basic("any", "any-s3cret"))
			right := d.with(d.issued(t, example))
			d.want(t, "a certificate and a secret", 201, harness.Form("client_id", "ct", "client_secret", "x"), right)
			d.want(t, "a wrong certificate and a secret", 401, harness.Form("client_id", "ct", "client_secret", "x"), d.with(selfSigned(t, keyCS, "ct")))
			d.want(t, "a certificate that is there for other reasons", 201, harness.Form("client_id", "cb"), right, basic("cb", "cb-s3cret"))
		}},
		{"30 31 client_id in the form is the assertion's, or is filled in", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			other := asserted(keyCJ, "cj", d.URL)
			other.Set("client_id", "cb")
			other.Set("response_type", "nonsense") // the other client's data are not looked at
			wantDescription(t, d.want(t, "another one", 400, other), "client_id in the form is not the client of the client_assertion")
			without := asserted(keyCJ, "cj", d.URL)
			without.Del("client_id")
			res := d.want(t, "none", 201, without)
			harness.NewBrowser(d.URL).Open(t, "cj", res.JSON(t)["request_uri"].(string))
			if got := d.Upstream.Last().Query().Get("client_id"); got != "cj" {
				t.Errorf("client_id = %q", got)
			}
		}},
		{"32 a method that is not registered is told, to the client alone", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			wantDescription(t, d.want(t, "cb in the form", 401, harness.Form("client_id", "cb", "client_secret", "cb-s3cret")),
				"client_secret_post was used, but this client is registered for client_secret_basic")
			wantDescription(t, d.want(t, "cs by assertion", 401, asserted(keyCS, "cs", d.URL)),
				"private_key_jwt was used, but this client is registered for self_signed_tls_client_auth")
			wantDescription(t, d.want(t, "cs by somebody's assertion", 401, asserted(keyCJ, "cs", d.URL)), "client authentication failed")
			for _, change := range [][]func(*http.Request){{basic("any", "any-s3cret")}, nil} {
				form := harness.Form("client_id", "any")
				if change == nil {
					form.Set("client_secret", "any-s3cret")
				}
				d.want(t, "any", 201, form, change...)
			}
			d.want(t, "any", 201, asserted(keyCJ, "any", d.URL))
		}},
		{"33 35 only a public client may come with nothing", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			for _, id := range []string{"cb", "cp", "cj", "ch", "ct", "cs", "any", "nobody"} {
				wantDescription(t, d.want(t, id, 401, harness.Form("client_id", id)), "client authentication failed")
			}
			d.want(t, "pu with Basic", 401, harness.Form("client_id", "pu"), basic("pu", ""))
			d.want(t, "pu with an assertion", 401, asserted(keyCJ, "pu", d.URL))
		}},
		{"36 an unknown client and a wrong credential look alike", func(t *testing.T) {
			hashed := strings.Replace(authClients, `"cb-s3cret"`, `"`+secretHash+`"`, 1)
			for _, clients := range []string{authClients, hashed} {
				d := newDesk(t, harness.Setup{Clients: clients})
				cert := d.with(selfSigned(t, harness.NewSigner("ES256", ""), "x"))
				foreign := harness.NewSigner("ES256", "cj")
				for way, send := range map[string]func(id string) (url.Values, []func(*http.Request)){
					"Basic": func(id string) (url.Values, []func(*http.Request)) {
						return harness.Form("client_id", id), []func(*http.Request){basic(id, "x")}
					},
					"form": func(id string) (url.Values, []func(*http.Request)) {
						return harness.Form("client_id", id, "client_secret", "x"), nil
					},
					"assertion": func(id string) (url.Values, []func(*http.Request)) { return asserted(foreign, id, d.URL), nil },
					"bad assertion": func(id string) (url.Values, []func(*http.Request)) {
						return asserted(foreign, id, d.URL, "exp", 1, "aud", "x"), nil
					},
					"MAC": func(id string) (url.Values, []func(*http.Request)) {
						return asserted(&harness.Signer{Algorithm: "HS256", Key: []byte("x")}, id, d.URL), nil
					},
					"certificate": func(id string) (url.Values, []func(*http.Request)) {
						return harness.Form("client_id", id), []func(*http.Request){cert}
					},
				} {
					form, change := send("nobody")
					unknown := outsideOf(d.want(t, way+" of nobody", 401, form, change...))
					for _, id := range []string{"cb", "cp", "cj", "ch", "ct", "cs"} {
						form, change := send(id)
						if got := outsideOf(d.want(t, way+" of "+id, 401, form, change...)); got != unknown {
							t.Errorf("%s of %s: %s, of nobody: %s", way, id, got, unknown)
						}
					}
				}
			}
		}},
		{"38 guessing is slowed down at its source, and not elsewhere", func(t *testing.T) {
			d := newDesk(t, harness.Setup{Options: func(o *proxy.Options) {
				o.Now = func() time.Time { return time.Unix(1e9, 0) }
				o.TrustedProxies = append(o.TrustedProxies, loopback)
			}})
			from := func(address string) func(*http.Request) { return setHeader("X-Forwarded-For", address) }
			form := harness.Form("client_id", "cb")
			for range 10 {
				d.want(t, "a guess", 401, form, basic("cb", "x"), from("192.0.2.1"))
			}
			d.want(t, "one too many", 429, form, basic("cb", "cb-s3cret"), from("192.0.2.1"))
			d.want(t, "from elsewhere", 201, form, basic("cb", "cb-s3cret"), from("192.0.2.2"))
		}},
		{"39 the type of an assertion is the one that exists", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			for _, kind := range []string{"", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", strings.ToUpper(harness.AssertionType)} {
				form := asserted(keyCJ, "cj", d.URL)
				form.Set("client_assertion_type", kind)
				wantDescription(t, d.want(t, kind, 401, form), "client_assertion_type must be "+harness.AssertionType)
			}
			form := asserted(keyCJ, "cj", d.URL)
			form.Del("client_assertion")
			wantDescription(t, d.want(t, "a type alone", 401, form), "client_assertion is missing")
		}},
		{"40 a certificate needs a client_id beside it", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			d.want(t, "none", 400, harness.Form("client_id", ""), d.with(d.issued(t, example)))
		}},
		{"41 tls_client_auth: the chain, the time and the name", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			stranger := newDesk(t, harness.Setup{})
			form := harness.Form("client_id", "ct")
			until := func(end time.Duration) func(*x509.Certificate) {
				return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(end) }
			}
			d.want(t, "right", 201, form, d.with(d.issued(t, example)))
			d.want(t, "right authority, wrong name", 401, form, d.with(d.issued(t, pkix.Name{CommonName: "ct"})))
			d.want(t, "right name, wrong authority", 401, form, d.with(stranger.issued(t, example)))
			d.want(t, "expired", 401, form, d.with(d.issued(t, example, until(-time.Minute))))
			d.want(t, "for servers", 401, form, d.with(d.issued(t, example, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })))
		}},
		{"42 self_signed_tls_client_auth: the key", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			form := harness.Form("client_id", "cs")
			d.want(t, "listed", 201, form, d.with(selfSigned(t, keyCS, "cs")))
			d.want(t, "another", 401, form, d.with(selfSigned(t, keyCJ, "cs")))
			d.want(t, "an authority's of the same name", 401, form, d.with(d.issued(t, pkix.Name{CommonName: "cs"})))
		}},
		{"a certificate that a browser presents for a page proves nothing", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			for _, origin := range []string{"https://evil.example", "null"} {
				res := pushOf(t, d.Gateway, harness.Form("client_id", "ct").Encode(), d.with(d.issued(t, example)), setHeader("Origin", origin))
				wantPushError(t, res, 401, "invalid_client")
			}
		}},
		{"44 45 46 48 51 claims and headers of an assertion", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			at := func(s int) int64 { return time.Now().Unix() + int64(s) }
			for _, c := range []struct {
				name   string
				status int
				form   url.Values
			}{
				{"iss is not sub", 401, asserted(keyCJ, "cj", d.URL, "iss", "cb")},
				{"no sub", 401, asserted(keyCJ, "cj", d.URL, "sub", nil)},
				{"no iss", 401, asserted(keyCJ, "cj", d.URL, "iss", nil)},
				{"exp five minutes ago", 401, asserted(keyCJ, "cj", d.URL, "exp", at(-300))},
				{"no exp", 401, asserted(keyCJ, "cj", d.URL, "exp", nil)},
				{"exp in a day", 401, asserted(keyCJ, "cj", d.URL, "exp", at(86400))},
				{"no jti", 401, asserted(keyCJ, "cj", d.URL, "jti", nil)},
				{"nbf in 8 s", 201, asserted(keyCJ, "cj", d.URL, "nbf", at(8), "iat", at(8))},
				{"nbf in 75 s", 401, asserted(keyCJ, "cj", d.URL, "nbf", at(75))},
				{"iat in 75 s", 401, asserted(keyCJ, "cj", d.URL, "iat", at(75))},
			} {
				d.want(t, c.name, c.status, c.form)
			}
			claims := func() map[string]any { return harness.Claims("cj", d.URL, time.Now()) }
			for _, c := range []struct {
				name      string
				status    int
				assertion string
			}{
				{"none", 401, strings.TrimRight(keyCJ.Sign(claims(), "alg", "none"), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")},
				{"the public key as a secret", 401, (&harness.Signer{Algorithm: "HS256", KeyID: "cj", Key: []byte(keyCJ.JWK())}).Sign(claims())},
				{"another algorithm", 401, (harness.NewSigner("PS256", "cj")).Sign(claims())},
				{"crit", 401, keyCJ.Sign(claims(), "crit", []string{"x"}, "x", true)},
				{"typ JWT", 201, keyCJ.Sign(claims(), "typ", "JWT")},
				{"its own typ", 201, keyCJ.Sign(claims(), "typ", "client-authentication+jwt")},
				{"a request object", 401, keyCJ.Sign(claims(), "typ", "oauth-authz-req+jwt")},
				{"a DPoP proof", 401, keyCJ.Sign(claims(), "typ", "dpop+jwt")},
				{"an access token", 401, keyCJ.Sign(claims(), "typ", "at+jwt")},
				{"a logout token", 401, keyCJ.Sign(claims(), "typ", "logout+jwt")},
			} {
				d.want(t, c.name, c.status, harness.Assert(harness.Form("client_id", "cj"), c.assertion))
			}
		}},
		{"47 an assertion is used once", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			form := asserted(keyCJ, "cj", d.URL)
			d.want(t, "first", 201, form)
			wantDescription(t, d.want(t, "again", 401, form), "client_assertion was used before; make one for each request, with a jti of its own")
		}},
		{"49 a key that was rotated is found with one fetch", func(t *testing.T) {
			var fetches atomic.Int64
			var keys atomic.Value
			keys.Store(harness.KeySet(keyCJ))
			publisher := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fetches.Add(1)
				io.WriteString(w, keys.Load().(string))
			}))
			t.Cleanup(publisher.Close)
			roots := x509.NewCertPool()
			roots.AddCert(publisher.Certificate())
			clock := newClock()
			d := newDesk(t, harness.Setup{
				Clients: `[{"client_id": "cj", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "` + publisher.URL + `"}]`,
				Options: func(o *proxy.Options) { o.AllowPrivateKeySets, o.KeySetRoots, o.Now = true, roots, clock.Now },
			})
			form := func(s *harness.Signer) url.Values {
				return harness.Assert(harness.Form("client_id", "cj"), s.Sign(harness.Claims("cj", d.URL, clock.Now())))
			}
			d.want(t, "the first key", 201, form(keyCJ))
			rotated := harness.NewSigner("ES256", "next")
			keys.Store(harness.KeySet(rotated))
			clock.advance(2 * time.Second)
			d.want(t, "the next key", 201, form(rotated))
			d.want(t, "the first key", 401, form(keyCJ))
			for i := range 200 {
				d.want(t, "a made-up key", 401, form(&harness.Signer{Algorithm: "ES256", KeyID: fmt.Sprint(i), Key: keyCJ.Key}))
			}
			if n := fetches.Load(); n != 2 {
				t.Errorf("%d fetches", n)
			}
		}},
		{"50 a key set on an address of ours is not fetched", func(t *testing.T) {
			var reached atomic.Int64
			inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
			t.Cleanup(inside.Close)
			roots := x509.NewCertPool()
			roots.AddCert(inside.Certificate())
			for _, uri := range []string{inside.URL, "https://169.254.169.254/", "https://[::1]/", "https://10.0.0.1/", strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)} {
				d := newDesk(t, harness.Setup{
					Clients: `[{"client_id": "cj", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "` + uri + `"}]`,
					Options: func(o *proxy.Options) { o.KeySetRoots = roots },
				})
				start := time.Now()
				d.want(t, uri, 401, asserted(keyCJ, "cj", d.URL))
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("%s: %v", uri, took)
				}
			}
			if reached.Load() > 0 {
				t.Error("it was reached")
			}
		}},
		{"52 credentials are no part of the request, and in no log", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			jti := "c4nary-" + rand.Text()
			form := asserted(keyCJ, "cj", d.URL, "jti", jti)
			uri := d.want(t, "right", 201, form).JSON(t)["request_uri"].(string)
			harness.NewBrowser(d.URL).Open(t, "cj", uri)
			d.want(t, "again", 401, form)
			bad := asserted(keyCJ, "cj", "https://c4nary.example", "jti", jti)
			d.want(t, "wrong", 401, bad)
			d.want(t, "wrong kid", 401, harness.Assert(harness.Form("client_id", "cj"), keyCJ.Sign(harness.Claims("cj", d.URL, time.Now()), "kid", jti)))
			d.want(t, "wrong secret", 401, harness.Form("client_id", "cp", "client_secret", jti))
			d.want(t, "right secret", 201, harness.Form("client_id", "cp", "client_secret", "cp-s3cret"))
			seen := d.Upstream.Raw()
			for _, entry := range d.Logs.All() {
				fields, _ := json.Marshal(entry.ContextMap())
				seen += entry.Message + string(fields)
			}
			for _, canary := range []string{"c4nary", "client_assertion=", "client-assertion-type", "cp-s3cret", form.Get("client_assertion")[:40], strings.Split(form.Get("client_assertion"), ".")[2]} {
				if strings.Contains(seen, canary) {
					t.Errorf("%s was forwarded or logged", canary)
				}
			}
			if !strings.Contains(seen, `"audience":"issuer"`) || !strings.Contains(seen, `"audience":"other"`) {
				t.Error("the log does not know which audiences are in use")
			}
		}},
		{"54 rfc9126: the issuer, the token endpoint and the push endpoint are audiences", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			for _, aud := range []any{d.URL, d.URL + "/token", d.URL + "/par", []string{d.URL + "/par"}, []string{"https://x.example", d.URL}} {
				d.want(t, fmt.Sprint(aud), 201, asserted(keyCJ, "cj", d.URL, "aud", aud))
			}
			for _, aud := range []any{d.URL + "/authorize", d.URL + "/", "https://other.example", d.Upstream.URL, d.Upstream.URL + "/token", []string{}} {
				d.want(t, fmt.Sprint(aud), 401, asserted(keyCJ, "cj", d.URL, "aud", aud))
			}
			res := d.want(t, "another", 401, asserted(keyCJ, "cj", "https://other.example"))
			wantDescription(t, res, fmt.Sprintf("client_assertion has another aud; use %s or %s/token or %s/par", d.URL, d.URL, d.URL))
		}},
		{"54 without metadata the token endpoint is the setting's", func(t *testing.T) {
			var origin string
			d := newDesk(t, harness.Setup{
				Upstream: func(r *upstream.Recorder) { origin, r.Metadata = r.Issuer, map[string]string{} },
				Options: func(o *proxy.Options) {
					o.Issuer.PublicURL, o.Issuer.AuthorizePaths, o.Issuer.TokenPath = mustParse(origin), []string{"/authorize"}, "/oauth/token"
				},
			})
			d.want(t, "the setting's", 201, asserted(keyCJ, "cj", d.URL+"/oauth/token"))
			d.want(t, "another", 401, asserted(keyCJ, "cj", d.URL+"/token"))
		}},
		{"55 issuer: exactly the issuer, as one string", func(t *testing.T) {
			d := newDesk(t, harness.Setup{Options: func(o *proxy.Options) { o.Audience = client.AudienceIssuer }})
			d.want(t, "the issuer", 201, asserted(keyCJ, "cj", d.URL))
			for _, aud := range []any{d.URL + "/token", d.URL + "/par", []string{d.URL, "x"}, []string{d.URL}, d.URL + "/"} {
				wantDescription(t, d.want(t, fmt.Sprint(aud), 401, asserted(keyCJ, "cj", d.URL, "aud", aud)), "client_assertion has another aud; use "+d.URL+", as one string")
			}
		}},
		{"56 a client may have a policy of its own", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			d.want(t, "strict", 401, asserted(keyCJ, "strict", d.URL+"/token"))
			d.want(t, "not strict", 201, asserted(keyCJ, "cj", d.URL+"/token"))
			strict := newDesk(t, harness.Setup{Options: func(o *proxy.Options) { o.Audience = client.AudienceIssuer }})
			strict.want(t, "lax", 201, asserted(keyCJ, "lax", strict.URL+"/par"))
			strict.want(t, "not lax", 401, asserted(keyCJ, "cj", strict.URL+"/par"))
		}},
		{"57 an audience is never taken from Host", func(t *testing.T) {
			d := newDesk(t, harness.Setup{})
			evil := func(r *http.Request) { r.Host = "evil.example" }
			d.want(t, "Host", 401, asserted(keyCJ, "cj", "https://evil.example/par"), evil, setHeader("X-Forwarded-Host", "evil.example"))
			d.want(t, "Host", 401, asserted(keyCJ, "cj", "http://evil.example"), evil)
		}},
		{"a key that is taken out of the client file is worth nothing at once", func(t *testing.T) {
			registry, replace := harness.RegistryFile(t, authClients)
			d := newDesk(t, harness.Setup{Options: func(o *proxy.Options) { o.Clients = registry }})
			d.want(t, "before", 201, asserted(keyCJ, "cj", d.URL))
			replace(strings.ReplaceAll(authClients, harness.KeySet(keyCJ), harness.KeySet(keyCS)))
			d.want(t, "the old key", 401, asserted(keyCJ, "cj", d.URL))
			d.want(t, "the new key", 201, asserted(keyCS, "cj", d.URL))
		}},
	})
}

// outsideOf is what a caller sees of a response, but for its reference and its time.
func outsideOf(res harness.Response) string {
	header := res.Header.Clone()
	header.Del("X-Request-Id")
	header.Del("Date")
	return fmt.Sprint(res.Status, header, res.Body)
}

func TestAnAssertionIsUsedOnceAtAllGateways(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	a := harness.Start(t, harness.Setup{Clients: authClients, Store: replicaStore(t, server)})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := harness.InFrontOf(t, listener, a.Upstream.URL, harness.Setup{Clients: authClients, Store: replicaStore(t, server)})
	form := asserted(keyCJ, "cj", a.URL).Encode()
	if res := pushOf(t, a, form); res.Status != 201 {
		t.Fatalf("first: %d %s", res.Status, res.Body)
	}
	wantPushError(t, pushOf(t, b, form), 401, "invalid_client")
	wantPushError(t, pushOf(t, a, form), 401, "invalid_client")

	// At both at once it is taken by one.
	for range 20 {
		form := asserted(keyCJ, "cj", a.URL).Encode()
		var taken atomic.Int64
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				if pushOf(t, []*harness.Gateway{a, b}[i%2], form).Status == 201 {
					taken.Add(1)
				}
			})
		}
		wait.Wait()
		if n := taken.Load(); n != 1 {
			t.Errorf("one assertion was taken %d times", n)
		}
	}
	server.Stop()
	wantPushError(t, pushOf(t, a, asserted(keyCJ, "cj", a.URL).Encode()), 503, "temporarily_unavailable")
	wantPushError(t, pushOf(t, a, asserted(harness.NewSigner("ES256", "cj"), "cj", a.URL).Encode()), 401, "invalid_client")
}

func TestGuessesAreSlowedWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}})
	push := func(id, secret, address string) harness.Response {
		return pushOf(t, g, harness.Form("client_id", id).Encode(), basic(id, secret), setHeader("X-Forwarded-For", address))
	}
	for _, id := range []string{"web", "nobody"} {
		var last harness.Response
		for n := range 50 {
			if last = push(id, fmt.Sprint("guess", n), "192.0.2.1"); n < 10 && last.Status != 401 {
				t.Errorf("%s, guess %d: %d", id, n, last.Status)
			}
		}
		if last.Status != 429 || last.Header.Get("Retry-After") == "" {
			t.Errorf("%s, after 50 guesses: %d %v", id, last.Status, last.Header)
		}
	}
	if res := push("web", "s3cret", "192.0.2.1"); res.Status != 429 {
		t.Errorf("the right secret behind the guesses: %d", res.Status)
	}
	if res := push("web", "s3cret", "192.0.2.2"); res.Status != 201 {
		t.Errorf("the right secret from elsewhere: %d %s", res.Status, res.Body)
	}
}
