package test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pargate/proxy"
	"pargate/proxy/metrics"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestPushesAreCountedByTheirOutcome(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: memory()}
	g, m := metered(t, harness.Setup{Store: store, Options: func(o *proxy.Options) { o.MaxQueryBytes = 2000 }})
	push := func(form url.Values, change ...func(*http.Request)) func() {
		return func() { pushOf(t, g, form.Encode(), change...) }
	}
	m.moves(t, "a push", push(harness.Form(), asWeb), pushed("created"), one("push_redirect_uri_checks_total", "by", "registry"),
		`pargate_http_requests_total{code="2xx",method="POST",route="par"}`, `pargate_http_request_duration_seconds_count{code="2xx",route="par"}`,
		`pargate_client_authentications_total{by="file",method="client_secret_basic",result="ok"}`,
		`pargate_store_operation_duration_seconds_count{op="put",result="ok"}`)
	m.moves(t, "a wrong secret", push(harness.Form(), basic("web", "wrong")), pushed("invalid_client"),
		`pargate_client_authentications_total{by="file",method="client_secret_basic",result="refused"}`, `pargate_http_requests_total{code="4xx",method="POST",route="par"}`)
	m.moves(t, "a client of the file without redirect_uris", push(harness.Form("client_id", "post", "client_secret", "p0st")), pushed("created"),
		one("push_redirect_uri_checks_total", "by", "nobody"), `pargate_client_authentications_total{by="file",method="client_secret_post",result="ok"}`)
	m.moves(t, "a public client", push(harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb")), pushed("created"),
		`pargate_client_authentications_total{by="file",method="none",result="ok"}`)
	m.moves(t, "no response_type", push(harness.Form("response_type", ""), asWeb), pushed("invalid_request"))
	m.moves(t, "a GET", func() { harness.NewBrowser(g.URL).Get(t, "/par") }, pushed("invalid_request"))
	m.moves(t, "much", push(harness.Form("claims", `{"a":"`+strings.Repeat("x", 3000)+`"}`), asWeb), pushed("too_large"))
	m.moves(t, "a DPoP header", push(harness.Form(), asWeb, withProof("x")), pushed("created"), one("dpop_proofs_total", "result", "ignored"))
	store.broken.Store(true)
	m.moves(t, "a broken store", push(harness.Form(), asWeb), pushed("store_error"), `pargate_store_operation_duration_seconds_count{op="put",result="error"}`)
	m.is(t, "pargate_store_up", 0)
	store.broken.Store(false)
	m.is(t, "pargate_store_up", 1)
	m.is(t, "pargate_clients", 4)
}

func TestAFullStoreAndALimitAreCounted(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{Store: pushstore.NewMemory(pushstore.MemoryOptions{MaxBytes: 1 << 12}), Options: func(o *proxy.Options) { o.PushRate = 0.001 }})
	m.moves(t, "no room", func() { pushOf(t, g, harness.Form("claims", `{"a":"`+strings.Repeat("x", 3000)+`"}`).Encode(), asWeb) }, pushed("store_full"),
		`pargate_store_operation_duration_seconds_count{op="put",result="full"}`)
	m.moves(t, "more than RATE_LIMIT", func() { pushOf(t, g, harness.Form().Encode(), asWeb) }, pushed("rate_limited"), one("rate_limited_total", "what", "pushes"))
}

func TestAuthorizationRequestsAreCountedByTheirOutcome(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: memory()}
	g, m := metered(t, harness.Setup{Store: store})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	short := harness.Short("web", uri)
	get := func(b *harness.Browser, target string) func() { return func() { b.Get(t, target) } }
	m.moves(t, "a first visit", get(b, short), authorized("bounced"), `pargate_http_requests_total{code="3xx",method="GET",route="authorize"}`,
		`pargate_store_operation_duration_seconds_count{op="look",result="ok"}`)
	m.moves(t, "the second one", get(b, short+"&pargate=1"), authorized("expanded"), `pargate_upstream_request_duration_seconds_count{code="3xx",route="authorize"}`,
		`pargate_store_operation_duration_seconds_count{op="open",result="ok"}`)
	m.moves(t, "another browser", get(harness.NewBrowser(g.URL), short), authorized("unknown_or_used"))
	m.moves(t, "one without cookies", get(harness.NewBrowser(g.URL), short+"&pargate=1"), authorized("cookie_missing"))
	m.moves(t, "HEAD", func() { b.Do(t, "HEAD", short, nil) }, authorized("head"), `pargate_http_requests_total{code="2xx",method="HEAD",route="authorize"}`)
	m.moves(t, "a client_id too many", get(b, short+"&client_id=x"), authorized("malformed"))
	m.moves(t, "one that was not pushed", get(b, "/authorize?client_id=x&response_type=code&redirect_uri=https://x.example"), authorized("passed_unpushed"))
	m.moves(t, "the same on another path", get(b, "/index.php?client_id=x&response_type=code"), authorized("passed_unpushed"), `pargate_http_requests_total{code="2xx",method="GET",route="other"}`)
	m.moves(t, "a form that names the flow", func() { b.Post(t, "/authorize/consent", "client_id=web&state=st4te&scope=openid&ok=1") }, authorized("bound"))
	m.moves(t, "a page", get(b, "/login?lang=de"), authorized("passed_unpushed")+" 0", authorized("bound")+" 0")
	m.moves(t, "no method of this endpoint", func() { b.Do(t, "PUT", short, nil) }, authorized("refused"))
	store.broken.Store(true)
	m.moves(t, "a broken store", get(harness.NewBrowser(g.URL), short), authorized("store_error"))
	store.broken.Store(false)
	b.LogIn(t, b.Get(t, short))
	m.moves(t, "the used one", get(b, short), authorized("used_by_owner"))
}

func TestWhereRequestsMustBePushedTheOthersAreCounted(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{
		Options:  func(o *proxy.Options) { o.PARRequired = true },
		Upstream: func(r *upstream.Recorder) { r.Handlers["/stray"] = redirectTo("https://app.example/cb?code=x") },
	})
	b := harness.NewBrowser(g.URL)
	m.moves(t, "one that was not pushed", func() { b.Get(t, "/authorize?client_id=web&response_type=code") }, authorized("refused_unpushed"))
	m.moves(t, "on another path", func() { b.Get(t, "/x?client_id=web&response_type=code") }, authorized("refused_unpushed"))
	m.moves(t, "a code for nobody", func() { b.Get(t, "/stray") }, answered("stray_refused"))
}

func redirectTo(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}
}

func TestReferencesOfAnUpstreamThatOffersPARAreCounted(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Metadata = map[string]string{oidcPath: r.Document(`,"pushed_authorization_request_endpoint":"` + r.Issuer + `/native"`)}
	}})
	for _, uri := range []string{"urn:ietf:params:oauth:request_uri:native", "urn:ietf:params:oauth:request_uri:" + strings.Repeat("A", 43)} {
		m.moves(t, uri, func() { harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri)) }, authorized("passed_native"), authorized("passed_unpushed")+" 0")
	}
}

func TestFlowsAndTheirResponsesAreCounted(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/denied"] = redirectTo("https://app.example/cb?error=access_denied&state=st4te")
		r.Handlers["/other"] = redirectTo("https://app.example/cb?code=x&state=another")
		r.Handlers["/mixed"] = redirectTo("https://app.example/cb?code=x&state=st4te&iss=https://evil.example")
	}})
	b := harness.NewBrowser(g.URL)
	uri := g.Push(t, "web", "s3cret", harness.Form())
	var at harness.Response
	m.moves(t, "a claim", func() { at = b.Open(t, "web", uri) }, flow("opened"), "pargate_push_to_authorize_seconds_count", `pargate_push_to_authorize_seconds_bucket{le="5"}`)
	m.moves(t, "a reload", func() { b.Get(t, harness.Short("web", uri)+"&pargate=1") }, flow("opened")+" 0", authorized("expanded"))
	m.moves(t, "a response that is nobody's", func() { b.Get(t, "/other") }, answered("unassigned"), flow("finished")+" 0")
	m.moves(t, "the response", func() { b.LogIn(t, at) }, flow("finished"), answered("passed"))

	second := harness.NewBrowser(g.URL)
	uri = g.Push(t, "web", "s3cret", harness.Form())
	second.Open(t, "web", uri)
	before := second.Cookies()
	m.moves(t, "an error", func() { second.Get(t, "/denied") }, flow("finished"), answered("passed_error"), answered("passed")+" 0")
	for _, cookie := range before {
		second.SetCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value, Path: "/"})
	}
	m.moves(t, "a second response", func() { second.Get(t, "/denied") }, answered("second_refused"), flow("finished")+" 0")

	third := harness.NewBrowser(g.URL)
	third.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	m.moves(t, "another issuer", func() { third.Get(t, "/mixed") }, answered("other_issuer"), answered("passed")+" 0")

	many := harness.NewBrowser(g.URL)
	for range 5 {
		many.Get(t, harness.Short("web", g.Push(t, "web", "s3cret", harness.Form())))
	}
	uri = g.Push(t, "web", "s3cret", harness.Form())
	m.moves(t, "a sixth flow", func() { many.Get(t, harness.Short("web", uri)) }, flow("evicted"))
}

func TestFlowsThatAreGoneAndResponsesThatTheStoreCannotVouchForAreCounted(t *testing.T) {
	t.Parallel()
	c := newClock()
	store := &brokenStore{Store: pushstore.NewMemory(pushstore.MemoryOptions{Now: c.Now, FlowTTL: 30 * time.Minute})}
	g, m := metered(t, harness.Setup{Store: store})
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	store.broken.Store(true)
	m.moves(t, "the store is broken", func() { b.Get(t, "/login/done?id=1") }, answered("store_error"), flow("finished")+" 0")
	store.broken.Store(false)
	c.advance(31 * time.Minute)
	m.moves(t, "the flow is over", func() { b.Get(t, "/login/done?id=1") }, flow("gone"), flow("finished")+" 0",
		`pargate_store_operation_duration_seconds_count{op="flow",result="no"}`)
}

func TestChangedParametersAreCountedByNamesThatAreKnown(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = true }})
	b := harness.NewBrowser(g.URL)
	uri := g.Push(t, "web", "s3cret", harness.Form("vendor", "v3ndor-hint"))
	b.Open(t, "web", uri)
	m.moves(t, "beside a reference", func() { b.Get(t, harness.Short("web", uri)+"&state=evil&resume_me=1") }, overwritten("state"), "pargate_resume_keys_dropped_total")
	m.moves(t, "in a form", func() {
		b.Post(t, "/authorize", "client_id=web&state=st4te&vendor=other&claims=%7B%7D&redirect_uri=https://evil.example&kept=1")
	},
		overwritten("claims"), overwritten("redirect_uri"), overwritten("other"), "pargate_resume_keys_dropped_total 0")
}

func TestPushedValuesInCookiesOfTheUpstreamAreCounted(t *testing.T) {
	t.Parallel()
	const state, nonce = "st4te/of+the flow", "n0nce-n0nce"
	for name, cookie := range map[string]struct {
		value string
		grows []string
	}{
		"nothing":            {"an opaque value; Path=/", nil},
		"plain":              {nonce + "; Path=/", []string{"nonce"}},
		"percent-encoded":    {url.QueryEscape(url.PathEscape("x="+state)) + "; Path=/", []string{"state"}},
		"a signed token":     {"e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"s":"st4te\/of+the flow","n":"`+nonce+`"}`)) + ".c2ln", []string{"state", "nonce"}},
		"base64, percent":    {url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("..." + nonce + ".."))), []string{"nonce"}},
		"a vendor's, quoted": {`"v3ndor-hint"`, []string{"other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, m := metered(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Handlers["/authorize"] = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "LOGIN="+cookie.value) }
			}})
			want := map[string]int{"state": 0, "nonce": 0, "other": 0, "scope": 0, "response_type": 0}
			for _, each := range cookie.grows {
				want[each] = 1
			}
			var series []string
			for each, by := range want {
				series = append(series, fmt.Sprint(one("pushed_values_in_cookies_total", "parameter", each), " ", by))
			}
			uri := g.Push(t, "web", "s3cret", harness.Form("state", state, "nonce", nonce, "vendor", "v3ndor-hint"))
			m.moves(t, "the login page", func() { harness.NewBrowser(g.URL).Open(t, "web", uri) }, series...)
		})
	}
}

func TestAssertionsAreCountedByTheirAudience(t *testing.T) {
	t.Parallel()
	signer := harness.NewSigner("ES256", "")
	g, m := metered(t, harness.Setup{Clients: `[{"client_id": "signer", "token_endpoint_auth_method": "private_key_jwt", "jwks": ` + harness.KeySet(signer) + `}]`})
	for _, c := range []struct {
		audience       any
		kind, accepted string
	}{
		{g.URL, "issuer", "yes"}, {g.URL + "/token", "token_endpoint", "yes"}, {g.URL + "/par", "push_endpoint", "yes"}, {"https://evil.example", "other", "no"},
		{[]string{g.URL}, "issuer_array", "yes"}, {[]string{g.URL, "x"}, "several", "yes"},
	} {
		form := harness.Form("client_id", "signer", "redirect_uri", "https://app.example/cb")
		assertion := signer.Sign(harness.Claims("signer", g.URL, time.Now(), "aud", c.audience))
		m.moves(t, fmt.Sprint(c.audience), func() { pushOf(t, g, harness.Assert(form, assertion).Encode()) },
			`pargate_client_assertions_total{accepted="`+c.accepted+`",audience="`+c.kind+`"}`)
	}
	m.moves(t, "an assertion", func() {
		pushOf(t, g, harness.Assert(harness.Form("client_id", "signer"), signer.Sign(harness.Claims("signer", g.URL, time.Now()))).Encode())
	}, `pargate_client_authentications_total{by="file",method="private_key_jwt",result="ok"}`, `pargate_store_operation_duration_seconds_count{op="mark",result="ok"}`)
}

func TestFetchesOfKeySetsAreCounted(t *testing.T) {
	t.Parallel()
	signer := harness.NewSigner("ES256", "")
	var broken atomic.Bool
	publisher := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, harness.KeySet(signer))
	}))
	defer publisher.Close()
	roots := x509.NewCertPool()
	roots.AddCert(publisher.Certificate())
	c := newClock()
	g, m := metered(t, harness.Setup{
		Clients: `[{"client_id": "signer", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "` + publisher.URL + `"}]`,
		Options: func(o *proxy.Options) { o.AllowPrivateKeySets, o.KeySetRoots, o.Now = true, roots, c.Now },
	})
	push := func() {
		pushOf(t, g, harness.Assert(harness.Form("client_id", "signer"), signer.Sign(harness.Claims("signer", g.URL, c.Now()))).Encode())
	}
	m.moves(t, "the first push", push, one("key_set_fetches_total", "result", "ok"), pushed("created"))
	m.moves(t, "another push", push, one("key_set_fetches_total", "result", "ok")+" 0", pushed("created"))
	broken.Store(true)
	c.advance(6 * time.Minute)
	m.moves(t, "one with an old key set", push, one("key_set_fetches_total", "result", "failed"), pushed("created"))
}

func TestLoginsByRequestObjectsAreCountedAndLimited(t *testing.T) {
	t.Parallel()
	signer := harness.NewSigner("ES256", "")
	g, m := metered(t, harness.Setup{
		Clients: `[{"client_id": "signs", "client_secret": "s", "redirect_uris": ["https://app.example/cb"], "jwks": ` + harness.KeySet(signer) + `}]`,
		Options: func(o *proxy.Options) { o.PushRate = 0.001 },
	})
	get := func(object string) func() {
		return func() { harness.NewBrowser(g.URL).Get(t, "/authorize?client_id=signs&request="+object) }
	}
	m.moves(t, "one that nobody has signed", get("e30.e30.e30"), authorized("refused"), authorized("passed_unpushed")+" 0")
	m.moves(t, "another one at once", get("e30.e30.e30"), authorized("refused"), one("rate_limited_total", "what", "request_objects"))
}

func TestQuestionsAboutClientsAreCounted(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g, m := metered(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) },
		Options:  func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
	})
	pushAs := func(secret string) func() {
		return func() { pushOf(t, g, harness.Form("client_id", "legacy").Encode(), basic("legacy", secret)) }
	}
	m.moves(t, "right", pushAs("l3gacy"), `pargate_client_authentications_total{by="upstream",method="client_secret_basic",result="ok"}`,
		`pargate_client_probes_total{answer="candidate",probe="code"}`, one("push_redirect_uri_checks_total", "by", "nobody"))
	m.moves(t, "wrong", pushAs("wrong"), `pargate_client_authentications_total{by="upstream",method="client_secret_basic",result="refused"}`,
		`pargate_client_probes_total{answer="refused",probe="code"}`, `pargate_upstream_request_duration_seconds_count{code="4xx",route="probe"}`, pushed("invalid_client"))
}

func TestDryRunsAndProofsAreCounted(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{
		Clients: `[{"client_id": "web", "client_secret": "s3cret"}]`,
		Options: func(o *proxy.Options) { o.DryRun = true },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/authorize"] = func(w http.ResponseWriter, req *http.Request) {
				dryAnswer(302, "https://app.example/cb?error="+req.URL.Query().Get("error_wanted"), "", "")(w, req)
			}
			knowsDPoP(`["ES256"]`)(r)
		},
	})
	push := func(failure string, change ...func(*http.Request)) func() {
		return func() { pushOf(t, g, harness.Form("error_wanted", failure).Encode(), append(change, asWeb)...) }
	}
	m.moves(t, "accepted", push("login_required"), one("dry_runs_total", "opinion", "accepted"), one("push_redirect_uri_checks_total", "by", "dry_run"), pushed("created"))
	m.moves(t, "rejected", push("invalid_scope"), one("dry_runs_total", "opinion", "rejected"), pushed("refused_by_dry_run"))
	m.moves(t, "no opinion", push("server_error"), one("dry_runs_total", "opinion", "none"), one("push_redirect_uri_checks_total", "by", "nobody"))
	m.moves(t, "a proof", push("login_required", withProof(prove(g))), one("dpop_proofs_total", "result", "taken"))
	m.moves(t, "no proof", push("login_required", withProof("x")), one("dpop_proofs_total", "result", "refused"), pushed("invalid_dpop_proof"))
}

func TestTheUpstreamIsMeasured(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g, m := metered(t, harness.Setup{
		Options: func(o *proxy.Options) { o.MaxResponses = 4 },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
			r.Handlers["/slow"] = func(http.ResponseWriter, *http.Request) { <-release }
		},
	})
	b := harness.NewBrowser(g.URL)
	m.is(t, "pargate_upstream_up", 1)
	if m.read(t)[one("metadata_refreshes_total", "result", "ok")] < 1 {
		t.Error("the first reading of the metadata is not counted")
	}
	m.moves(t, "no answer", func() { b.Get(t, "/cut") }, `pargate_upstream_request_duration_seconds_count{code="none",route="other"}`, `pargate_http_requests_total{code="5xx",method="GET",route="other"}`)
	m.is(t, "pargate_upstream_up", 0)
	m.moves(t, "an answer", func() { b.Get(t, "/x") }, `pargate_upstream_request_duration_seconds_count{code="2xx",route="other"}`)
	m.is(t, "pargate_upstream_up", 1)
	m.is(t, one("upstream_slots", "kind", "response"), 4)
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			harness.NewBrowser(g.URL).Get(t, "/slow")
		}()
	}
	harness.WaitFor(t, "four requests in flight", func() bool {
		now := m.read(t)
		return now[one("upstream_slots_in_use", "kind", "forward")] == 4 && now["pargate_http_requests_in_flight"] >= 4
	})
	m.moves(t, "a fifth", func() { b.Get(t, "/x") }, one("upstream_refused_total", "kind", "response"))
	close(release)
	for range 4 {
		<-done
	}
}

// silentStore does not answer when it is asked whether it is there.
type silentStore struct{ pushstore.Store }

func (silentStore) Ping(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAStoreThatNeverAnswersHoldsUpNoScrape(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics.New(registry).ReadStore(silentStore{}.Ping)
	began := time.Now()
	(&meter{registry: registry}).is(t, "pargate_store_up", 0)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}
