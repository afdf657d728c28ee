package client_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/proxy/client"
)

type uriKey struct{}

// Some upstreams compare redirect_uri with the client's registered ones before they look at its secret. Who pushes
// chooses it, so what was found out with one says nothing of another.
func TestDelegateControlsTheRedirectURIOfThePush(t *testing.T) {
	t.Parallel()
	l := &legacy{code: ptr(strict(invalidGrant, invalidClient))}
	l.before = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		id, _, _ := r.BasicAuth()
		odd := (id == "web" || r.PostForm.Get("client_id") == "web") && r.PostForm.Get("redirect_uri") != "https://app.example/cb"
		if odd {
			invalidGrant.write(w)
		}
		return odd
	}
	s := delegateTo(t, l, func(o *client.DelegateOptions) {
		o.RedirectURI = func(ctx context.Context) string { uri, _ := ctx.Value(uriKey{}).(string); return uri }
	})
	own := context.WithValue(from("a"), uriKey{}, "https://app.example/cb")
	odd := context.WithValue(from("b"), uriKey{}, "https://evil.example/cb")
	pass := func(ctx context.Context, method, secret string) bool {
		c, _ := s.Authenticate(ctx, presented(t, method, "web", secret))
		return c != nil
	}
	if pass(odd, client.MethodBasic, "wrong") {
		t.Error("a wrong secret passes before anything is known")
	}
	if !pass(own, client.MethodBasic, realSecret) {
		t.Error("the right secret does not pass")
	}
	for _, method := range []string{client.MethodBasic, client.MethodPost, client.MethodNone} {
		if pass(odd, method, "wrong") {
			t.Errorf("%s: passes with an odd redirect_uri after the client has pushed", method)
		}
	}
	if !pass(own, client.MethodBasic, realSecret) {
		t.Error("afterwards the right secret does not pass")
	}
}

// What was found out once holds for a while, but not for secrets that were never right.
func TestDelegateTakesNoNewSecretOnceTheUpstreamTakesAll(t *testing.T) {
	t.Parallel()
	l := &legacy{code: ptr(strict(invalidGrant, invalidClient))}
	s := delegateTo(t, l)
	if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c == nil {
		t.Fatal(status)
	}
	l.mu.Lock()
	*l.code = all(invalidGrant)
	l.mu.Unlock()
	s.clock.advance(9 * time.Minute)
	if c, _ := s.ask(t, client.MethodBasic, "web", "wrong"); c != nil {
		t.Error("a wrong secret passes")
	}
}

func TestDelegateControlsWithASecretOfTheSameLength(t *testing.T) {
	t.Parallel()
	l := &legacy{code: ptr(strict(invalidGrant, invalidClient))}
	l.before = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		_, secret, _ := r.BasicAuth()
		if len(secret) >= 40 {
			invalidGrant.write(w)
		}
		return len(secret) >= 40
	}
	if c, _ := delegateTo(t, l).ask(t, client.MethodBasic, "web", strings.Repeat("x", 40)); c != nil {
		t.Error("a long wrong secret passes where the upstream takes every long one")
	}
}

func TestDelegateLetsNobodyLockAClientOut(t *testing.T) {
	t.Parallel()
	ok := strict(invalidGrant, invalidClient)
	s := delegateTo(t, assertionServer(ok, ok, strict(doneJSON, invalidClient)))
	if c, err := s.Authenticate(from("home"), s.asserted("zero")); c == nil {
		t.Fatal(err)
	}
	forge := func(name string, source int) {
		forged := strings.Replace(assertion(s.claims(name)), goodSignature, "AAAA"+goodSignature[4:], 1)
		if c, _ := s.Authenticate(from(fmt.Sprint("bot", source)), asserting(forged, "")); c != nil {
			t.Error("a forged assertion passes")
		}
	}
	for n := range 70 {
		forge(fmt.Sprint("f", n), n%7)
	}
	for n := range 10 {
		forge(fmt.Sprint("g", n), n%7)
		if c, err := s.Authenticate(from("home"), s.asserted(fmt.Sprint("v", n))); c == nil {
			t.Errorf("time %d: the client is turned away where it has been before: %v", n, err)
		}
		s.clock.advance(time.Second)
	}
}

func TestAskTakesNoOtherSpellingOfARegisteredName(t *testing.T) {
	t.Parallel()
	l := &legacy{code: ptr(strict(invalidGrant, invalidClient))}
	l.before = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		id, secret, _ := r.BasicAuth()
		if strings.EqualFold(id, "web") && secret == realSecret {
			invalidGrant.write(w)
			return true
		}
		return false
	}
	registry := load(t, `[{"client_id": "web", "client_secret": "another", "redirect_uris": ["https://a/cb"]}]`)
	ask := client.Ask{Clients: registry, Upstream: delegateTo(t, l).Delegate}
	c, err := ask.Authenticate(from("a"), presented(t, client.MethodBasic, "web", realSecret), client.Server{})
	if err != nil || c.RedirectURIs == nil {
		t.Errorf("%v %v", c, err)
	}
	for _, id := range []string{"WEB", "web "} {
		if c, _ := ask.Authenticate(from("a"), presented(t, client.MethodBasic, id, realSecret), client.Server{}); c != nil {
			t.Errorf("%q passes", id)
		}
	}
}
