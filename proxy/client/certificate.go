package client

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"pargate/proxy/jwt"
)

// Certificate is a client's certificate, of which TLS has shown that the client has the key (RFC 8705). Who ends TLS
// makes it; it must come from nowhere else.
type Certificate struct {
	Leaf          *x509.Certificate
	Intermediates []*x509.Certificate // as the client has sent them
}

// checkCertificate returns nil when the certificate is c's by one of the methods that c is registered for, and else the
// reason for the log. The chain is always verified, so that an unknown client takes the work of a known one.
func (a *Authenticator) checkCertificate(ctx context.Context, c *Client, cert *Certificate) (method string, err error) {
	chain := a.verifyChain(cert)
	err = errors.New("the client is not registered for a certificate")
	if c.uses(MethodTLS) {
		switch {
		case chain != nil:
			err = fmt.Errorf("the certificate's chain: %w", chain)
		case !c.subject.is(cert.Leaf):
			err = fmt.Errorf("the certificate is another one's: its subject is %s", cert.Leaf.Subject)
		default:
			return MethodTLS, nil
		}
	}
	if c.uses(MethodSelfSignedTLS) {
		known, trouble := a.hasPublished(ctx, c, cert.Leaf)
		if known {
			return MethodSelfSignedTLS, nil
		}
		err = errors.Join(errors.New("the certificate's key is not one of the client's"), trouble)
	}
	return "", err
}

// verifyChain verifies that an authority for clients has issued the certificate, and when (RFC 8705 §2.1).
func (a *Authenticator) verifyChain(cert *Certificate) error {
	a.worked(workChain)
	var roots *x509.CertPool
	if a.Roots != nil {
		roots = a.Roots()
	}
	if roots == nil { // with which x509 would take the system's
		return errors.New("no certificate authorities for clients are configured")
	}
	intermediates := x509.NewCertPool()
	for _, each := range cert.Intermediates {
		intermediates.AddCert(each)
	}
	_, err := cert.Leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: a.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// hasPublished reports whether the certificate's key is one of the client's (RFC 8705 §2.2). Nothing else of it counts.
func (a *Authenticator) hasPublished(ctx context.Context, c *Client, leaf *x509.Certificate) (bool, error) {
	keys, err := a.keysOf(ctx, c)
	if hasKeyOf(keys, leaf) || c.published == nil {
		return hasKeyOf(keys, leaf), err
	}
	keys, err = c.published.newer(ctx, a)
	return hasKeyOf(keys, leaf), err
}

// hasKeyOf reports whether the certificate's key is among the keys (RFC 8705 §2.2).
func hasKeyOf(keys []jwt.Key, cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && slices.ContainsFunc(keys, func(k jwt.Key) bool { return key.Equal(k.Public) })
}
