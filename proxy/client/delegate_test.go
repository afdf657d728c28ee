package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
)

// movedClock is a clock that a test moves.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) now() time.Time          { return time.Unix(1_700_000_000, c.ahead.Load()) }
func (c *movedClock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// setup is a Delegate in front of a legacy server.
type setup struct {
	*client.Delegate
	legacy *legacy
	clock  movedClock
	log    *observer.ObservedLogs
}

type sourceKey struct{}

// from returns a context for a push from an address.
func from(addr string) context.Context {
	return context.WithValue(context.Background(), sourceKey{}, addr)
}

func delegateTo(t *testing.T, l *legacy, change ...func(*client.DelegateOptions)) *setup {
	t.Helper()
	endpoints := l.start(t)
	s := &setup{legacy: l}
	core, logs := observer.New(zap.DebugLevel)
	s.log = logs
	marks := newUsedMarks()
	o := client.DelegateOptions{
		Transport: http.DefaultTransport, Endpoints: func() client.Endpoints { return endpoints }, Accept: l.accept,
		Now: s.clock.now, Log: zap.New(core), Mark: marks.mark,
		Assertions: func(context.Context, string) client.AssertionRules {
			return client.AssertionRules{Audience: client.AudienceRFC9126, At: client.Server{Issuer: "https://id.example"}}
		},
		Source: func(ctx context.Context) string {
			addr, _ := ctx.Value(sourceKey{}).(string)
			return addr
		},
	}
	for _, c := range change {
		c(&o)
	}
	d, err := client.NewDelegate(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Delegate = d
	return s
}

// usedMarks are what a store's Mark does.
type usedMarks struct {
	mu   sync.Mutex
	seen map[string]bool
	err  error
}

func newUsedMarks() *usedMarks { return &usedMarks{seen: map[string]bool{}} }

func (m *usedMarks) mark(_ context.Context, _, id string, life time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil || life <= 0 {
		return false, errors.Join(m.err, fmt.Errorf("life is %s", life))
	}
	first := !m.seen[id]
	m.seen[id] = true
	return first, nil
}

// presented are credentials as Read finds them in a push.
func presented(t *testing.T, method, id, secret string) client.Credentials {
	t.Helper()
	header, form := http.Header{}, oauth.Params{}
	switch method {
	case client.MethodBasic:
		header.Set("Authorization", basic(id, secret))
	case client.MethodPost:
		form = oauth.Params{{Name: "client_id", Value: id}, {Name: "client_secret", Value: secret}}
	case client.MethodNone:
		form = oauth.Params{{Name: "client_id", Value: id}}
	}
	cred, _, err := client.Read(header, form)
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

// ask is Authenticate; of a failure it returns the status.
func (s *setup) ask(t *testing.T, method, id, secret string) (*client.Client, int) {
	t.Helper()
	return s.askFrom(t, "192.0.2.1", method, id, secret)
}

func (s *setup) askFrom(t *testing.T, addr, method, id, secret string) (*client.Client, int) {
	t.Helper()
	c, err := s.Authenticate(from(addr), presented(t, method, id, secret))
	return c, statusOf(t, c, err)
}

// statusOf returns the status of an error, and zero where there is none.
func statusOf(t *testing.T, c *client.Client, err error) int {
	t.Helper()
	if err == nil && c != nil {
		return 0
	}
	var e *oauth.Error
	if !errors.As(err, &e) || c != nil {
		t.Fatalf("client %v, error %v", c, err)
	}
	if e.Status == 503 && (e.Code != oauth.CodeTemporarilyUnavailable || e.RetryAfter == 0) || e.Status == 401 && e.Code != oauth.CodeInvalidClient {
		t.Errorf("%d %s, Retry-After %s", e.Status, e.Code, e.RetryAfter)
	}
	return e.Status
}

func eachLegacy(t *testing.T, run func(t *testing.T, l *legacy, method string)) {
	t.Parallel()
	for i, l := range legacies() {
		for _, method := range []string{client.MethodBasic, client.MethodPost} {
			if method == client.MethodPost && l.basicOnly {
				continue
			}
			t.Run(l.name+" "+method, func(t *testing.T) {
				t.Parallel()
				run(t, legacies()[i], method)
			})
		}
	}
}

func TestDelegateRightSecretPassesAtEveryServer(t *testing.T) {
	eachLegacy(t, func(t *testing.T, l *legacy, method string) {
		s := delegateTo(t, l)
		c, status := s.ask(t, method, "web", realSecret)
		if status != 0 || c.ID != "web" || !slices.Equal(c.AuthMethods, []string{method}) || c.Public() {
			t.Fatalf("%v, %d; asked: %v; %v", c, status, l.all(), s.log.All())
		}
	})
}

func TestDelegateNobodyElsePassesAtAnyServer(t *testing.T) {
	eachLegacy(t, func(t *testing.T, l *legacy, method string) {
		s := delegateTo(t, l)
		for _, when := range []string{"before", "after"} {
			unknownClient := 401
			if l.unknown != 0 && when == "before" {
				unknownClient = l.unknown
			}
			for _, c := range []struct {
				who, method, id, secret string
				want                    int
			}{
				{"wrong secret", method, "web", "wrong " + when, 401},
				{"unknown client", method, "nobody", "secret " + when, unknownClient},
				{"unknown client without secret", client.MethodNone, "nobody", "", 0},
				{"no secret", client.MethodNone, "web", "", 0},
				{"public client with a secret", method, "spa", "made up " + when, 0},
				{"another's secret", method, "spa", realSecret, 0},
			} {
				got, status := s.ask(t, c.method, c.id, c.secret)
				if got != nil || c.want != 0 && status != c.want && !(l.name == "Glewlwyd" && when == "before") {
					t.Errorf("%s, %s a right one: %v, %d; want %d\n%v", c.who, when, got, status, c.want, l.all())
				}
			}
			s.clock.advance(2 * time.Minute)
			if c, status := s.ask(t, method, "web", realSecret); c == nil {
				t.Errorf("right secret: %d; %v", status, s.log.All())
			}
		}
	})
}

func TestDelegatePublicClientPassesAsPublic(t *testing.T) {
	eachLegacy(t, func(t *testing.T, l *legacy, method string) {
		s := delegateTo(t, l)
		check := func(when string, want int) {
			t.Helper()
			c, status := s.ask(t, client.MethodNone, "spa", "")
			if status != want || want == 0 && (!c.Public() || c.ID != "spa" || len(c.AuthMethods) != 1) {
				t.Errorf("%s: %v, %d; want %d\n%v", when, c, status, want, s.log.All())
			}
		}
		check("at once", l.public)
		if c, status := s.ask(t, method, "web", realSecret); c == nil {
			t.Fatal(status)
		}
		s.clock.advance(2 * time.Minute)
		later := l.public
		if later == 503 {
			later = l.publicLater
		}
		check("later", later)
		if c, _ := s.ask(t, client.MethodNone, "web", ""); c != nil {
			t.Error("a confidential client passes as public")
		}
	})
}

func TestDelegateAClientThatHasShownASecretIsNeverPublic(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("dex"))
	if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c == nil {
		t.Fatal(status)
	}
	s.legacy.mu.Lock()
	s.legacy.code.missing = invalidGrant
	s.legacy.mu.Unlock()
	if c, status := s.ask(t, client.MethodNone, "web", ""); c != nil || status != 401 {
		t.Errorf("%v, %d", c, status)
	}
}

func TestDelegateProbeThatForgivesAMissingSecretIsNotUsed(t *testing.T) {
	t.Parallel()
	// It looks at a secret where there is one, and at nothing where there is none.
	forgiving := named("oidc-provider").code.with(func(m *manners) { m.missing = invalidGrant })
	s := delegateTo(t, &legacy{code: &forgiving, refresh: ptr(all(unsupported)), revocation: ptr(strict(done, invalidClient))})
	if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c == nil {
		t.Fatalf("right secret at the revocation endpoint: %d", status)
	}
	if all := s.legacy.all(); all[len(all)-1].path != "/revoke" {
		t.Errorf("the probe that forgives was used: %v", all)
	}
	if c, _ := s.ask(t, client.MethodNone, "web2", ""); c != nil {
		t.Error("another client with a secret passes as public")
	}
	if c, status := s.ask(t, client.MethodNone, "spa", ""); c == nil {
		t.Errorf("a public client at the revocation endpoint: %d", status)
	}
}

func TestDelegateProbeThatTakesStrangersIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, method := range []string{client.MethodBasic, client.MethodPost, client.MethodNone} {
		for _, id := range []string{"nobody", "web", "spa"} {
			s := delegateTo(t, &legacy{code: ptr(strict(invalidGrant, invalidClient).with(func(m *manners) { m.unknown = invalidGrant }))})
			if c, status := s.ask(t, method, id, realSecret); c != nil || status != 503 && id == "nobody" {
				t.Errorf("%s %s: %v, %d", method, id, c, status)
			}
		}
	}
}

func TestDelegateFallsBackToAProbeThatTells(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"zitadel Provider": "refresh_token", "go-oauth2": "authorization_code", "dex": "authorization_code"} {
		s := delegateTo(t, named(name))
		s.ask(t, client.MethodBasic, "web", realSecret)
		s.clock.advance(time.Minute)
		n := s.legacy.count()
		s.ask(t, client.MethodBasic, "web", realSecret)
		if last := s.legacy.all()[n:]; len(last) != 1 || last[0].grant != want {
			t.Errorf("%s: once it is known which probe tells: %v, want one with %s", name, last, want)
		}
	}
}

func TestDelegateDoesNotBelieveEveryAnswer(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	sends := func(r reply) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool { r.write(w); return true }
	}
	for name, c := range map[string]struct {
		before func(n int, w http.ResponseWriter, r *http.Request) bool
		want   int
	}{
		"the code is looked at first": {sends(invalidGrant), 503},
		"200 for everything":          {sends(doneJSON), 503},
		"a token for everything":      {sends(reply{200, "application/json", `{"access_token":"t","active":false}`}), 503},
		"200 with a page":             {sends(loginPage), 503},
		"a page called JSON":          {sends(reply{200, "application/json", loginPage.body}), 503},
		"403 with a page":             {sends(reply{403, "text/html", "<h1>blocked"}), 503},
		"invalid_grant in a page":     {sends(reply{400, "text/html", invalidGrant.body}), 503},
		"invalid_grant in a string":   {sends(reply{400, "application/json", `"invalid_grant"`}), 503},
		"invalid_grant and 200":       {sends(reply{200, "application/json", invalidGrant.body}), 503},
		"invalid_grant and 500":       {sends(oauthError(500, "invalid_grant")), 503},
		"invalid_request":             {sends(oauthError(400, "invalid_request")), 503},
		"unauthorized_client":         {sends(oauthError(400, "unauthorized_client")), 503},
		"500":                         {sends(surprise), 503},
		"502":                         {sends(reply{502, "text/html", "<h1>bad gateway"}), 503},
		"404":                         {sends(reply{404, "text/plain", "no"}), 503},
		"nothing":                     {sends(reply{204, "", ""}), 503},
		"401 without a body":          {sends(reply{401, "", ""}), 401},
		"401 with a page":             {sends(reply{401, "text/html", "<h1>who?"}), 401},
		"more than 64 KiB":            {sends(reply{400, "application/json", `{"error":"invalid_grant","x":"` + strings.Repeat("x", 64<<10) + `"}`}), 503},
		"a redirect to a login": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/login", http.StatusFound)
			return true
		}, 503},
		"no answer": {func(_ int, _ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-r.Context().Done():
			case <-slow:
			}
			return true
		}, 503},
		"half an answer": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(400)
			w.Write([]byte(invalidGrant.body))
			panic(http.ErrAbortHandler)
		}, 503},
		"it tells every second time": {func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n%2 == 1 {
				invalidGrant.write(w)
			} else {
				invalidClient.write(w)
			}
			return true
		}, 0},
		"a firewall steps in": {func(n int, w http.ResponseWriter, _ *http.Request) bool {
			r := invalidGrant
			if n > 1 {
				r = reply{403, "text/html", "<h1>blocked"}
			}
			r.write(w)
			return true
		}, 503},
		"it falls over": {func(n int, w http.ResponseWriter, _ *http.Request) bool {
			r := invalidGrant
			if n > 1 {
				r = reply{503, "application/json", surprise.body}
			}
			r.write(w)
			return true
		}, 503},
		"it falls over for all but the first": {func(n int, w http.ResponseWriter, _ *http.Request) bool {
			r := invalidGrant
			if n > 1 {
				r = surprise
			}
			r.write(w)
			return true
		}, 503},
	} {
		for _, method := range []string{client.MethodBasic, client.MethodPost, client.MethodNone, "private_key_jwt"} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				s := delegateTo(t, &legacy{code: ptr(all(invalidGrant)), before: c.before}, func(o *client.DelegateOptions) { o.Timeout = 100 * time.Millisecond })
				for n := range 20 {
					var got *client.Client
					var status int
					if method == "private_key_jwt" {
						var err error
						got, err = s.Authenticate(from("a"), s.asserted(fmt.Sprint("jti", n)))
						status = statusOf(t, got, err)
					} else {
						got, status = s.ask(t, method, "web", fmt.Sprint("wrong", n))
					}
					if got != nil || n == 0 && status != c.want && c.want != 0 && method != "private_key_jwt" {
						t.Errorf("%d: %v, %d; want %d", n, got, status, c.want)
					}
				}
				if strings.HasPrefix(name, "a redirect") && slices.ContainsFunc(s.legacy.all(), func(a asked) bool { return a.path == "/login" }) {
					t.Error("the redirect was followed")
				}
			})
		}
	}
}

func TestDelegatePassesOnThatTheUpstreamWantsToWait(t *testing.T) {
	t.Parallel()
	tooMany := func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	s := delegateTo(t, &legacy{code: ptr(all(invalidGrant)), before: tooMany})
	for range 3 {
		_, err := s.Authenticate(from("a"), presented(t, client.MethodBasic, "web", realSecret))
		var e *oauth.Error
		if !errors.As(err, &e) || e.Status != 429 || e.RetryAfter != 17*time.Second {
			t.Fatalf("%v", err)
		}
	}
	if n := s.legacy.count(); n != 1 {
		t.Errorf("%d probes while it wants to wait", n)
	}
	if s.ask(t, client.MethodBasic, "other", realSecret); s.legacy.count() != 2 {
		t.Error("another client has to wait too")
	}
	s.clock.advance(18 * time.Second)
	if s.Authenticate(from("a"), presented(t, client.MethodBasic, "web", realSecret)); s.legacy.count() != 3 {
		t.Error("it is not asked again")
	}
}

func TestDelegateAsksOnceForTheSame(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("dex"))
	for range 10 {
		if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c == nil {
			t.Fatal(status)
		}
	}
	if got := s.legacy.all(); len(got) != 4 { // itself, the stranger, a wrong secret, none
		t.Fatalf("%d probes: %v", len(got), got)
	}
	s.clock.advance(11 * time.Second)
	for range 10 {
		s.ask(t, client.MethodBasic, "web", realSecret)
	}
	if n := s.legacy.count(); n != 5 {
		t.Errorf("%d probes after ten more pushes, want 5", n)
	}
	s.clock.advance(10 * time.Minute)
	s.ask(t, client.MethodBasic, "web", realSecret)
	if n := s.legacy.count(); n != 9 {
		t.Errorf("%d probes when the calibration has aged, want 9", n)
	}
}

func TestDelegateAsksOnceForManyAtATime(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]int{realSecret: 0, "wrong": 401} {
		gate := make(chan struct{})
		l := named("dex")
		l.before = func(int, http.ResponseWriter, *http.Request) bool { <-gate; return false }
		s := delegateTo(t, l)
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Go(func() {
				c, err := s.Authenticate(from(fmt.Sprint(n)), presented(t, client.MethodBasic, "web", secret))
				if status := statusOf(t, c, err); status != want {
					t.Errorf("%d, want %d", status, want)
				}
				if e := new(oauth.Error); errors.As(err, &e) {
					e.Challenging() // as the push endpoint does with each
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		close(gate)
		wg.Wait()
		right := slices.DeleteFunc(l.all(), func(a asked) bool { return a.secret != secret })
		if len(right) != 1 {
			t.Errorf("%s: asked %d times", secret, len(right))
		}
	}
}

func TestDelegateWaitsForNobodyWhoHasGoneAway(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	l := named("dex")
	l.before = func(int, http.ResponseWriter, *http.Request) bool { <-gate; return false }
	s := delegateTo(t, l)
	ctx, cancel := context.WithCancel(from("a"))
	first := make(chan error)
	go func() {
		_, err := s.Authenticate(ctx, presented(t, client.MethodBasic, "web", realSecret))
		first <- err
	}()
	for l.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	second := make(chan error)
	go func() {
		_, err := s.Authenticate(from("b"), presented(t, client.MethodBasic, "web", realSecret))
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(gate)
	if err := <-second; err != nil {
		t.Errorf("who waits for the same: %v", err)
	}
}

func TestDelegateNoticesARevokedSecret(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("hydra"))
	s.ask(t, client.MethodPost, "web", realSecret)
	s.legacy.setSecret("another")
	s.clock.advance(9 * time.Second)
	if c, _ := s.ask(t, client.MethodPost, "web", realSecret); c == nil {
		t.Error("asked again within the time")
	}
	s.clock.advance(2 * time.Second)
	if c, status := s.ask(t, client.MethodPost, "web", realSecret); c != nil || status != 401 {
		t.Errorf("%v, %d after the time", c, status)
	}
	if c, status := s.ask(t, client.MethodPost, "web", "another"); c == nil {
		t.Errorf("the new one: %d", status)
	}
	// From now on it is a guess like any other.
	for n := range 20 {
		s.ask(t, client.MethodPost, "web", fmt.Sprint("guess", n))
	}
	s.clock.advance(5500 * time.Millisecond)
	if c, status := s.ask(t, client.MethodPost, "web", realSecret); c != nil || status != 429 {
		t.Errorf("%v, %d after many guesses", c, status)
	}
}

func TestDelegateCanBeToldToKeepNothing(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("hydra"), func(o *client.DelegateOptions) { o.Keep = -1 })
	s.ask(t, client.MethodPost, "web", realSecret)
	s.legacy.setSecret("another")
	if c, _ := s.ask(t, client.MethodPost, "web", realSecret); c != nil {
		t.Error("kept")
	}
}

func TestDelegateSlowsDownWhoGuesses(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("dex"))
	if c, _ := s.askFrom(t, "client", client.MethodBasic, "web", realSecret); c == nil {
		t.Fatal("right secret")
	}
	before, slowed := s.legacy.count(), 0
	for n := range 10_000 {
		_, err := s.Authenticate(from("attacker"), presented(t, client.MethodBasic, "web", fmt.Sprint("guess", n)))
		var e *oauth.Error
		if errors.As(err, &e) && e.Status == 429 && e.RetryAfter > 0 {
			slowed++
		}
	}
	if n := s.legacy.count() - before; n > 10 || slowed != 10_000-n {
		t.Errorf("%d probes, %d slowed", n, slowed)
	}
	s.clock.advance(time.Minute)
	if c, status := s.askFrom(t, "elsewhere", client.MethodPost, "web", realSecret); c == nil {
		t.Errorf("the right secret from elsewhere, in a way not seen before: %d", status)
	}
	// From many addresses, so that the client's own allowance is used up too.
	before = s.legacy.count()
	for n := range 2_000 {
		s.askFrom(t, fmt.Sprint("bot", n%100), client.MethodBasic, "web", fmt.Sprint("guess", n))
	}
	if n := s.legacy.count() - before; n > 60 {
		t.Errorf("%d probes", n)
	}
	s.clock.advance(30 * time.Second)
	for n := range 2_000 {
		s.askFrom(t, fmt.Sprint("bot", n%100), client.MethodBasic, "web", fmt.Sprint("guess", n))
	}
	if c, status := s.askFrom(t, "client", client.MethodBasic, "web", realSecret); c == nil {
		t.Errorf("the right secret where it was right before: %d", status)
	}
	// One address that tries many names.
	before = s.legacy.count()
	for n := range 2_000 {
		s.askFrom(t, "scanner", client.MethodBasic, fmt.Sprint("name", n), "s")
	}
	if n := s.legacy.count() - before; n > 100 {
		t.Errorf("%d probes", n)
	}
}

func TestDelegateDoesTheSameWorkForUnknownAndWrong(t *testing.T) {
	t.Parallel()
	for _, warm := range []bool{false, true} {
		s := delegateTo(t, named("dex"))
		if warm {
			s.ask(t, client.MethodBasic, "web", realSecret)
		}
		for range 2 { // the second is remembered
			before := s.legacy.count()
			_, unknown := s.Authenticate(from("a"), presented(t, client.MethodBasic, "nobody", "x"))
			between := s.legacy.count()
			_, wrong := s.Authenticate(from("a"), presented(t, client.MethodBasic, "web", "x"))
			if a, b := between-before, s.legacy.count()-between; a != b || a > 1 {
				t.Errorf("%d probes for an unknown client, %d for a wrong secret", a, b)
			}
			var u, w *oauth.Error
			if !errors.As(unknown, &u) || !errors.As(wrong, &w) || u.Status != w.Status || u.Code != w.Code || u.Description != w.Description || len(u.Header) != len(w.Header) {
				t.Errorf("%v and %v", unknown, wrong)
			}
		}
	}
}

func TestDelegateSendsNothingButTheCredentials(t *testing.T) {
	t.Parallel()
	var prepared atomic.Int32
	s := delegateTo(t, named("zitadel Provider"), func(o *client.DelegateOptions) {
		o.Prepare = func(req *http.Request) {
			prepared.Add(1)
			if addr := req.Context().Value(sourceKey{}); addr != "192.0.2.1" {
				t.Errorf("a probe does not know its push: %v", addr)
			}
		}
	})
	for _, method := range []string{client.MethodBasic, client.MethodPost, client.MethodNone} {
		s.ask(t, method, "web", realSecret)
	}
	allowed := []string{"grant_type", "code", "redirect_uri", "refresh_token", "token", "client_id", "client_secret"}
	for _, a := range s.legacy.all() {
		authorization, form, _ := strings.Cut(a.raw, " ")
		if authorization != "" {
			_, form, _ = strings.Cut(form, " ")
		}
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		for name, list := range values {
			if !slices.Contains(allowed, name) || len(list) != 1 || strings.HasPrefix(name, "client_") && authorization != "" {
				t.Errorf("%s: %q beside %q", name, list, authorization)
			}
		}
	}
	if int(prepared.Load()) != s.legacy.count() {
		t.Errorf("%d of %d probes were prepared", prepared.Load(), s.legacy.count())
	}
}

func TestDelegateReadsOneIdentityOutOfBasic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, user, password, body string
		want                       int
		sent                       string // user:password
	}{
		{"as it is", "web", realSecret, "", 0, "web:" + realSecret},
		{"beside the same client_id", "web", realSecret, "web", 0, "web:" + realSecret},
		{"over-encoded id", "w%65b", realSecret, "web", 0, "web:" + realSecret},
		{"over-encoded secret goes as it came", "web", "s3cr%65t", "", 401, "web:s3cr%65t"},
		{"another client_id", "web", realSecret, "spa", 400, ""},
		{"a public client's Basic beside a confidential client_id", "spa", "x", "web", 400, ""},
		{"the other reading", "w%65b", realSecret, "w%65b", 401, ""},
		{"an id that only escapes can say", "a%2Bb", realSecret, "", 401, ""},
		{"a colon", "urn%3Aweb", realSecret, "", 401, ""},
		{"a plus that is one", "a+b", realSecret, "a+b", 401, ""},
		{"a plus that is a blank", "a+b", realSecret, "", 401, "a b:" + realSecret},
		{"beyond ASCII", "w\u00e9b", realSecret, "", 401, ""},
		{"a bad escape", "web%", realSecret, "", 401, ""},
		{"a control character", "web%0a", realSecret, "", 401, ""},
		{"no secret", "web", "", "", 401, ""},
		{"no id", "", realSecret, "", 401, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := delegateTo(t, named("dex"))
			form := oauth.Params{}
			if c.body != "" {
				form = oauth.Params{{Name: "client_id", Value: c.body}}
			}
			cred, _, err := client.Read(http.Header{"Authorization": {basic(c.user, c.password)}}, form)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Authenticate(from("a"), cred)
			if status := statusOf(t, got, err); status != c.want {
				t.Errorf("%d, want %d: %v", status, c.want, err)
			}
			sent := ""
			if s.legacy.count() > 0 {
				sent = s.legacy.all()[0].id + ":" + s.legacy.all()[0].secret
			}
			if sent != c.sent {
				t.Errorf("asked about %q, want %q", sent, c.sent)
			}
			if got != nil && got.ID != "web" {
				t.Errorf("authenticated %q", got.ID)
			}
		})
	}
}

func TestDelegateRefusesWhatItCannotPassOn(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("dex"))
	for _, cred := range []client.Credentials{{Method: "tls_client_auth", ClientID: "web"}, {Method: client.MethodNone},
		{Method: client.MethodNone, ClientID: strings.Repeat("x", 513)}, {Method: client.MethodNone, ClientID: "a\nb"}} {
		if c, err := s.Authenticate(from("a"), cred); statusOf(t, c, err) != 401 {
			t.Errorf("%s: %v", cred.Method, err)
		}
	}
	if s.legacy.count() > 0 {
		t.Error("the upstream was asked")
	}
}

func TestDelegateBeforeTheEndpointsAreKnown(t *testing.T) {
	t.Parallel()
	s := delegateTo(t, named("dex"), func(o *client.DelegateOptions) { o.Endpoints = func() client.Endpoints { return client.Endpoints{} } })
	if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c != nil || status != 503 {
		t.Errorf("%v, %d", c, status)
	}
}

func TestDelegateTellsTheLogWhyAndNoSecret(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, l := range legacies() {
		s := delegateTo(t, l)
		for _, method := range []string{client.MethodBasic, client.MethodPost, client.MethodNone} {
			for _, secret := range []string{realSecret, "canary-of-a-wrong-one"} {
				c, err := s.Authenticate(from("a"), presented(t, method, "web", secret))
				texts = append(texts, fmt.Sprint(c, err))
				if err != nil && method != client.MethodNone && !strings.Contains(err.Error(), " endpoint") && !strings.Contains(err.Error(), "moment") {
					t.Errorf("the cause does not name the probe: %v", err)
				}
			}
		}
		for _, e := range s.log.All() {
			texts = append(texts, fmt.Sprint(e.Message, e.ContextMap()))
		}
		texts = append(texts, fmt.Sprintf("%+v %#v", s.Delegate, s.Explain(t.Context())))
	}
	for _, text := range texts {
		for _, secret := range []string{realSecret, "canary", "said the server", "<!DOCTYPE"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q in %.200s", secret, text)
			}
		}
	}
}

func TestDelegateExplainsWhichProbesCanBeUsed(t *testing.T) {
	t.Parallel()
	for name, usable := range map[string]string{
		"zitadel Provider": "introspection endpoint, revocation endpoint, token endpoint with a made-up refresh token",
		"dex":              "token endpoint with a made-up code, token endpoint with a made-up refresh token",
		"hydra":            "revocation endpoint, token endpoint with a made-up code, token endpoint with a made-up refresh token",
		"LemonLDAP::NG":    "introspection endpoint, token endpoint with a made-up code, token endpoint with a made-up refresh token",
	} {
		s := delegateTo(t, named(name))
		var got []string
		for _, f := range s.Explain(t.Context()) {
			if f.Answer == "" || f.Note == "" || f.Probe == "" {
				t.Errorf("%s: %+v", name, f)
			}
			if f.Usable && f.Method == client.MethodBasic {
				got = append(got, f.Probe)
			}
		}
		if slices.Sort(got); strings.Join(got, ", ") != usable {
			t.Errorf("%s: %s, want %s", name, strings.Join(got, ", "), usable)
		}
		for _, a := range s.legacy.all() {
			if a.id == "web" || a.id == "spa" {
				t.Errorf("%s: asked about a real client", name)
			}
		}
	}
}

func TestNewDelegateWantsWhatItNeeds(t *testing.T) {
	t.Parallel()
	endpoints := func() client.Endpoints { return client.Endpoints{} }
	for what, o := range map[string]client.DelegateOptions{
		"no transport":          {Endpoints: endpoints},
		"no endpoints":          {Transport: http.DefaultTransport},
		"kept too long":         {Transport: http.DefaultTransport, Endpoints: endpoints, Keep: 2 * time.Minute},
		"invalid_client passes": {Transport: http.DefaultTransport, Endpoints: endpoints, Accept: []string{"invalid_client"}},
	} {
		if _, err := client.NewDelegate(o); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestDelegateKeepsAnOutageApartFromAWrongSecret(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dex", "go-oauth2"} { // the second one tells strangers what it tells in an outage
		var down atomic.Bool
		l := named(name)
		l.before = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			if down.Load() {
				surprise.write(w)
			}
			return down.Load()
		}
		s := delegateTo(t, l)
		if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c == nil {
			t.Fatal(status)
		}
		down.Store(true)
		s.clock.advance(11 * time.Second)
		if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c != nil || status != 503 {
			t.Errorf("%s: %v, %d in an outage", name, c, status)
		}
		if c, _ := s.ask(t, client.MethodBasic, "web", "wrong"); c != nil {
			t.Errorf("%s: a wrong secret passes in an outage", name)
		}
		down.Store(false)
		if c, status := s.ask(t, client.MethodBasic, "web", realSecret); c == nil {
			t.Errorf("%s: %d after an outage", name, status)
		}
	}
}

func TestDelegateDoesNotTakeTroubleOfOneForTroubleOfAll(t *testing.T) {
	t.Parallel()
	// The firewall blocks an address after its first request.
	var mu sync.Mutex
	seen := map[string]int{}
	l := named("dex")
	l.before = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		addr := r.Header.Get("X-Forwarded-For")
		if seen[addr]++; addr == "bad" && seen[addr] > 1 {
			reply{403, "text/html", "<h1>blocked"}.write(w)
			return true
		}
		return false
	}
	s := delegateTo(t, l, func(o *client.DelegateOptions) {
		o.Prepare = func(req *http.Request) {
			addr, _ := req.Context().Value(sourceKey{}).(string)
			req.Header.Set("X-Forwarded-For", addr)
		}
	})
	if c, status := s.askFrom(t, "bad", client.MethodNone, "spa", ""); c != nil || status != 503 {
		t.Errorf("%v, %d", c, status)
	}
	if c, status := s.askFrom(t, "good", client.MethodBasic, "web", realSecret); c == nil {
		t.Errorf("another client from elsewhere: %d", status)
	}
	s.clock.advance(6 * time.Second)
	if c, status := s.askFrom(t, "good", client.MethodNone, "spa", ""); c == nil {
		t.Errorf("the same client from elsewhere: %d", status)
	}
}
