package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/proxy/client"
	"pargate/test/harness"
)

// publisher is a client's server with its key set, as seen by what fetches it.
type publisher struct {
	mu      sync.Mutex
	body    string
	err     error
	status  int
	fetches int
	block   chan struct{} // not nil: each fetch waits for it
}

func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches++
	body, err, status, block := p.body, p.err, p.status, p.block
	p.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if status == 0 {
		status = 200
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (p *publisher) set(f func(*publisher)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *publisher) publish(signers ...*harness.Signer) {
	p.set(func(p *publisher) { p.body, p.err, p.status = harness.KeySet(signers...), nil, 0 })
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

const publishing = `[{"client_id": "pub", "token_endpoint_auth_method": ["private_key_jwt", "self_signed_tls_client_auth"], "jwks_uri": "https://app.example/jwks"}]`

// published returns an authenticator for a client that publishes keys, and what it takes a test to change.
func published(t *testing.T) (*client.Authenticator, *publisher, *clock) {
	t.Helper()
	c := &clock{at: now}
	a := authenticator(t, load(t, publishing), func(o *client.Options) { o.Now = c.Now })
	p := &publisher{}
	a.SetTransport(p)
	return a, p, c
}

// pushAs authenticates with a right assertion of the signer, at the clock's time.
func pushAs(t testing.TB, a *client.Authenticator, s *harness.Signer, c *clock) error {
	t.Helper()
	return second(push(t, a, assertionForm(s.Sign(harness.Claims("pub", server.Issuer, c.Now())))))
}

func TestAKeySetIsFetchedWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.publish(es256)
	if p.count() != 0 {
		t.Error("it is fetched before anybody needs it")
	}
	for range 5 {
		if err := pushAs(t, a, es256, c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := present(t, a, "pub", selfSigned(es256)); err != nil {
		t.Errorf("a certificate of a published key: %v", err)
	}
	if n := p.count(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestAnotherKeyOfASetIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	for name, rotated := range map[string]*harness.Signer{"with a kid": harness.NewSigner("ES256", "k2"), "without a kid": harness.NewSigner("ES256", "")} {
		a, p, c := published(t)
		p.publish(es256)
		if err := pushAs(t, a, es256, c); err != nil {
			t.Fatal(err)
		}
		c.pass(2 * time.Second)
		p.publish(rotated)
		if err := pushAs(t, a, rotated, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := pushAs(t, a, es256, c); told(err) != authFailed {
			t.Errorf("%s: the old key: %v", name, err)
		}
		if n := p.count(); n != 2 {
			t.Errorf("%s: %d fetches", name, n)
		}
	}
}

func TestUnknownKeysAreSearchedForOnceAMinute(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.publish(es256)
	if err := pushAs(t, a, es256, c); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Second)
	forged := harness.NewSigner("ES256", "")
	for i := range 1000 {
		forged.KeyID = fmt.Sprintf("made up %d", i%900)
		if i%3 == 0 {
			forged.KeyID = ""
		}
		if err := pushAs(t, a, forged, c); told(err) != authFailed {
			t.Fatal(err)
		}
		c.pass(50 * time.Millisecond)
	}
	if n := p.count(); n != 2 {
		t.Errorf("%d fetches in 50 s", n)
	}
	for range 5 {
		c.pass(61 * time.Second)
		if err := pushAs(t, a, forged, c); told(err) != authFailed {
			t.Fatal(err)
		}
	}
	if n := p.count(); n > 2+5+1 {
		t.Errorf("%d fetches after five minutes more", n)
	}
}

func TestAWrongSignatureOfAKnownKeySearchesForNothing(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.publish(es256)
	for range 3 {
		if err := pushAs(t, a, other, c); told(err) != authFailed {
			t.Fatal(err)
		}
		c.pass(61 * time.Second)
	}
	if n := p.count(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestAKeySetIsFetchedAgainWhenItIsOld(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.publish(es256)
	if err := pushAs(t, a, es256, c); err != nil {
		t.Fatal(err)
	}
	p.publish(es384) // es256 is withdrawn
	c.pass(4 * time.Minute)
	if err := pushAs(t, a, es256, c); err != nil {
		t.Errorf("after 4 minutes: %v", err)
	}
	c.pass(time.Minute)
	if err := pushAs(t, a, es256, c); told(err) != authFailed {
		t.Errorf("after 5 minutes: %v", err)
	}
}

func TestOldKeysAreUsedForADayWhileTheirServerFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*publisher){
		"no connection":    func(p *publisher) { p.err = errors.New("refused") },
		"status 500":       func(p *publisher) { p.status = 500 },
		"a redirect":       func(p *publisher) { p.status = 301 },
		"a page":           func(p *publisher) { p.body = "<html>" },
		"no key set":       func(p *publisher) { p.body = "{}" },
		"too large a set":  func(p *publisher) { p.body = `{"keys":[], "pad": "` + strings.Repeat("x", 600<<10) + `"}` },
		"too many keys":    func(p *publisher) { p.body = `{"keys":[` + strings.Repeat("{},", 64) + `{}]}` },
		"two sets in one":  func(p *publisher) { p.body = `{"keys":[],"keys":[]}` },
		"a set and a text": func(p *publisher) { p.body = `{"keys":[]} x` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p, c := published(t)
			p.publish(es256)
			if err := pushAs(t, a, es256, c); err != nil {
				t.Fatal(err)
			}
			p.set(fail)
			before := p.count()
			for range 100 {
				c.pass(6 * time.Minute)
				if err := pushAs(t, a, es256, c); err != nil {
					t.Fatalf("%v after its fetch: %v", c.Now().Sub(now), err)
				}
				if err := pushAs(t, a, es256, c); err != nil {
					t.Fatal(err)
				}
			}
			if n := p.count() - before; n != 100 {
				t.Errorf("%d fetches in 100 times 6 minutes", n)
			}
			c.pass(14*time.Hour + time.Minute)
			if err := pushAs(t, a, es256, c); told(err) != authFailed {
				t.Errorf("after a day: %v", err)
			}
			p.publish(es256)
			c.pass(time.Minute)
			if err := pushAs(t, a, es256, c); err != nil {
				t.Errorf("once it answers: %v", err)
			}
		})
	}
}

func TestASetWithoutUsableKeysWithdrawsThemAll(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.publish(es256)
	if err := pushAs(t, a, es256, c); err != nil {
		t.Fatal(err)
	}
	private := strings.Replace(es256.JWK(), "{", `{"d":"AA",`, 1)
	p.set(func(p *publisher) { p.body = `{"keys":[` + private + `]}` })
	c.pass(5 * time.Minute)
	if err := pushAs(t, a, es256, c); told(err) != authFailed {
		t.Errorf("%v", err)
	}
}

func TestAKeySetThatWasNeverThereIsAskedForOnceAMinute(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.set(func(p *publisher) { p.err = errors.New("refused") })
	for range 120 {
		if err := pushAs(t, a, es256, c); told(err) != authFailed || !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "asked for not long ago") {
			t.Fatal(err)
		}
		c.pass(time.Second)
	}
	if n := p.count(); n != 2 {
		t.Errorf("%d fetches in two minutes", n)
	}
}

func TestManyWaitForOneFetch(t *testing.T) {
	t.Parallel()
	a, p, c := published(t)
	p.publish(es256)
	p.set(func(p *publisher) { p.block = make(chan struct{}) })
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if err := pushAs(t, a, es256, c); err != nil {
				t.Error(err)
			}
		})
	}
	// A client that goes away does not take the fetch with it.
	ctx, cancel := context.WithCancel(t.Context())
	cred, _, err := client.Read(http.Header{}, assertionForm(es256.Sign(harness.Claims("pub", server.Issuer, c.Now()))))
	if err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the fetch", func() bool { return p.count() > 0 })
	wait.Go(cancel)
	if _, err := a.Authenticate(ctx, cred, server); err == nil { // the fetch cannot end before this does
		t.Error("a client that went away is authenticated")
	}
	close(p.block)
	wait.Wait()
	if n := p.count(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestAReloadKeepsTheKeysThatWereFetched(t *testing.T) {
	t.Parallel()
	r, replace := harness.RegistryFile(t, publishing)
	c := &clock{at: now}
	a := authenticator(t, r, func(o *client.Options) { o.Now = c.Now })
	p := &publisher{}
	a.SetTransport(p)
	p.publish(es256)
	for i, file := range []string{publishing, publishing + "\n", strings.Replace(publishing, "app.example", "other.example", 1)} {
		if i > 0 {
			replace(file)
		}
		if err := pushAs(t, a, es256, c); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 1, 2}[i]; p.count() != want {
			t.Errorf("file %d: %d fetches, want %d", i, p.count(), want)
		}
	}
}

// The real transport: TLS that is verified, no redirects followed, no address of ours reached, and an end to everything.
func TestKeySetsAreFetchedFromPublicServersAlone(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 100)
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	t.Cleanup(inside.Close)
	outside := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/jwks":
			io.WriteString(w, harness.KeySet(es256))
		case "/redirect":
			http.Redirect(w, r, inside.URL+"/redirected", http.StatusFound)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "/hanging":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(outside.Close)
	roots := x509.NewCertPool()
	roots.AddCert(outside.Certificate())
	for _, test := range []struct {
		name, path       string
		private, trusted bool
		want             string // in the log; empty: the keys are there
	}{
		{"a private network where that is allowed", "/jwks", true, true, ""},
		{"a private network", "/jwks", false, true, "is not a public address"},
		{"a certificate of nobody", "/jwks", true, false, "certificate"},
		{"a redirect", "/redirect", true, true, "status 302"},
		{"without an end", "/endless", true, true, "more than 524288 bytes"},
		{"without a beginning", "/hanging", true, true, "deadline"},
		{"nothing", "/nothing", true, true, "is not a JWK set"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := load(t, strings.Replace(publishing, "https://app.example/jwks", outside.URL+test.path, 1))
			a := authenticator(t, r, atNow, func(o *client.Options) {
				o.AllowPrivateKeySets = test.private
				if test.trusted {
					o.KeySetRoots = roots
				}
			})
			start := time.Now()
			err := pushAs(t, a, es256, &clock{at: now})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (told(err) != authFailed || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %s", err, test.want)
			}
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Cleanup(func() {
		if len(reached) > 0 {
			t.Errorf("a redirect led inside: %s", <-reached)
		}
	})
}

func TestOnlyPublicAddressesArePublic(t *testing.T) {
	t.Parallel()
	for address, public := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1:248:1893:25c8:1946]:443": true, "8.8.8.8:8443": true, "[::ffff:8.8.8.8]:443": true,
		"127.0.0.1:443": false, "127.8.8.8:443": false, "[::1]:443": false, "0.0.0.0:443": false, "[::]:443": false, "0.1.2.3:443": false,
		"10.0.0.1:443": false, "172.16.0.1:443": false, "172.31.255.255:443": false, "192.168.1.1:443": false, "100.64.0.1:443": false,
		"169.254.169.254:80": false, "[fe80::1%eth0]:443": false, "[fd00:ec2::254]:80": false, "[fc00::1]:443": false, "[fec0::1]:443": false,
		"[::ffff:127.0.0.1]:443": false, "[::ffff:100.64.0.1]:443": false, "[::ffff:169.254.169.254]:443": false, "[::127.0.0.1]:443": false, "[64:ff9b::a9fe:a9fe]:443": false,
		"[2002:7f00:1::]:443": false, "[2001::1]:443": false, "[2001:db8::1]:443": false,
		"224.0.0.1:443": false, "255.255.255.255:443": false, "240.0.0.1:443": false, "192.0.2.1:443": false, "198.18.0.1:443": false, "[ff02::1]:443": false,
		"172.32.0.1:443": true, "100.128.0.1:443": true, "localhost:443": false, "": false,
	} {
		if err := client.CheckPublic(address); (err == nil) != public {
			t.Errorf("%s: %v, want public %t", address, err, public)
		}
	}
}
