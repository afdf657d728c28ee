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
	"net/http/httptest"
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
