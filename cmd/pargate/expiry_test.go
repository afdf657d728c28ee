package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestACertificateThatEndsSoonIsWarnedOfOnceADay(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]int{year: 0, 22*day + 12*time.Hour: 2, 10 * day: 4, -day: 4} {
		synctest.Test(t, func(t *testing.T) {
			l := newLasting(t, year, life)
			k, err := loadKeyPair(writeFile(t, l.leaf), writeFile(t, l.key))
			if err != nil {
				t.Fatal(err)
			}
			core, logs := observer.New(zap.WarnLevel)
			ctx, cancel := context.WithTimeout(t.Context(), 3*day+time.Hour)
			defer cancel()
			k.warnOfExpiry(ctx, zap.New(core))
			if n := logs.FilterMessageSnippet("renew it").Len(); n != want {
				t.Errorf("%v: %d lines in three days: %v", life, n, logs.All())
			}
		})
	}
}

func TestAnotherCertificateThatEndsSoonIsWarnedOfAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good, bad := newLasting(t, year, year), newLasting(t, year, -day)
		cert, key := writeFile(t, good.leaf), writeFile(t, good.key)
		k, err := loadKeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.WarnLevel)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go k.warnOfExpiry(ctx, zap.New(core))
		synctest.Wait()
		rewriteFile(t, cert, bad.leaf)
		rewriteFile(t, key, bad.key)
		if changed, err := k.reload(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		synctest.Wait()
		if n := logs.FilterMessageSnippet("renew it").Len(); n != 1 {
			t.Errorf("%d lines: %v", n, logs.All())
		}
	})
}

// The running gateway looks at once.
func TestAServedCertificateThatEndsSoonIsInTheLog(t *testing.T) {
	t.Parallel()
	l := newLasting(t, year, 10*day)
	s := start(t, "UPSTREAM_URL=http://127.0.0.1:1", "TLS_CERT_FILE="+writeFile(t, l.leaf), "TLS_KEY_FILE="+writeFile(t, l.key))
	s.stop(errInterrupt)
	s.wait(t)
	if !matchLines(s.logs.String(), `"level":"warn".*the certificate of LISTEN_ADDR ends soon, or has ended; renew it.*"when":"ends on .*, in 9 days"`) {
		t.Errorf("%s", s.logs)
	}
}
