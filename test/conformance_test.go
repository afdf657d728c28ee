package test

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// conformancePrefix begins the name of every module of the OpenID conformance suite for FAPI 2.0.
const conformancePrefix = "fapi2-security-profile-final-"

// module is one test module of the OpenID conformance suite. It does to the gateway what the suite's does, as far as that
// is between a client or a browser and the gateway.
type module struct {
	name string
	run  func(*testing.T, *suite)
}

// parModules are those of pushed authorization requests.
var parModules = []module{
	{"par-attempt-reuse-request_uri", reuseAfterSuccess},
	{"par-attempt-to-use-expired-request_uri", useExpired},
	{"par-attempt-to-use-request_uri-for-different-client", useForDifferentClient},
	{"par-attempt-invalid-http-method", invalidMethod},
	{"par-authorization-request-containing-request_uri", requestURIInRequest},
	{"par-authorization-request-containing-request_uri-form-param", requestURIInForm},
	{"par-without-duplicate-parameters", withoutDuplicates},
	{"par-ensure-reused-request-uri-prior-to-auth-completion-succeeds", reuseBeforeLogin},
	{"par-test-array-as-audience-fails", func(t *testing.T, s *suite) { s.wantNoClient(t, "aud", []string{s.URL, s.URL + "/par"}) }},
	{"par-test-par-endpoint-url-as-audience-fails", func(t *testing.T, s *suite) { s.wantNoClient(t, "aud", s.URL+"/par") }},
	{"par-test-token-endpoint-url-as-audience-fails", func(t *testing.T, s *suite) { s.wantNoClient(t, "aud", s.URL+"/token") }},
	{"par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted", func(t *testing.T, s *suite) {
		created(t, s.push(t, s.request(), "nbf", s.in(8), "iat", s.in(8)))
	}},
	{"par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails", func(t *testing.T, s *suite) {
		s.wantNoClient(t, "nbf", s.in(62), "iat", s.in(62), "exp", s.in(122))
	}},
}

// authorizationModules are those of authorization requests and what they ask for.
var authorizationModules = []module{
	{"happy-flow", happyFlow},
	{"discovery-end-point-verification", discovery},
	{"user-rejects-authentication", userRejects},
	{"ensure-unsigned-authorization-request-without-using-par-fails", withoutPAR},
	{"ensure-registered-redirect-uri", unregisteredRedirectURI},
	{"plain-fapi-tolerate-unregistered-redirect-uri", tolerateUnregisteredRedirectURI},
	{"ensure-redirect-uri-in-authorization-request", func(t *testing.T, s *suite) {
		wantPushError(t, s.push(t, s.request("redirect_uri", nil)), 400, "invalid_request")
	}},
	{"ensure-other-scope-order-succeeds", func(t *testing.T, s *suite) { s.succeeds(t, s.request("scope", "email profile openid")) }},
	{"ensure-authorization-request-with-long-state", func(t *testing.T, s *suite) { s.succeeds(t, s.request("state", strings.Repeat("s", 1000))) }},
	{"ensure-authorization-request-with-long-nonce", func(t *testing.T, s *suite) { s.succeeds(t, s.request("nonce", strings.Repeat("n", 384))) }},
	{"ensure-authorization-request-with-64-char-nonce-success", func(t *testing.T, s *suite) { s.succeeds(t, s.request("nonce", strings.Repeat("n", 64))) }},
	{"ensure-authorization-request-without-state-success", func(t *testing.T, s *suite) { s.succeeds(t, s.request("state", nil)) }},
	{"ensure-authorization-request-without-nonce-success", func(t *testing.T, s *suite) { s.succeeds(t, s.request("nonce", nil)) }},
	{"state-only-outside-request-object-not-used", func(t *testing.T, s *suite) { s.succeedsBeside(t, s.request("state", nil), "state", "outside") }},
	{"ensure-different-state-inside-and-outside-request-object", func(t *testing.T, s *suite) { s.succeedsBeside(t, s.request(), "state", "outside") }},
	{"ensure-different-nonce-inside-and-outside-request-object", func(t *testing.T, s *suite) { s.succeedsBeside(t, s.request(), "nonce", "outside") }},
	{"test-claims-parameter-identity-claims", identityClaims},
	{"test-essential-acr-sca-claim", essentialACR},
}

// objectModules are those of FAPI 2.0 Message Signing, where every request is signed.
var objectModules = []module{
	{"ensure-unsigned-request-at-par-endpoint-fails", func(t *testing.T, s *suite) {
		unsigned := *s
		unsigned.signed = false
		wantPushError(t, unsigned.push(t, s.request()), 400, "invalid_request")
	}},
	{"ensure-matching-key-in-authorization-request", func(t *testing.T, s *suite) {
		s.wantNoObject(t, keySecond.Sign(s.claims(s.request())))
		s.wantNoObject(t, keySecond.Sign(s.claims(s.request()), "kid", keyFirst.KeyID))
	}},
	{"ensure-request-object-signature-algorithm-is-not-none", func(t *testing.T, s *suite) {
		object := keyFirst.Sign(s.claims(s.request()), "alg", "none")
		s.wantNoObject(t, object)
		s.wantNoObject(t, object[:strings.LastIndexByte(object, '.')+1])
	}},
	{"ensure-request-object-with-invalid-signature-fails", func(t *testing.T, s *suite) {
		object := keyFirst.Sign(s.claims(s.request()))
		end := strings.LastIndexByte(object, '.') + 1
		s.wantNoObject(t, object[:end]+keyFirst.Sign(s.claims(s.request()))[end:])
	}},
	{"ensure-expired-request-object-fails", func(t *testing.T, s *suite) { s.wantNoClaims(t, "exp", s.in(-300)) }},
	{"ensure-request-object-without-exp-fails", func(t *testing.T, s *suite) { s.wantNoClaims(t, "exp", nil) }},
	{"ensure-request-object-with-exp-over-60-fails", func(t *testing.T, s *suite) { s.wantNoClaims(t, "exp", s.in(70*60)) }},
	{"ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted", func(t *testing.T, s *suite) {
		created(t, s.pushSigned(t, keyFirst.Sign(s.claims(s.request(), "nbf", s.in(8)))))
	}},
	{"ensure-request-object-with-bad-aud-fails", func(t *testing.T, s *suite) { s.wantNoClaims(t, "aud", "https://www.other1.example.com/") }},
	{"ensure-request-object-with-multiple-aud-succeeds", func(t *testing.T, s *suite) {
		aud := []string{"https://other1.example.com", s.URL, "invalid"}
		created(t, s.pushSigned(t, keyFirst.Sign(s.claims(s.request(), "aud", aud))))
	}},
	{"ensure-request-object-without-redirect-uri-fails", func(t *testing.T, s *suite) {
		res := s.pushSigned(t, keyFirst.Sign(s.claims(s.request("redirect_uri", nil))))
		wantPushError(t, res, 400, "invalid_request")
	}},
}

// profileModules and profileObjectModules are those that only PROFILE=fapi2 passes, since its clients say nothing of
// themselves here that would have the same effect.
var (
	profileModules = []module{
		{"par-ensure-pkce-required", func(t *testing.T, s *suite) {
			wantPushError(t, s.push(t, s.request("code_challenge", nil, "code_challenge_method", nil)), 400, "invalid_request")
		}},
		{"par-plain-pkce-rejected", func(t *testing.T, s *suite) {
			wantPushError(t, s.push(t, s.request("code_challenge_method", "plain")), 400, "invalid_request")
			wantPushError(t, s.push(t, s.request("code_challenge_method", nil)), 400, "invalid_request")
		}},
		{"ensure-response-type-code-idtoken-fails", func(t *testing.T, s *suite) {
			wantPushError(t, s.push(t, s.request("response_type", "code id_token")), 400, "unsupported_response_type")
		}},
		{"ensure-response-type-token-fails", func(t *testing.T, s *suite) {
			wantPushError(t, s.push(t, s.request("response_type", "token")), 400, "unsupported_response_type")
		}},
	}
	profileObjectModules = []module{
		{"ensure-signed-request-object-with-RS256-fails", func(t *testing.T, s *suite) {
			created(t, s.pushSigned(t, keyRSA.Sign(s.claims(s.request()))))
			rs256 := harness.Signer{Algorithm: "RS256", KeyID: keyRSA.KeyID, Key: keyRSA.Key}
			s.wantNoObject(t, rs256.Sign(s.claims(s.request())))
		}},
		{"ensure-request-object-without-nbf-fails", func(t *testing.T, s *suite) { s.wantNoClaims(t, "nbf", nil) }},
		{"ensure-request-object-with-nbf-over-60-fails", func(t *testing.T, s *suite) { s.wantNoClaims(t, "nbf", s.in(-70*60)) }},
	}
)

// dpopModules are those of DPoP. That tokens are bound to the key is the upstream's, and shown with one that can.
var dpopModules = []module{
	{"ensure-dpop-auth-code-binding-success", func(t *testing.T, s *suite) {
		s.wantBoundTo(t, keyDPoP, created(t, s.push(t, s.request("dpop_jkt", keyDPoP.Thumbprint()))))
	}},
	{"ensure-dpopproof-at-par-endpoint-binding-success", func(t *testing.T, s *suite) {
		s.proof = s.prove(keyDPoP)
		s.wantBoundTo(t, keyDPoP, created(t, s.push(t, s.request())))
	}},
	{"ensure-mismatched-dpop-jkt-fails", func(t *testing.T, s *suite) {
		s.proof = s.prove(keyDPoP)
		wantPushError(t, s.push(t, s.request("dpop_jkt", keyOther.Thumbprint())), 400, "invalid_dpop_proof")
	}},
	{"ensure-dpopproof-with-iat-10seconds-before-succeeds", func(t *testing.T, s *suite) {
		s.proof = s.prove(keyDPoP, "iat", s.in(-10))
		s.wantBoundTo(t, keyDPoP, created(t, s.push(t, s.request())))
	}},
	{"ensure-dpopproof-with-iat-10seconds-after-succeeds", func(t *testing.T, s *suite) {
		s.proof = s.prove(keyDPoP, "iat", s.in(10))
		s.wantBoundTo(t, keyDPoP, created(t, s.push(t, s.request())))
	}},
}

func TestFAPI2SecurityProfileModules(t *testing.T) {
	t.Parallel()
	runModules(t, false, parModules, authorizationModules, dpopModules)
}

func TestFAPI2MessageSigningModules(t *testing.T) {
	t.Parallel()
	runModules(t, true, parModules, authorizationModules, objectModules, dpopModules)
}

func TestFAPI2ModulesOfTheProfile(t *testing.T) {
	t.Parallel()
	runModules(t, true, profileModules, profileObjectModules)
	t.Run("unsigned", func(t *testing.T) {
		t.Parallel()
		runModules(t, false, profileModules)
	})
}

// runModules runs each module against a gateway of its own.
func runModules(t *testing.T, signed bool, lists ...[]module) {
	for _, m := range slices.Concat(lists...) {
		t.Run(conformancePrefix+m.name, func(t *testing.T) {
			t.Parallel()
			m.run(t, newSuite(t, signed))
		})
	}
}

// The keys of the suite's two clients. The first has one of RSA too.
var (
	keyFirst  = harness.NewSigner("ES256", "first")
	keyRSA    = harness.NewSigner("PS256", "rsa")
	keySecond = harness.NewSigner("ES256", "second")
)

const (
	firstRedirect  = "https://suite.example/test/a/pargate/callback"
	secondRedirect = firstRedirect + "?dummy1=lorem&dummy2=ipsum"
)

// suite is a gateway, set up as FAPI 2.0 asks, with the suite's first client and a browser in front of it.
type suite struct {
	*harness.Gateway
	id      string
	key     *harness.Signer
	browser *harness.Browser
	clock   *clock
	signed  bool   // requests are pushed as request objects, which the clients must do
	proof   string // DPoP proof that is sent with pushes; empty: none is
}

func newSuite(t *testing.T, signed bool) *suite {
	t.Helper()
	must := ""
	if signed {
		must = `"require_signed_request_object": true, `
	}
	s := &suite{id: "first", key: keyFirst, clock: newClock(), signed: signed}
	setup := harness.Setup{
		Clients: `[
			{"client_id": "first", ` + must + `"token_endpoint_auth_method": "private_key_jwt", "redirect_uris": ["` + firstRedirect + `"], "jwks": ` + harness.KeySet(keyFirst, keyRSA) + `},
			{"client_id": "second", ` + must + `"token_endpoint_auth_method": "private_key_jwt", "redirect_uris": ["` + secondRedirect + `"], "jwks": ` + harness.KeySet(keySecond) + `}
		]`,
		FAPI:    true,
		Store:   pushstore.NewMemory(pushstore.MemoryOptions{Now: s.clock.Now}),
		Options: func(o *proxy.Options) { o.Now = s.clock.Now },
		Upstream: func(r *upstream.Recorder) {
			knowsDPoP(`["ES256"]`)(r)
			r.Handlers["/reject"] = func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Location", req.URL.Query().Get("to"))
				w.WriteHeader(http.StatusFound)
			}
		},
	}
	s.Gateway = harness.Start(t, setup)
	s.browser = harness.NewBrowser(s.URL)
	return s
}

// second is the suite's other client, at the same gateway, with another browser.
func (s *suite) second() *suite {
	other := *s
	other.id, other.key, other.browser = "second", keySecond, harness.NewBrowser(s.URL)
	return &other
}

// in is the time so many seconds from now, as tokens have it.
func (s *suite) in(seconds int64) int64 { return s.clock.Now().Unix() + seconds }

// request is a right authorization request of the client, with the named changes.
func (s *suite) request(changes ...any) map[string]any {
	redirect := firstRedirect
	if s.id == "second" {
		redirect = secondRedirect
	}
	request := map[string]any{"response_type": "code", "client_id": s.id, "redirect_uri": redirect, "scope": "openid profile email",
		"state": rand.Text(), "nonce": rand.Text(), "code_challenge": rand.Text() + rand.Text(), "code_challenge_method": "S256"}
	return harness.Changed(request, changes...)
}

// claims are those of a request object with the request in it, with changes.
func (s *suite) claims(request map[string]any, changes ...any) map[string]any {
	claims := maps.Clone(request)
	maps.Copy(claims, map[string]any{"iss": s.id, "aud": s.URL, "exp": s.in(300), "nbf": s.in(0)})
	return harness.Changed(claims, changes...)
}

// push pushes a request with an assertion, of which the changes are.
func (s *suite) push(t *testing.T, request map[string]any, assertion ...any) harness.Response {
	t.Helper()
	if s.signed {
		return s.pushForm(t, url.Values{"request": {s.key.Sign(s.claims(request))}}, assertion...)
	}
	return s.pushForm(t, asForms(request), assertion...)
}

func (s *suite) pushSigned(t *testing.T, object string) harness.Response {
	t.Helper()
	return s.pushForm(t, url.Values{"request": {object}})
}

func (s *suite) pushForm(t *testing.T, form url.Values, assertion ...any) harness.Response {
	t.Helper()
	signed := s.key.Sign(harness.Claims(s.id, s.URL, s.clock.Now(), assertion...))
	form.Set("client_id", s.id)
	return pushOf(t, s.Gateway, harness.Assert(form, signed).Encode(), func(r *http.Request) {
		if s.proof != "" {
			r.Header.Set("DPoP", s.proof)
		}
	})
}

// prove makes a DPoP proof for a push, with the named changes of its claims.
func (s *suite) prove(key *harness.Signer, changes ...any) string {
	return key.Prove(harness.ProofClaims(s.URL+"/par", s.clock.Now(), changes...))
}

// wantBoundTo checks that the upstream is asked to bind the code to the key.
func (s *suite) wantBoundTo(t *testing.T, key *harness.Signer, requestURI string) {
	t.Helper()
	s.browser.Open(t, s.id, requestURI)
	if got := s.Upstream.Last().Query().Get("dpop_jkt"); got != key.Thumbprint() {
		t.Errorf("dpop_jkt is %q, want the thumbprint of the key", got)
	}
}

// asForms is a request as a form says it.
func asForms(request map[string]any) url.Values {
	form := url.Values{}
	for name, value := range request {
		text, is := value.(string)
		if !is {
			encoded, _ := json.Marshal(value) // of maps and texts
			text = string(encoded)
		}
		form.Set(name, text)
	}
	return form
}

// wantNoClient checks that an assertion with the changes authenticates nobody.
func (s *suite) wantNoClient(t *testing.T, changes ...any) {
	t.Helper()
	wantPushError(t, s.push(t, s.request(), changes...), 401, "invalid_client")
	created(t, s.push(t, s.request()))
}

// wantNoObject checks that a request object is refused by the push endpoint. As one by value every object is refused here:
// FAPI 2.0 requires PAR.
func (s *suite) wantNoObject(t *testing.T, object string) {
	t.Helper()
	wantPushError(t, s.pushSigned(t, object), 400, "invalid_request_object")
	wantUntouched(t, s.Gateway)
}

// wantNoClaims is wantNoObject for an object that is right but for these claims.
func (s *suite) wantNoClaims(t *testing.T, changes ...any) {
	t.Helper()
	s.wantNoObject(t, s.key.Sign(s.claims(s.request(), changes...)))
}

// wantCallback checks the authorization response of a request.
func (s *suite) wantCallback(t *testing.T, res harness.Response, request map[string]any) {
	t.Helper()
	callback, err := url.Parse(res.Location)
	if err != nil || !strings.HasPrefix(res.Location, request["redirect_uri"].(string)) {
		t.Fatalf("the login ends with %d %s %s", res.Status, res.Location, res.Body)
	}
	got := callback.Query()
	state, _ := request["state"].(string)
	if got.Get("code") == "" || got.Get("state") != state || got.Has("state") != (state != "") || got.Get("iss") != s.URL || got.Has("error") {
		t.Errorf("the authorization response is %s, want a code, the state %q and the issuer", res.Location, state)
	}
}

// wantAsked checks that the upstream was asked for exactly the request.
func (s *suite) wantAsked(t *testing.T, request map[string]any) {
	t.Helper()
	for _, r := range slices.Backward(s.Upstream.Requests()) {
		if r.Path() == "/authorize" {
			if got := r.Query(); !maps.EqualFunc(got, asForms(request), slices.Equal) {
				t.Errorf("the upstream was asked for\n%v, want\n%v", got, asForms(request))
			}
			return
		}
	}
	t.Error("the upstream was not asked")
}

// succeeds pushes the request, goes through the login and checks its end. Beside the reference stands what a client that
// knows RFC 6749 alone repeats there.
func (s *suite) succeeds(t *testing.T, request map[string]any) {
	t.Helper()
	s.succeedsBeside(t, request, "response_type", "code", "scope", "openid profile email", "redirect_uri", request["redirect_uri"].(string))
}

// succeedsBeside is succeeds with other parameters beside the reference, which have no effect.
func (s *suite) succeedsBeside(t *testing.T, request map[string]any, beside ...string) {
	t.Helper()
	target := harness.Short(s.id, created(t, s.push(t, request)))
	for i := 0; i+1 < len(beside); i += 2 {
		target += "&" + beside[i] + "=" + oauth.Escape(beside[i+1])
	}
	s.wantCallback(t, s.browser.LogIn(t, s.browser.Get(t, target)), request)
	s.wantAsked(t, request)
}

func happyFlow(t *testing.T, s *suite) {
	for _, each := range []*suite{s, s.second()} {
		res := each.push(t, each.request())
		uri := created(t, res)
		if seconds, _ := res.JSON(t)["expires_in"].(float64); seconds < 5 || seconds >= 600 {
			t.Errorf("expires_in = %v", res.JSON(t)["expires_in"])
		}
		if got := res.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("Cache-Control %q, Content-Type %q", got, res.Header.Get("Content-Type"))
		}
		// 128 bits at least (RFC 9126 §7.1): base64url has six in each character.
		if random := strings.TrimPrefix(uri, oauth.RequestURIPrefix); len(random)*6 < 128 || random == uri {
			t.Errorf("request_uri = %s", uri)
		}
		each.succeeds(t, each.request())
	}
}

func discovery(t *testing.T, s *suite) {
	for _, path := range []string{oidcPath, oauthPath} {
		document := s.browser.Get(t, path).JSON(t)
		for name, want := range map[string]any{"issuer": s.URL, "pushed_authorization_request_endpoint": s.URL + "/par",
			"require_pushed_authorization_requests": true, "authorization_response_iss_parameter_supported": true, "authorization_endpoint": s.URL + "/authorize"} {
			if document[name] != want {
				t.Errorf("%s: %s = %v, want %v", path, name, document[name], want)
			}
		}
	}
}

func userRejects(t *testing.T, s *suite) {
	request := s.request()
	s.browser.Follow(t, s.browser.Get(t, harness.Short(s.id, created(t, s.push(t, request)))))
	to := firstRedirect + "?error=access_denied&state=" + request["state"].(string)
	res := s.browser.Get(t, "/reject?to="+url.QueryEscape(to))
	if want := to + "&iss=" + url.QueryEscape(s.URL); res.Location != want {
		t.Errorf("the refusal is %d %s, want %s", res.Status, res.Location, want)
	}
}

func reuseAfterSuccess(t *testing.T, s *suite) {
	request := s.request()
	target := harness.Short(s.id, created(t, s.push(t, request)))
	s.wantCallback(t, s.browser.LogIn(t, s.browser.Get(t, target)), request)
	asked := len(s.Upstream.Requests())
	for _, again := range []*harness.Browser{s.browser, harness.NewBrowser(s.URL)} {
		wantPage(t, s.Gateway, again.Follow(t, again.Get(t, target)), 400, "invalid_request_uri")
	}
	if n := len(s.Upstream.Requests()); n != asked {
		t.Errorf("the upstream got %d more requests", n-asked)
	}
}

func useExpired(t *testing.T, s *suite) {
	res := s.push(t, s.request())
	target := harness.Short(s.id, created(t, res))
	s.clock.advance(time.Duration(res.JSON(t)["expires_in"].(float64)+1) * time.Second)
	wantPage(t, s.Gateway, s.browser.Get(t, target), 400, "invalid_request_uri")
	wantUntouched(t, s.Gateway)
}

func useForDifferentClient(t *testing.T, s *suite) {
	request := s.request()
	uri := created(t, s.push(t, request))
	wantPage(t, s.Gateway, s.second().browser.Get(t, harness.Short("second", uri)), 400, "invalid_request_uri")
	wantUntouched(t, s.Gateway)
	s.wantCallback(t, s.browser.LogIn(t, s.browser.Get(t, harness.Short(s.id, uri))), request)
}

func invalidMethod(t *testing.T, s *suite) {
	form := harness.Assert(asForms(s.request()), s.key.Sign(harness.Claims(s.id, s.URL, s.clock.Now())))
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		wantPushError(t, s.browser.Do(t, method, "/par", strings.NewReader(form.Encode()), asForm), 405, "invalid_request")
	}
	wantPushError(t, s.browser.Get(t, "/par"), 405, "invalid_request")
	wantUntouched(t, s.Gateway)
}

func requestURIInRequest(t *testing.T, s *suite) {
	code := "invalid_request"
	if s.signed {
		code = "invalid_request_object"
	}
	wantPushError(t, s.push(t, s.request("request_uri", oauth.RequestURIPrefix+rand.Text())), 400, code)
}

func requestURIInForm(t *testing.T, s *suite) {
	form := asForms(s.request())
	if s.signed {
		form = url.Values{"request": {s.key.Sign(s.claims(s.request()))}}
	}
	form.Set("request_uri", oauth.RequestURIPrefix+rand.Text())
	wantPushError(t, s.pushForm(t, form), 400, "invalid_request")
}

func withoutDuplicates(t *testing.T, s *suite) { s.succeedsBeside(t, s.request()) }

func reuseBeforeLogin(t *testing.T, s *suite) {
	request := s.request()
	target := harness.Short(s.id, created(t, s.push(t, request)))
	s.browser.Follow(t, s.browser.Get(t, target)) // the login page is seen, and nothing done
	s.wantCallback(t, s.browser.LogIn(t, s.browser.Get(t, target)), request)
}

func withoutPAR(t *testing.T, s *suite) {
	wantPage(t, s.Gateway, s.browser.Get(t, "/authorize?"+asForms(s.request()).Encode()), 400, "invalid_request")
	wantPage(t, s.Gateway, s.browser.Post(t, "/authorize", asForms(s.request()).Encode()), 400, "invalid_request")
	wantUntouched(t, s.Gateway)
}

func unregisteredRedirectURI(t *testing.T, s *suite) {
	for _, uri := range []string{firstRedirect + rand.Text(), firstRedirect + "?x=y", "https://suite.example:8443/test/a/pargate/callback", strings.ToUpper(firstRedirect)} {
		wantPushError(t, s.push(t, s.request("redirect_uri", uri)), 400, "invalid_request")
	}
}

// The suite leaves the choice: here it is refused, since the client has registered others.
func tolerateUnregisteredRedirectURI(t *testing.T, s *suite) {
	wantPushError(t, s.push(t, s.request("redirect_uri", firstRedirect+"/"+rand.Text())), 400, "invalid_request")
	s.succeeds(t, s.request())
}

func identityClaims(t *testing.T, s *suite) {
	asked := map[string]any{"email": nil, "given_name": map[string]any{"essential": true}, "family_name": map[string]any{"essential": false},
		"name": map[string]any{"values": []any{"Für", "1+1"}}, "vnd-" + rand.Text(): nil}
	s.succeeds(t, s.request("claims", map[string]any{"id_token": asked, "userinfo": asked}))
}

func essentialACR(t *testing.T, s *suite) {
	acr := map[string]any{"essential": true, "values": []any{"urn:openbanking:psd2:sca"}}
	s.succeeds(t, s.request("claims", map[string]any{"id_token": map[string]any{"acr": acr}}))
}
