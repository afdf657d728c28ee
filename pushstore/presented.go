package pushstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// Presented are the certificates of one server, its own first.
type Presented struct {
	Addr  string
	Chain []*x509.Certificate // also where they are not trusted; nil: it did not answer, and that is told by Ping
}

// Presented asks every server that the URL names for its certificates; nil where TLS is not spoken.
func (c RedisConfig) Presented(ctx context.Context) (all []Presented) {
	a, err := c.parse()
	if err != nil || a.tls == nil {
		return nil
	}
	for _, host := range a.hosts {
		all = append(all, Presented{host, presentedAt(ctx, host, a.tls)})
	}
	return all
}

// presentedWithin is how long a server has for it: a person waits for the answer, and no login.
const presentedWithin = 5 * time.Second

func presentedAt(ctx context.Context, host string, config *tls.Config) []*x509.Certificate {
	ctx, cancel := context.WithTimeout(ctx, presentedWithin)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", host)
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		return refused.UnverifiedCertificates
	}
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates
}

// Topology says what the URL names, in words and without its secrets; empty when it cannot be read.
func (c RedisConfig) Topology() string {
	a, err := c.parse()
	if err != nil {
		return ""
	}
	text := string(a.mode) + " at " + a.hosts[0]
	for _, host := range a.hosts[1:] {
		text += ", " + host
	}
	if a.master != "" {
		text += ", master " + a.master
	}
	if a.tls != nil {
		text += ", by TLS"
	}
	return text
}
