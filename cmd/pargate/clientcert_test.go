package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// issued is a client's certificate, and the authority that has issued it.
type issued struct {
	tls.Certificate
	authority string // PEM
}

// issue makes an authority and a client's certificate with that common name; selfSigned leaves the authority out.
func issue(t *testing.T, name string, selfSigned bool) issued {
	t.Helper()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients' authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	rootKey, key := newKey(t), newKey(t)
	by, byKey := root, rootKey
	if selfSigned {
		by, byKey = leaf, key
	}
	encode := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return issued{
		Certificate: tls.Certificate{Certificate: [][]byte{sign(t, leaf, by, key, byKey)}, PrivateKey: key},
		authority:   encode(sign(t, root, root, rootKey, rootKey)),
	}
}

// jwk is the certificate's public key as a JSON Web Key.
func (i issued) jwk(t *testing.T) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(i.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256",%s}`, coordinates(t, leaf))
}

func coordinates(t *testing.T, leaf *x509.Certificate) string {
	t.Helper()
	der := leaf.RawSubjectPublicKeyInfo
	point := der[len(der)-64:] // of a P-256 key, X and Y stand at the end
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`"x":%q,"y":%q`, encode(point[:32]), encode(point[32:]))
}

// clientsWithCertificates is a client file with one client for each method.
func clientsWithCertificates(t *testing.T, own issued) string {
	return writeFile(t, `[
		{"client_id": "chain", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=chain", "redirect_uris": ["https://app.example/cb"]},
		{"client_id": "own", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [`+own.jwk(t)+`]}, "redirect_uris": ["https://app.example/cb"]}
	]`)
}

func TestAClientProvesItselfByItsCertificate(t *testing.T) {
	t.Parallel()
	server := newAuthority(t)
	chain, own, stranger, namesake := issue(t, "chain", false), issue(t, "own", true), issue(t, "stranger", true), issue(t, "chain", false)
	environ, replace := keyFiles(t)
	replace(server.server)
	up := upstream.New(t)
	s := start(t, append(environ, "UPSTREAM_URL="+up.URL, "TLS_CLIENT_CA_FILE="+writeFile(t, chain.authority), "CLIENTS_FILE="+clientsWithCertificates(t, own))...)
	public := strings.Replace(s.public, "http://", "https://", 1)
	up.SetIssuer(public)
	s.waitReady(t)
	push := func(id string, certificate *issued, change ...func(*http.Request)) int {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(server.pem))
		config := &tls.Config{RootCAs: roots}
		if certificate != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate.Certificate, nil }
		}
		transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
		req, _ := http.NewRequest(http.MethodPost, public+"/par", strings.NewReader(harness.Form("client_id", id).Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, f := range change {
			f(req)
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for what, test := range map[string]struct {
		got, want int
	}{
		"the authority's certificate":           {push("chain", &chain), 201},
		"the client's own certificate":          {push("own", &own), 201},
		"another client's":                      {push("own", &chain), 401},
		"one that somebody has signed":          {push("own", &stranger), 401},
		"the name, from another authority":      {push("chain", &namesake), 401},
		"none":                                  {push("chain", nil), 401},
		"none, of its own":                      {push("own", nil), 401},
		"a header that nobody is believed with": {push("chain", nil, func(r *http.Request) { r.Header.Set("Client-Cert", inRFC9440(chain)) }), 401},
		"a browser sent by another site":        {push("chain", &chain, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }), 401},
		"the same without its origin":           {push("chain", &chain, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), 401},
	} {
		if test.got != test.want {
			t.Errorf("%s: %d, want %d", what, test.got, test.want)
		}
	}
}

func inRFC9440(c issued) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate.Certificate[0]) + ":"
}

func inPEM(c issued) string {
	return url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate.Certificate[0]})))
}

func TestCertificatesAreHandedOnByTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	chain, own := issue(t, "chain", false), issue(t, "own", true)
	up := upstream.New(t)
	environ := []string{"UPSTREAM_URL=" + up.URL, "TLS_CLIENT_CA_FILE=" + writeFile(t, chain.authority), "CLIENTS_FILE=" + clientsWithCertificates(t, own)}
	for _, header := range []string{"Client-Cert", "X-SSL-Cert"} {
		for proxies, believed := range map[string]bool{"127.0.0.1": true, "192.0.2.1": false} {
			s := start(t, append(environ, "CLIENT_CERT_HEADER="+header, "TRUSTED_PROXIES="+proxies, "PUBLIC_URL=http://127.0.0.1:1")...)
			up.SetIssuer("http://127.0.0.1:1")
			s.waitReady(t)
			push := func(id string, values ...string) int {
				return harness.NewBrowser(s.public).Post(t, "/par", harness.Form("client_id", id).Encode(), func(r *http.Request) { r.Header[header] = values }).Status
			}
			for what, test := range map[string]struct {
				got  int
				good bool
			}{
				"RFC 9440": {push("chain", inRFC9440(chain)), true}, "PEM": {push("chain", inPEM(chain)), true}, "of its own": {push("own", inPEM(own)), true},
				"another's": {push("own", inPEM(chain)), false}, "twice": {push("chain", inPEM(chain), inPEM(chain)), false}, "garbage": {push("chain", "%%"), false},
				"half a sequence": {push("chain", ":"+inRFC9440(chain)[1:20]), false}, "empty": {push("chain", ""), false}, "none": {push("chain"), false},
			} {
				want := 401
				if test.good && believed {
					want = 201
				}
				if test.got != want {
					t.Errorf("%s from %s, %s: %d, want %d", header, proxies, what, test.got, want)
				}
			}
			if _, _, err := get(t.Context(), s.public+"/page"); err != nil {
				t.Fatal(err)
			}
			harness.NewBrowser(s.public).Get(t, "/page", func(r *http.Request) { r.Header[header] = []string{inPEM(chain)} })
			for name := range up.Last().Header {
				if strings.EqualFold(name, header) {
					t.Errorf("%s reached the upstream", name)
				}
			}
		}
	}
}

func TestMethodsWithCertificatesNeedTheirSettings(t *testing.T) {
	t.Parallel()
	file := "CLIENTS_FILE=" + clientsWithCertificates(t, issue(t, "own", true))
	code, _, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", file}, "check")
	if code != exitConfig || !matchLines(stderr, ".*tls_client_auth.* needs TLS_CLIENT_CA_FILE", ".*self_signed_tls_client_auth.* needs TLS_CLIENT_CA_FILE") {
		t.Errorf("%d %s", code, stderr)
	}
}
