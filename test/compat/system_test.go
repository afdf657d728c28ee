//go:build compat

package compat

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os/exec"
	"regexp"
	"sync"
	"testing"
)

// debianVersion asks which version of a package is installed, and returns the part of it that its authors gave.
func debianVersion(name string) func() (string, error) {
	return func() (string, error) {
		out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
		return regexp.MustCompile(`^\d[\d.]*\d`).FindString(string(out)), err
	}
}

// newKey returns an RSA key and its public half, for servers that sign. It is made once.
func newKey(t testing.TB) (private, public string) {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
