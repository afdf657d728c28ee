package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy/oauth"
)

// FuzzCertificateHeader: what a proxy hands on is certificates whose bytes are in the header, or an error that is for
// the client and repeats nothing of it.
func FuzzCertificateHeader(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	item := ":" + base64.StdEncoding.EncodeToString(der) + ":"
	escaped := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	for _, seed := range []string{"", item, item[1:], escaped, escaped + escaped, strings.ReplaceAll(escaped, "%20", " "), "::", ":", ":=:", "-----BEGIN CERTIFICATE-----", "%zz"} {
		f.Add(seed, "")
		f.Add(item, seed)
	}
	f.Fuzz(func(t *testing.T, value, chain string) {
		all, err := certificatesIn(http.Header{"Client-Cert": {value}, "Client-Cert-Chain": {chain}}, "Client-Cert")
		var told *oauth.Error
		if err != nil && (!errors.As(err, &told) || all != nil || told.Code != oauth.CodeInvalidClient) {
			t.Fatalf("%v, %d certificates", err, len(all))
		}
		for _, certificate := range all {
			if len(certificate.Raw) == 0 || !containsDER(value, certificate.Raw) && !containsDER(chain, certificate.Raw) {
				t.Errorf("a certificate comes out that did not go in: %q %q", value, chain)
			}
		}
	})
}

// containsDER reports whether der is in a header, in base64 in one piece or in lines.
func containsDER(header string, der []byte) bool {
	text, _ := url.PathUnescape(header)
	for _, s := range []string{header, text} {
		digits := strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n", r) {
				return -1
			}
			return r
		}, s)
		encoded := strings.TrimRight(base64.StdEncoding.EncodeToString(der), "=")
		if strings.Contains(digits, encoded[:len(encoded)-1]) {
			return true
		}
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if bytes.Equal(block.Bytes, der) {
			return true
		}
	}
}
