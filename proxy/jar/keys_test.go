package jar_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy/client"
	"pargate/proxy/jar"
	"pargate/test/harness"
)

// publisher serves a key set over TLS, and counts who asks.
func publisher(t *testing.T, set func() string) (server *httptest.Server, roots *x509.CertPool, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		io.WriteString(w, set())
	}))
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server, roots, asked
}

// E-03: somebody listens where the headers lead, with the very key that has signed.
func TestNoHeaderIsFollowed(t *testing.T) {
	t.Parallel()
	server, roots, asked := publisher(t, func() string { return harness.KeySet(foreign) })
	d := newDesk(t, clients, func(o *client.Options) { o.AllowPrivateKeySets, o.KeySetRoots = true, roots })
	for name, value := range map[string]any{
		"jku": server.URL + "/jwks", "x5u": server.URL + "/x5u", "x5c": []string{server.URL}, "jwk": json.RawMessage(foreign.JWK()),
		"kid": server.URL + "/kid", "iss": server.URL, "JKU": server.URL + "/jwks", "jku ": server.URL + "/jwks",
	} {
		if _, err := d.open(t, "web", foreign.Sign(claimsOf("web", "iss", server.URL, "jwks_uri", server.URL, "request_uri", server.URL), name, value)); err == nil {
			t.Errorf("%s is followed", name)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the listener was asked %d times", n)
	}
}

// E-11: where a client publishes its keys is its own choice, but not an address of ours.
func TestAKeySetAtAnAddressOfOursIsNotFetched(t *testing.T) {
	t.Parallel()
	server, roots, asked := publisher(t, func() string { return harness.KeySet(es256) })
	registered := `[{"client_id":"web","client_secret":"s","jwks_uri":"` + server.URL + `"}]`
	d := newDesk(t, registered, func(o *client.Options) { o.KeySetRoots = roots })
	if _, err := d.open(t, "web", es256.Sign(claimsOf("web"))); told(err) != unproven {
		t.Error(told(err))
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("it was asked %d times", n)
	}
	allowed := newDesk(t, registered, func(o *client.Options) { o.AllowPrivateKeySets, o.KeySetRoots = true, roots })
	if _, err := allowed.open(t, "web", es256.Sign(claimsOf("web"))); err != nil || asked.Load() != 1 {
		t.Errorf("where it is allowed: %v, asked %d times", err, asked.Load())
	}
}

func TestKeysThatNobodyKnowsCauseOneFetchAMinute(t *testing.T) {
	t.Parallel()
	server, roots, asked := publisher(t, func() string { return harness.KeySet(es256) })
	var at atomic.Int64
	at.Store(now.UnixNano())
	d := newDesk(t, `[{"client_id":"web","client_secret":"s","jwks_uri":"`+server.URL+`"}]`, func(o *client.Options) {
		o.AllowPrivateKeySets, o.KeySetRoots, o.Now = true, roots, func() time.Time { return time.Unix(0, at.Load()) }
	})
	forged := foreign.Sign(claimsOf("web"))
	send := func(from, to int) {
		var wait sync.WaitGroup
		for worker := range 4 {
			wait.Go(func() {
				for i := from + worker; i < to; i += 4 {
					token, err := jar.Read(withHeader(forged, fmt.Sprintf(`{"alg":"ES256","kid":"made up %d"}`, i)))
					if err != nil {
						t.Error(err)
						return
					}
					if d.VerifyRequestObject(t.Context(), d.registry.Lookup("web"), token) == nil {
						t.Error("a forged object is taken")
					}
				}
			})
		}
		wait.Wait()
	}
	send(0, 5000)
	// One because there were no keys yet, and none for the unknown ones within the same second.
	if n := asked.Load(); n != 1 {
		t.Errorf("in the first second: %d fetches", n)
	}
	at.Add(int64(2 * time.Second))
	send(5000, 10000)
	if n := asked.Load(); n != 2 {
		t.Errorf("in the first minute: %d fetches", n)
	}
	at.Add(int64(30 * time.Second))
	send(0, 100)
	if n := asked.Load(); n != 2 {
		t.Errorf("after half a minute: %d fetches", n)
	}
	at.Add(int64(31 * time.Second))
	send(0, 100)
	if n := asked.Load(); n != 3 {
		t.Errorf("a minute later: %d fetches", n)
	}
}
