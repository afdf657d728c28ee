package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/proxy/client"
)

// claims are those of a usable assertion of the client jwt.
func (s *setup) claims(jti string) map[string]any {
	return map[string]any{"iss": "jwt", "sub": "jwt", "aud": "https://id.example", "jti": jti, "exp": s.clock.now().Add(time.Minute).Unix()}
}

func (s *setup) asserted(jti string) client.Credentials {
	return asserting(assertion(s.claims(jti)), "")
}

// asserting are the credentials of a push with an assertion. One that no client may send is refused when it is read.
func asserting(text, clientID string) client.Credentials {
	cred, _, err := client.Read(http.Header{}, assertionForm(text, "client_id", clientID))
	if err != nil {
		panic(err)
	}
	return cred
}

// assertionServer is a server that knows assertions at the endpoints that are given.
func assertionServer(code, refresh, revocation manners) *legacy {
	return &legacy{code: &code, refresh: &refresh, revocation: &revocation}
}

func TestDelegateAssertionPassesOnce(t *testing.T) {
	t.Parallel()
	ok, blind := strict(invalidGrant, invalidClient), all(invalidGrant)
	revocation := strict(doneJSON, invalidClient).with(func(m *manners) {
		m.wrong, m.unknown = oauthError(400, "invalid_request"), oauthError(400, "invalid_request")
	})
	for name, l := range map[string]func() *legacy{
		"where the token endpoint tells": func() *legacy { return assertionServer(ok, ok, revocation) },
		"where only revocation tells":    func() *legacy { return assertionServer(blind, blind, revocation) },
		"where signatures are looked at late": func() *legacy {
			return assertionServer(blind.with(func(m *manners) { m.unknown = invalidClient }), ok, revocation)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := delegateTo(t, l())
			late := strings.HasSuffix(name, "late")
			if c, err := s.Authenticate(from("a"), s.asserted("zero")); late == (err == nil) || !late && c.ID != "jwt" {
				t.Fatalf("the first: %v, %v; %v", c, err, s.log.All())
			}
			cred := s.asserted("one")
			c, err := s.Authenticate(from("a"), cred)
			if err != nil || c.ID != "jwt" || !slices.Equal(c.AuthMethods, []string{"private_key_jwt"}) {
				t.Fatalf("%v, %v; %v", c, err, s.legacy.all())
			}
			if c, err := s.Authenticate(from("a"), cred); statusOf(t, c, err) != 401 {
				t.Errorf("the same again: %v", err)
			}
			again := asserting(strings.Replace(assertion(s.claims("one")), encode(map[string]any{"alg": "ES256", "kid": "k"}), encode(map[string]any{"alg": "ES256"}), 1), "jwt")
			if c, err := s.Authenticate(from("a"), again); statusOf(t, c, err) != 401 {
				t.Errorf("the same jti again: %v", err)
			}
			bad := asserting(assertion(s.claims("two"))+"AAAA", "jwt")
			if c, err := s.Authenticate(from("a"), bad); statusOf(t, c, err) == 0 {
				t.Error("a bad signature passes")
			}
			if c, _ := s.ask(t, client.MethodNone, "jwt", ""); c != nil {
				t.Error("it passes as public")
			}
			s.wantSpentOnce(t)
		})
	}
}

func (s *setup) wantSpentOnce(t *testing.T) {
	t.Helper()
	sent := map[string]int{}
	for _, a := range s.legacy.all() {
		if sent[a.assertion]++; a.assertion != "" && sent[a.assertion] > 1 {
			t.Errorf("an assertion was sent %d times", sent[a.assertion])
		}
	}
}

func TestDelegateAssertionIsSentOnceToo(t *testing.T) {
	t.Parallel()
	for _, l := range []*legacy{
		assertionServer(strict(invalidGrant, invalidClient), all(invalidGrant), all(done)),
		assertionServer(all(oauthError(400, "jti_known")), strict(invalidGrant, invalidClient), strict(done, invalidClient)),
		assertionServer(all(invalidGrant), all(surprise), strict(done, invalidClient)),
	} {
		s := delegateTo(t, l)
		if l.code.right.status != 400 || l.code.right.body != invalidGrant.body {
			// Nothing is known of it now, and nobody has done anything wrong.
			if c, err := s.Authenticate(from("a"), s.asserted("zero")); statusOf(t, c, err) != 503 {
				t.Errorf("it cannot be told, and the client gets %v", err)
			}
		}
		cred := s.asserted("one")
		var wg sync.WaitGroup
		passed := make(chan *client.Client, 50)
		for n := range 50 {
			wg.Go(func() {
				if c, _ := s.Authenticate(from(fmt.Sprint(n)), cred); c != nil {
					passed <- c
				}
			})
		}
		wg.Wait()
		if len(passed) > 1 {
			t.Errorf("%d pushes with one assertion", len(passed))
		}
		s.wantSpentOnce(t)
	}
}

func TestDelegateAssertionIsCheckedHereToo(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, assertionServer(strict(invalidGrant, invalidClient), all(unsupported), all(done)))
	now := s.clock.now()
	with := func(name string, value any) string {
		claims := s.claims(fmt.Sprint("jti ", name, value))
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return assertion(claims)
	}
	unsigned := encode(map[string]any{"alg": "none"}) + "." + encode(s.claims("u")) + "."
	for what, text := range map[string]string{
		"no exp":             with("exp", nil),
		"exp is a text":      with("exp", "tomorrow"),
		"exp is passed":      with("exp", now.Add(-11*time.Second).Unix()),
		"exp is far":         with("exp", now.Add(2*time.Hour).Unix()),
		"exp is absurd":      with("exp", 1e300),
		"no jti":             with("jti", nil),
		"jti is a number":    with("jti", 7),
		"jti is long":        with("jti", strings.Repeat("x", 300)),
		"no sub":             with("sub", nil),
		"iss is another":     with("iss", "other"),
		"not signed":         unsigned,
		"empty signature":    strings.TrimSuffix(with("a", 1), goodSignature),
		"four parts":         with("b", 1) + ".x",
		"a line end in it":   strings.Replace(with("c", 1), ".", "\n.", 1),
		"not base64url":      with("d", 1) + "=",
		"not JSON":           "e30.bm90" + "." + goodSignature,
		"claims are a list":  encode(map[string]any{"alg": "ES256"}) + "." + encode([]int{1}) + "." + goodSignature,
		"a member twice":     encode(map[string]any{"alg": "ES256"}) + ".eyJzdWIiOiJqd3QiLCJzdWIiOiJqd3QiLCJpc3MiOiJqd3QiLCJqdGkiOiJ4IiwiZXhwIjoxfQ." + goodSignature,
		"nothing but dots":   "..",
		"a control in sub":   strings.Replace(with("e", 1), encode(s.claims("x")), "", 1) + "x",
		"exp is null, as Go": assertion(map[string]any{"iss": "jwt", "sub": "jwt", "jti": "n", "exp": nil}),
	} {
		before := s.legacy.count()
		var c *client.Client
		cred, _, err := client.Read(http.Header{}, assertionForm(text))
		if err == nil {
			c, err = s.Authenticate(from("a"), cred)
		}
		if statusOf(t, c, err) != 401 || s.legacy.count() != before {
			t.Errorf("%s: %v, %d probes", what, err, s.legacy.count()-before)
		}
	}
	c, err := s.Authenticate(from("a"), asserting(assertion(s.claims("m")), "other"))
	if statusOf(t, c, err) != 400 {
		t.Errorf("client_id is another: %v", err)
	}
	if c, err := s.Authenticate(from("a"), asserting(with("exp", float64(now.Add(9*time.Second).UnixMilli())/1000), "jwt")); err != nil {
		t.Errorf("a fraction of a second: %v, %v", c, err)
	}
}

func TestDelegateAssertionNeedsItsChecks(t *testing.T) {
	t.Parallel()
	down := newUsedMarks()
	down.err = errors.New("store is down")
	for what, c := range map[string]struct {
		change func(*client.DelegateOptions)
		want   int
	}{
		"no check": {func(o *client.DelegateOptions) { o.Assertions = nil }, 401},
		"no marks": {func(o *client.DelegateOptions) { o.Mark = nil }, 401},
		"check fails": {func(o *client.DelegateOptions) {
			o.Assertions = func(_ context.Context, id string) client.AssertionRules {
				if id != "jwt" {
					t.Errorf("asked for the rules of %q", id)
				}
				return client.AssertionRules{Audience: client.AudienceIssuer, At: client.Server{Issuer: "https://other.example"}}
			}
		}, 401},
		"store is down": {func(o *client.DelegateOptions) { o.Mark = down.mark }, 503},
	} {
		s := delegateTo(t, assertionServer(strict(invalidGrant, invalidClient), all(unsupported), all(done)), c.change)
		got, err := s.Authenticate(from("a"), s.asserted("one"))
		if statusOf(t, got, err) != c.want || slices.ContainsFunc(s.legacy.all(), func(a asked) bool { return a.id == "jwt" }) {
			t.Errorf("%s: %v; %v", what, err, s.legacy.all())
		}
		if what == "check fails" && told(err) != "401 invalid_client client_assertion has another aud; use https://other.example, as one string" {
			t.Errorf("the client is not told: %v", err)
		}
	}
}

func TestDelegateControlsOfAssertionsAreTheirOwn(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, assertionServer(strict(invalidGrant, invalidClient), all(unsupported), all(done)))
	if _, err := s.Authenticate(from("a"), s.asserted("mine")); err != nil {
		t.Fatal(err)
	}
	all := s.legacy.all()
	if len(all) != 4 { // the stranger, the client, the client without a signature, another stranger
		t.Fatal(all)
	}
	for n, a := range all {
		parts := strings.Split(a.assertion, ".")
		claims := decodeClaims(t, parts[1])
		own := n == 1
		if (claims["jti"] == "mine") != own || (parts[2] == goodSignature) != own || (a.id == "jwt") == (n == 0 || n == 3) || claims["sub"] != a.id || claims["iss"] != a.id ||
			claims["aud"] != "https://id.example" || len(parts[2]) != len(goodSignature) {
			t.Errorf("%d: %v as %s", n, claims, a.id)
		}
	}
}
