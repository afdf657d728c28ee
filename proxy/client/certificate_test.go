package client_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy/client"
	"pargate/test/harness"
)

// authority issues certificates for clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func sign(template, parent *x509.Certificate, key crypto.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func newAuthority(name string) *authority {
	a := &authority{key: newKey()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert = sign(template, template, a.key.Public(), a.key)
	return a
}

// intermediate returns an authority that a has issued a certificate to.
func (a *authority) intermediate() *authority {
	b := &authority{key: newKey()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	b.cert = sign(template, a.cert, b.key.Public(), a.key)
	return b
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for a client, with the named change.
func (a *authority) issue(subject pkix.Name, change ...func(*x509.Certificate)) *client.Certificate {
	template := &x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, f := range change {
		f(template)
	}
	return &client.Certificate{Leaf: sign(template, a.cert, newKey().Public(), a.key)}
}

// selfSigned makes a certificate of the signer's key.
func selfSigned(s *harness.Signer) *client.Certificate {
	key := s.Key.(*ecdsa.PrivateKey)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "web"}}
	return &client.Certificate{Leaf: sign(template, template, key.Public(), key)}
}

var web = pkix.Name{CommonName: "web", Organization: []string{"Example, Inc."}, Country: []string{"DE"}}

// present authenticates a client that has only its certificate and name.
func present(t testing.TB, a *client.Authenticator, id string, cert *client.Certificate) (*client.Client, error) {
	t.Helper()
	return a.Authenticate(t.Context(), client.Credentials{Method: client.MethodNone, ClientID: id, Certificate: cert}, server)
}

func TestACertificateOfAnAuthorityProvesItsSubject(t *testing.T) {
	t.Parallel()
	ca, otherCA := newAuthority("ca"), newAuthority("other")
	r := load(t, `[
		{"client_id": "web", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=web,O=Example\\, Inc.,C=DE"},
		{"client_id": "public", "token_endpoint_auth_method": "none"},
		{"client_id": "basic", "client_secret": "s"}
	]`)
	a := authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool })
	usage := func(usage ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = usage }
	}
	validity := func(from, until time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(from), now.Add(until) }
	}
	between := ca.intermediate()
	chained := between.issue(web)
	chained.Intermediates = []*x509.Certificate{between.cert}
	const missing = "400 invalid_request client_id is missing; a certificate does not name its client"
	for _, test := range []struct {
		name, client string
		cert         *client.Certificate
		want         string
	}{
		{"the right one", "web", ca.issue(web), ""},
		{"of an intermediate", "web", chained, ""},
		{"without a usage", "web", ca.issue(web, usage()), ""},
		{"of an intermediate that is not sent", "web", between.issue(web), authFailed},
		{"another authority", "web", otherCA.issue(web), authFailed},
		{"self-signed", "web", selfSigned(es256), authFailed},
		{"another name", "web", ca.issue(pkix.Name{CommonName: "web"}), authFailed},
		{"for servers", "web", ca.issue(web, usage(x509.ExtKeyUsageServerAuth)), authFailed},
		{"expired", "web", ca.issue(web, validity(-2*time.Hour, -time.Second)), authFailed},
		{"not valid yet", "web", ca.issue(web, validity(time.Second, time.Hour)), authFailed},
		{"nobody", "nobody", ca.issue(web), authFailed},
		{"no name", "", ca.issue(web), missing},
		{"none", "web", nil, authFailed},
		{"a client with a secret", "basic", ca.issue(web), authFailed},
		{"a public client, where it is there for other reasons", "public", ca.issue(web), ""},
	} {
		c, err := present(t, a, test.client, test.cert)
		if got := told(err); got != test.want || (c != nil) != (test.want == "") {
			t.Errorf("%s: %s, want %q", test.name, got, test.want)
		}
	}
	if _, err := present(t, authenticator(t, r, atNow), "web", ca.issue(web)); told(err) != authFailed {
		t.Errorf("without authorities: %v", err)
	}
}

// RFC 4514 has many ways to write a name, and a certificate one.
func TestASubjectIsComparedAttributeByAttribute(t *testing.T) {
	t.Parallel()
	ca := newAuthority("ca")
	cert := ca.issue(pkix.Name{CommonName: "web ü+", Organization: []string{" Example, \"Inc.\" #1 "}, OrganizationalUnit: []string{"#x"}, Country: []string{"DE"},
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: "example"}}})
	for dn, want := range map[string]bool{
		`DC=example,CN=web ü\+,OU=\#x,O=\20Example\, \"Inc.\" #1\ ,C=DE`:                                    true,
		`dc=example , cn=web \c3\BC\2b, ou=\#x,O=\ Example\2c \22Inc.\22 \231\20,2.5.4.6=DE`:                true,
		`0.9.2342.19200300.100.1.25=example,2.5.4.3=web ü\+,OU=\#x,O=\ Example\, \"Inc.\" #1\ ,C=#13024445`: true,
		`C=DE,O=\ Example\, \"Inc.\" #1\ ,OU=\#x,CN=web ü\+,DC=example`:                                     false, // OpenSSL's order
		`CN=web ü\+,OU=\#x,O=\ Example\, \"Inc.\" #1\ ,C=DE`:                                                false,
		`DC=example,CN=web ü\+,OU=\#x,O=Example\, \"Inc.\" #1,C=DE`:                                         false,
		`DC=example,CN=WEB ü\+,OU=\#x,O=\ Example\, \"Inc.\" #1\ ,C=DE`:                                     false,
		`DC=example,CN=web ü\++OU=\#x,O=\ Example\, \"Inc.\" #1\ ,C=DE`:                                     false,
		`DC=example,CN=web ü\+,OU=\#x,O=\ Example\, \"Inc.\" #1\ ,C=#0c024445`:                              false, // UTF8String, not PrintableString
	} {
		r := load(t, `[{"client_id": "a", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": `+quoteJSON(dn)+`}]`)
		_, err := present(t, authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool }), "a", cert)
		if got := err == nil; got != want {
			t.Errorf("%s: %t, want %t", dn, got, want)
		}
	}
}

func TestAttributesOfOneSetHaveNoOrder(t *testing.T) {
	t.Parallel()
	ca := newAuthority("ca")
	one := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "web"}
	two := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "unit"}
	raw, err := asn1.Marshal(pkix.RDNSequence{{one, two}})
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.issue(pkix.Name{}, func(c *x509.Certificate) { c.RawSubject = raw })
	for dn, want := range map[string]bool{"CN=web+OU=unit": true, "OU=unit+CN=web": true, "CN=web,OU=unit": false, "CN=web": false, "CN=web+CN=web": false, "CN=web+OU=unit+OU=unit": false} {
		r := load(t, `[{"client_id": "a", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "`+dn+`"}]`)
		_, err := present(t, authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool }), "a", cert)
		if got := err == nil; got != want {
			t.Errorf("%s: %t, want %t", dn, got, want)
		}
	}
}

func TestANameThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, dn := range []string{"", " ", "CN", "CN=", "=web", "CN=web,", ",CN=web", "CN=web+", "CN=a;b", `CN=a"b`, `CN=a\`, `CN=a\z`, `CN=\zz`, "CN=#", "CN=#0", "CN=#zz",
		`CN=\ff`, "1..2=x=y,", "CN=<web>", "C N=x"} {
		path := t.TempDir() + "/clients.json"
		write(t, path, `[{"client_id": "a", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": `+quoteJSON(dn)+`}]`)
		if _, err := client.Load(path); err == nil {
			t.Errorf("%q is taken", dn)
		}
	}
}

func quoteJSON(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func TestAnAlternativeNameProvesItsClient(t *testing.T) {
	t.Parallel()
	ca := newAuthority("ca")
	uri, err := url.Parse("spiffe://example/web?x=%2F")
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.issue(web, func(c *x509.Certificate) {
		c.DNSNames, c.URIs = []string{"other.example", "web.example", "*.wild.example"}, []*url.URL{uri}
		c.IPAddresses, c.EmailAddresses = []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::7")}, []string{"Web@example.com"}
	})
	for _, test := range []struct {
		member, value string
		want          bool
	}{
		{"san_dns", "web.example", true}, {"san_dns", "WEB.example", true}, {"san_dns", "example", false}, {"san_dns", "a.wild.example", false}, {"san_dns", "web", false},
		{"san_uri", "spiffe://example/web?x=%2F", true}, {"san_uri", "spiffe://example/web?x=/", false}, {"san_uri", "spiffe://example/", false},
		{"san_ip", "192.0.2.7", true}, {"san_ip", "::ffff:192.0.2.7", true}, {"san_ip", "2001:db8:0::7", true}, {"san_ip", "192.0.2.8", false},
		{"san_email", "Web@example.com", true}, {"san_email", "Web@EXAMPLE.com", true}, {"san_email", "web@example.com", false},
		{"subject_dn", "CN=web.example", false}, {"san_dns", "Web@example.com", false},
	} {
		r := load(t, `[{"client_id": "a", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_`+test.member+`": "`+test.value+`"}]`)
		_, err := present(t, authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool }), "a", cert)
		if got := err == nil; got != test.want {
			t.Errorf("%s %s: %v, want %t", test.member, test.value, err, test.want)
		}
	}
}

func TestASelfSignedCertificateIsKnownByItsKey(t *testing.T) {
	t.Parallel()
	ca := newAuthority("ca")
	r := load(t, `[{"client_id": "web", "token_endpoint_auth_method": "self_signed_tls_client_auth", `+keys(rs256.JWK(), es256.JWK())+`},
		{"client_id": "either", "token_endpoint_auth_method": ["self_signed_tls_client_auth", "tls_client_auth"], "tls_client_auth_san_dns": "web.example", `+keys(es256.JWK())+`},
		{"client_id": "cert", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=web"}]`)
	a := authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool })
	issued := ca.issue(pkix.Name{CommonName: "web"}, func(c *x509.Certificate) { c.DNSNames = []string{"web.example"} })
	for _, test := range []struct {
		name, client string
		cert         *client.Certificate
		right        bool
	}{
		{"the listed key", "web", selfSigned(es256), true},
		{"another certificate of that key", "web", selfSigned(es256), true},
		{"another key", "web", selfSigned(other), false},
		{"an authority's certificate of the same name", "web", issued, false},
		{"either: the key", "either", selfSigned(es256), true},
		{"either: the name", "either", issued, true},
		{"either: neither", "either", selfSigned(other), false},
		{"a key where a chain is wanted", "cert", selfSigned(es256), false},
	} {
		if _, err := present(t, a, test.client, test.cert); (err == nil) != test.right {
			t.Errorf("%s: %v, want %t", test.name, err, test.right)
		}
	}
}

// A certificate that is there decides where the client is registered for it, and not for what else was sent.
func TestBesideASecretTheCertificateDecides(t *testing.T) {
	t.Parallel()
	ca := newAuthority("ca")
	r := load(t, `[{"client_id": "cert", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "web.example"},
		{"client_id": "either", "client_secret": "s", "token_endpoint_auth_method": ["client_secret_basic", "tls_client_auth"], "tls_client_auth_san_dns": "web.example"},
		{"client_id": "basic", "client_secret": "s"}]`)
	a := authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool })
	right := ca.issue(web, func(c *x509.Certificate) { c.DNSNames = []string{"web.example"} })
	for _, test := range []struct {
		name, client, secret string
		cert                 *client.Certificate
		right                bool
	}{
		{"only the certificate is registered", "cert", "x", right, true},
		{"only the certificate is registered, and it is wrong", "cert", "x", ca.issue(web), false},
		{"only the secret is registered", "basic", "s", right, true},
		{"only the secret is registered, and it is wrong", "basic", "x", right, false},
		{"the secret, of both", "either", "s", right, true},
		{"a wrong secret, of both", "either", "x", right, false},
		{"a wrong certificate, of both", "either", "s", ca.issue(web), true},
	} {
		cred, _, err := client.Read(http.Header{"Authorization": {basic(test.client, test.secret)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		cred.Certificate = test.cert
		if _, err := a.Authenticate(t.Context(), cred, server); (err == nil) != test.right {
			t.Errorf("%s: %v, want %t", test.name, err, test.right)
		}
	}
}

func TestAnUnknownClientCostsAChain(t *testing.T) {
	t.Parallel()
	ca := newAuthority("ca")
	r := load(t, `[{"client_id": "cert", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "web.example"},
		{"client_id": "self", "token_endpoint_auth_method": "self_signed_tls_client_auth", `+keys(es256.JWK())+`}, {"client_id": "basic", "client_secret": "s"}]`)
	for _, id := range []string{"cert", "self", "basic", "nobody"} {
		a := authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool })
		chains := 0
		a.CountWork(func(what string) {
			if what == "chain" {
				chains++
			}
		})
		_, err := present(t, a, id, ca.issue(web))
		if told(err) != authFailed || chains != 1 {
			t.Errorf("%s: %d chains, %v", id, chains, err)
		}
	}
}

// The property: a name that is read is the subject of a certificate with exactly its attributes, however it is written;
// nothing makes the reader panic.
func FuzzSubject(f *testing.F) {
	ca := newAuthority("ca")
	cert := ca.issue(web)
	right := cert.Leaf.Subject.ToRDNSequence().String()
	f.Add(right)
	f.Add(`CN=web,O=Example\2c Inc.,C=#13024445`)
	f.Add(`2.5.4.3=web + OU=a\ , C=\#`)
	f.Fuzz(func(t *testing.T, dn string) {
		if strings.ContainsFunc(dn, func(r rune) bool { return r < ' ' || r == 0xfffd }) {
			return
		}
		path := t.TempDir() + "/clients.json"
		write(t, path, `[{"client_id": "a", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": `+quoteJSON(dn)+`}]`)
		r, err := client.Load(path)
		if dn == right && err != nil {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		if _, err := present(t, authenticator(t, r, atNow, func(o *client.Options) { o.Roots = ca.pool }), "a", cert); err == nil &&
			(!strings.Contains(strings.ToLower(dn), "we") && !strings.Contains(dn, `\`) && !strings.Contains(dn, "#")) {
			t.Errorf("%q is taken for %s", dn, right)
		}
	})
}
