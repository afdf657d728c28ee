package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"pargate/test/harness"
)

var (
	clientName = pkix.Name{CommonName: "tls", Organization: []string{"Example, Inc."}}
	serverName = pkix.Name{CommonName: "gateway"}
)

// certificate is a certificate with its key, and the authority that the other side is expected to have; all in PEM.
type certificate struct {
	CA   string `json:"ca"`
	Cert string `json:"cert,omitempty"` // empty: none is shown
	Key  string `json:"key,omitempty"`
}

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert = a.sign(t, template, template, a.key)
	a.pem = inPEM("CERTIFICATE", a.cert.Raw)
	return a
}

// issue makes a certificate for a client, and for a server on loopback.
func (a *authority) issue(t *testing.T, name pkix.Name) *certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{Subject: name, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate{a.pem, inPEM("CERTIFICATE", a.sign(t, template, a.cert, key).Raw), inPEM("PRIVATE KEY", der)}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// listen returns a listener on loopback with TLS, which asks clients for their certificates, and its address.
func (a *authority) listen(t *testing.T) (l net.Listener, address string) {
	t.Helper()
	pair := a.issue(t, serverName)
	own, err := tls.X509KeyPair([]byte(pair.Cert), []byte(pair.Key))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequestClientCert, ClientCAs: a.pool()}
	l, err = tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return l, "https://" + l.Addr().String()
}

// browser returns a browser that trusts the authority.
func (a *authority) browser(base string) *harness.Browser {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool()}, DisableKeepAlives: true}
	return harness.NewBrowser(base).KeepingAlive(transport)
}

func (a *authority) sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
