package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	renewBefore   = 21 * 24 * time.Hour // of a certificate's end: by then others have renewed theirs
	betweenExpiry = 24 * time.Hour      // two warnings of a certificate that ends
)

// firstToEnd is the certificate that ends first; nil when there is none.
func firstToEnd(all []*x509.Certificate) (first *x509.Certificate) {
	for _, c := range all {
		if first == nil || c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return first
}

func isValid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

func endsSoon(c *x509.Certificate, now time.Time) bool { return c.NotAfter.Sub(now) < renewBefore }

// remaining says how long a certificate lasts, or for how long it has ended.
func remaining(c *x509.Certificate, now time.Time) string {
	days := func(d time.Duration) string { return fmt.Sprintf("%d days", int(d/(24*time.Hour))) }
	end := c.NotAfter.UTC().Format("2006-01-02 15:04 MST")
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		return "begins only on " + c.NotBefore.UTC().Format("2006-01-02 15:04 MST")
	case left < 0:
		return fmt.Sprintf("ended on %s, %s ago", end, days(-left))
	default:
		return fmt.Sprintf("ends on %s, in %s", end, days(left))
	}
}

// warnOfExpiry warns once a day, at first, and of each new one, while the listener's certificate is about to end, until ctx does.
func (k *keyPair) warnOfExpiry(ctx context.Context, log *zap.Logger) {
	ticker := time.NewTicker(betweenExpiry)
	defer ticker.Stop()
	for {
		select {
		case <-k.renewed: // what is looked at now
		default:
		}
		if first := firstToEnd(k.chain()); first != nil && endsSoon(first, time.Now()) {
			log.Warn("the certificate of LISTEN_ADDR ends soon, or has ended; renew it", zap.String("when", remaining(first, time.Now())), zap.Time("not_after", first.NotAfter))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-k.renewed:
		}
	}
}
