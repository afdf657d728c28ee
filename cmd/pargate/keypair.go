package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// keyPair is the listener's certificate and its key. It follows its files: whoever renews the certificate need not
// restart anything, and a new pair that is broken keeps the old one.
type keyPair struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	clientRoots       func() *x509.CertPool // whose certificates clients are asked for; nil: they are not asked

	mu   sync.Mutex
	read [sha256.Size]byte // digest of the contents as last read, also when they were refused
}

// loadKeyPair reads the pair for the first time.
func loadKeyPair(certFile, keyFile string) (*keyPair, error) {
	k := &keyPair{certFile: certFile, keyFile: keyFile}
	_, err := k.reload()
	return k, err
}

// settled is how long the files must stay as they are before they are believed: of a chain that is being written, the
// beginning is a certificate too.
const settled = 100 * time.Millisecond

// reload reads the files again and reports whether there is another pair now.
func (k *keyPair) reload() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cert, key, digest, err := k.contents()
	if err != nil || digest == k.read {
		return false, err
	}
	for before := k.read; k.current.Load() != nil && before != digest; {
		before = digest
		time.Sleep(settled)
		if cert, key, digest, err = k.contents(); err != nil {
			return false, err
		}
	}
	if digest == k.read {
		return false, nil // what was there for a moment has gone
	}
	k.read = digest
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("%s with %s: %w", k.certFile, k.keyFile, err)
	}
	k.current.Store(&pair)
	return true, nil
}

// contents reads both files.
func (k *keyPair) contents() (cert, key []byte, digest [sha256.Size]byte, err error) {
	cert, certErr := os.ReadFile(k.certFile)
	key, keyErr := os.ReadFile(k.keyFile)
	digest = sha256.Sum256(append(append(cert[:len(cert):len(cert)], 0), key...))
	return cert, key, digest, errors.Join(certErr, keyErr)
}

// watch reads the files every interval until ctx ends, and tells what has come of it. It compares contents, because watching a file misses the links
// that Kubernetes swaps.
func (k *keyPair) watch(ctx context.Context, interval time.Duration, tell func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := k.reload()
		switch {
		case changed:
			tell(nil)
			last = ""
		case err != nil && err.Error() != last:
			// While a pair is being written, its halves may not fit; that is told once and read again.
			tell(err)
			last = err.Error()
		}
	}
}

// tell logs what has come of reading the files again.
func (k *keyPair) tell(err error, log *zap.Logger) {
	if err != nil {
		log.Error("certificate refused; the one read before stays", zap.Error(err))
		return
	}
	log.Info("certificate read again", zap.Time("not_after", k.current.Load().Leaf.NotAfter))
}

// config is the listener's TLS. A client's certificate is taken as it is; whether it proves anything is decided when it is
// needed.
func (k *keyPair) config() *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.current.Load(), nil },
	}
	if k.clientRoots != nil {
		config.ClientAuth = tls.RequestClientCert
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			asking := config.Clone()
			asking.ClientCAs = k.clientRoots()
			return asking, nil
		}
	}
	return config
}
