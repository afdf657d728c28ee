package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sync/atomic"

	"pargate/proxy/metrics"

	"go.uber.org/zap"
)

// authorities are the certificate authorities of a file, and follow it.
type authorities struct {
	operatorFiles
	current atomic.Pointer[authorityPool]
}

type authorityPool struct {
	pool *x509.CertPool
	file []*x509.Certificate // those of the file
}

// loadAuthorities reads the file for the first time; nil when there is none. With system those of the system are trusted
// too. what is for the log.
func loadAuthorities(what, file string, system bool) (*authorities, error) {
	if file == "" {
		return nil, nil
	}
	a := &authorities{}
	a.operatorFiles = operatorFiles{
		kind: metrics.FileAuthorities, what: what, paths: []string{file},
		use: func(contents [][]byte) error {
			next := &authorityPool{pool: x509.NewCertPool(), file: certificatesIn(contents[0])}
			if system {
				next.pool = systemPool()
			}
			if len(next.file) == 0 {
				return fmt.Errorf("%s has no certificate in PEM form", file)
			}
			for _, c := range next.file {
				next.pool.AddCert(c)
			}
			a.current.Store(next)
			return nil
		},
		about: func() []zap.Field { return []zap.Field{zap.Int("certificates", len(a.current.Load().file))} },
	}
	if _, err := a.reload(); err != nil {
		return nil, err
	}
	return a, nil
}

// pool returns what gives the authorities of the moment; nil when there is no file.
func (a *authorities) pool() func() *x509.CertPool {
	if a == nil {
		return nil
	}
	return func() *x509.CertPool { return a.current.Load().pool }
}

// systemPool holds the system's certificate authorities.
func systemPool() *x509.CertPool {
	if pool, err := x509.SystemCertPool(); err == nil {
		return pool
	}
	return x509.NewCertPool()
}

// certificatesIn are the certificates in a text of PEM; what cannot be read is left out, as x509.CertPool does it.
func certificatesIn(text []byte) (all []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			all = append(all, c)
		}
	}
}
