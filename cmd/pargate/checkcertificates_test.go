package main

import (
	"crypto/ecdsa"
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

	"pargate/test/redisserver"
	"pargate/test/upstream"
)

// lasting is an authority that lasts for that long, with the certificate of a server on 127.0.0.1 that lasts for another.
type lasting struct {
	root, leaf string // PEM
	key        string
	pair       tls.Certificate
}

func newLasting(t *testing.T, rootLife, life time.Duration) lasting {
	t.Helper()
	began := time.Now().Add(-400 * 24 * time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: began, NotAfter: time.Now().Add(rootLife), KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"login.example"}, NotBefore: began, NotAfter: time.Now().Add(life)}
	rootKey, leafKey := newKey(t), newKey(t)
	encode := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	l := lasting{root: encode(sign(t, root, root, rootKey, rootKey))}
	der := sign(t, leaf, root, leafKey, rootKey)
	l.leaf, l.key, l.pair = encode(der), encodeKey(t, leafKey), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: leafKey}
	return l
}

func encodeKey(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

func TestCheckSaysHowLongCertificatesOfFilesLast(t *testing.T) {
	t.Parallel()
	good, soon, ended := newLasting(t, year, year), newLasting(t, 10*day, 20*day), newLasting(t, -day, -2*day)
	pair := func(l lasting, more ...string) []string {
		return []string{"TLS_CERT_FILE=" + writeFile(t, l.leaf+strings.Join(more, "")), "TLS_KEY_FILE=" + writeFile(t, l.key)}
	}
	ca := func(setting string, all ...lasting) []string {
		text := ""
		for _, l := range all {
			text += l.root
		}
		return []string{setting + "=" + writeFile(t, text)}
	}
	for name, c := range map[string]struct {
		environ []string
		about   findingName
		level   string
		want    string
	}{
		"good":                      {pair(good), aboutListener, "ok", `TLS_CERT_FILE: the certificate of "CN=leaf" ends on `},
		"soon":                      {pair(soon), aboutListener, "warn", ", in 19 days; renew it"},
		"ended":                     {pair(ended), aboutListener, "fail", ", 2 days ago; renew it"},
		"good with an ended root":   {pair(good, ended.root), aboutListener, "fail", `"CN=root" ended on`},
		"the public name":           {append(pair(good), "PUBLIC_URL=https://login.example"), aboutListenerName, "ok", "is for login.example"},
		"another name":              {append(pair(good), "PUBLIC_URL=https://other.example"), aboutListenerName, "warn", `is not for "other.example", the public name`},
		"an authority":              {ca("UPSTREAM_CA_FILE", good), aboutAuthorities, "ok", "UPSTREAM_CA_FILE: 1 in it"},
		"one that ends":             {ca("UPSTREAM_CA_FILE", good, soon), aboutAuthorities, "warn", "put its successor in too"},
		"one that has ended":        {ca("UPSTREAM_CA_FILE", good, ended), aboutAuthorities, "warn", "take it out"},
		"none that is valid":        {ca("UPSTREAM_CA_FILE", ended), aboutAuthorities, "fail", "no authority in it is valid now"},
		"those of clients":          {append(pair(good), ca("TLS_CLIENT_CA_FILE", soon)...), aboutAuthorities, "warn", "TLS_CLIENT_CA_FILE: the authority"},
		"our certificate for Redis": {[]string{"REDIS_URL=rediss://127.0.0.1:1", "REDIS_CERT_FILE=" + writeFile(t, soon.leaf), "REDIS_KEY_FILE=" + writeFile(t, soon.key)}, aboutRedisClient, "warn", "REDIS_CERT_FILE: "},
		"those of Redis":            {append(ca("REDIS_CA_FILE", ended), "REDIS_URL=rediss://127.0.0.1:1"), aboutAuthorities, "fail", "REDIS_CA_FILE: no authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stdout := checkJSON(t, append(c.environ, "UPSTREAM_URL=http://127.0.0.1:1"))
			if got.level(c.about) != c.level || !strings.Contains(got.text(c.about), c.want) || (got.Exit != exitOK) != (c.level == "fail") {
				t.Errorf("%s", stdout)
			}
		})
	}
}

// Also a certificate that is refused is told the end of: it is the one that somebody must renew.
func TestCheckSaysHowLongTheServersCertificateLasts(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]string{year: "ok", 10 * day: "warn", -day: "fail"} {
		l := newLasting(t, year, life)
		up := &upstream.Recorder{Authorize: "/authorize"}
		server := httptest.NewUnstartedServer(up)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{l.pair}}
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		up.SetIssuer(server.URL)
		got, stdout := checkJSON(t, []string{"UPSTREAM_URL=" + server.URL, "PUBLIC_URL=" + server.URL, "UPSTREAM_CA_FILE=" + writeFile(t, l.root)}, "-connect")
		if got.level(aboutUpstreamCert) != want || !strings.Contains(got.text(aboutUpstreamCert), `"CN=leaf"`) || (got.level(aboutUpstream) == "fail") != (life < 0) {
			t.Errorf("%v: %s", life, stdout)
		}
		if life > 0 && got.level(aboutPublicCertificate) != want {
			t.Errorf("%v, at the public name: %s", life, stdout)
		}
	}
}

func TestCheckSaysHowLongTheCertificateOfRedisLasts(t *testing.T) {
	t.Parallel()
	a := redisserver.NewAuthority(t)
	server := a.StartTLS(t, []string{"127.0.0.1"})
	cert, key := a.Issue(t)
	_, environ := standIn(t, nil, "")
	environ = append(environ, "CLIENTS_FILE="+writeFile(t, "[]"), "REDIS_URL="+server.URL())
	got, stdout := checkJSON(t, append(environ, "REDIS_CA_FILE="+a.File, "REDIS_CERT_FILE="+cert, "REDIS_KEY_FILE="+key), "-connect")
	if got.level(aboutStore) != "ok" || got.level(aboutRedisCertificate) != "warn" || !strings.Contains(got.text(aboutRedisTopology), ", by TLS") {
		t.Errorf("%s", stdout)
	}
	// Of one that is not trusted, too.
	if got, stdout := checkJSON(t, environ, "-connect"); got.level(aboutStore) != "fail" || got.level(aboutRedisCertificate) != "warn" {
		t.Errorf("%s", stdout)
	}
}
