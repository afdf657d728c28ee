package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync/atomic"

	"pargate/proxy/metrics"

	"go.uber.org/zap"
)

// keyPair is a certificate and its key, and follows their files.
type keyPair struct {
	operatorFiles
	current     atomic.Pointer[tls.Certificate]
	renewed     chan struct{}         // has something when another pair has been put to use
	clientRoots func() *x509.CertPool // whose certificates clients are asked for; nil: they are not asked
}

// loadKeyPair reads the pair for the first time.
func loadKeyPair(certFile, keyFile string) (*keyPair, error) {
	k := &keyPair{renewed: make(chan struct{}, 1)}
	k.operatorFiles = operatorFiles{
		kind: metrics.FileCertificate, what: "certificate", paths: []string{certFile, keyFile},
		use: func(contents [][]byte) error {
			pair, err := tls.X509KeyPair(contents[0], contents[1])
			if err != nil {
				return fmt.Errorf("%s with %s: %w", certFile, keyFile, err)
			}
			k.current.Store(&pair)
			select {
			case k.renewed <- struct{}{}:
			default: // nobody has seen the one before
			}
			return nil
		},
		about: func() []zap.Field { return []zap.Field{zap.Time("not_after", k.current.Load().Leaf.NotAfter)} },
	}
	_, err := k.reload()
	return k, err
}

// chain are the certificates that are shown, the listener's own first.
func (k *keyPair) chain() (all []*x509.Certificate) {
	for _, der := range k.current.Load().Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			all = append(all, c)
		}
	}
	return all
}

// cipherSuites are those of TLS 1.2 that keep forward secrecy and encrypt with authentication (RFC 9325 §4.2). Those of
// TLS 1.3 all do.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// config is the listener's TLS. A client's certificate is taken as it is; whether it proves anything is decided when it is
// needed.
func (k *keyPair) config() *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   cipherSuites,
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
