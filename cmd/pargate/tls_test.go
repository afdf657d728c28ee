package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// authority is a certificate authority of the test's own, with the certificate of a server on 127.0.0.1.
type authority struct {
	pem    string
	server tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the test's own authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "upstream"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootKey, leafKey := newKey(t), newKey(t)
	rootDER := sign(t, root, root, rootKey, rootKey)
	return authority{
		pem:    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})),
		server: tls.Certificate{Certificate: [][]byte{sign(t, leaf, root, leafKey, rootKey)}, PrivateKey: leafKey},
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) (der []byte) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// upstreamWithTLS serves the stand-in with a certificate of the authority's.
func upstreamWithTLS(t *testing.T, a authority) (*upstream.Recorder, string) {
	t.Helper()
	up := &upstream.Recorder{Authorize: "/authorize"}
	server := httptest.NewUnstartedServer(up)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.server}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail here on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	return up, server.URL
}

func TestTheUpstreamsCertificateIsVerified(t *testing.T) {
	t.Parallel()
	own, other := newAuthority(t), newAuthority(t)
	up, address := upstreamWithTLS(t, own)
	file := "UPSTREAM_CA_FILE=" + writeFile(t, other.pem+own.pem)
	trusting := start(t, "UPSTREAM_URL="+address, file)
	up.SetIssuer(trusting.public)
	trusting.waitReady(t)
	if status, body := getText(t, trusting.public+"/page"); status != 200 || body != "GET /page" {
		t.Errorf("with the authority in the file: %d %s", status, body)
	}
	for name, environ := range map[string][]string{
		"without the file":       {"UPSTREAM_URL=" + address},
		"with another authority": {"UPSTREAM_URL=" + address, "UPSTREAM_CA_FILE=" + writeFile(t, other.pem)},
	} {
		s := start(t, environ...)
		harness.WaitFor(t, "the reason", func() bool {
			status, body := getText(t, s.admin+"/readyz")
			return status == 503 && strings.Contains(body, "certificate")
		})
		if status, body := getText(t, s.public+"/page"); status != 502 {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if code, stdout, _ := call(t, environ, "check", "--connect"); code != exitFailure || !matchLines(stdout, "^fail  upstream: .*certificate") {
			t.Errorf("%s: check --connect: %d %s", name, code, stdout)
		}
	}
}

// keyFiles writes a certificate and its key, and returns what writes others in their place.
func keyFiles(t *testing.T) (environ []string, replace func(tls.Certificate)) {
	t.Helper()
	cert, key := writeFile(t, ""), writeFile(t, "")
	replace = func(pair tls.Certificate) {
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []string{"TLS_CERT_FILE=" + cert, "TLS_KEY_FILE=" + key}, replace
}

func TestTheListenersCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	first, second := newAuthority(t), newAuthority(t)
	environ, replace := keyFiles(t)
	replace(first.server)
	up := upstream.New(t)
	s := start(t, append(environ, "UPSTREAM_URL="+up.URL)...)
	public := strings.Replace(s.public, "http://", "https://", 1)
	up.SetIssuer(public)
	s.waitReady(t)

	get := func(trusted authority, change func(*tls.Config)) (*http.Response, error) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(trusted.pem))
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		if change != nil {
			change(transport.TLSClientConfig)
		}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get(public + "/page")
		if err == nil {
			res.Body.Close()
		}
		return res, err
	}
	res, err := get(first, nil)
	if err != nil || res.StatusCode != 200 || res.ProtoMajor != 2 {
		t.Fatalf("%v %v", res, err)
	}
	if _, err := get(first, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11; c.MinVersion = tls.VersionTLS10 }); err == nil {
		t.Error("TLS 1.1 is served")
	}
	if status, _ := getText(t, s.public+"/page"); status != 400 {
		t.Errorf("plain HTTP: %d", status)
	}

	broken := first.server
	broken.PrivateKey = newKey(t)
	replace(broken)
	const refused = "certificate refused; the one read before stays"
	harness.WaitFor(t, "the refusal", func() bool { return s.logs.field(refused, "error") != "" })
	if _, err := get(first, nil); err != nil {
		t.Errorf("after a broken pair: %v", err)
	}
	replace(second.server)
	harness.WaitFor(t, "the new certificate", func() bool { _, err := get(second, nil); return err == nil })
}

func TestABrokenCertificateIsToldAtStart(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "no PEM")
	code, _, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", "TLS_CERT_FILE=" + file, "TLS_KEY_FILE=" + file}, "check")
	if code != exitConfig || !matchLines(stderr, "TLS_CERT_FILE: .*failed to find any PEM data") {
		t.Errorf("%d %s", code, stderr)
	}
}
