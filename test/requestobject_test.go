package test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// The clients that sign their requests, all but one with the key keyCJ, and two that do not.
var objectClients = `[
	{"client_id": "signs", "client_secret": "s", "redirect_uris": ["https://app.example/cb"], "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "must", "client_secret": "s", "require_signed_request_object": true, "request_object_signing_alg": "ES256", "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "pushes", "client_secret": "s", "require_pushed_authorization_requests": true, "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "both", "client_secret": "s", "require_pushed_authorization_requests": true, "require_signed_request_object": true, "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "jwt", "token_endpoint_auth_method": "private_key_jwt", "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "spa", "token_endpoint_auth_method": "none", "redirect_uris": ["https://app.example/cb"], "jwks": ` + harness.KeySet(keyCJ) + `},
	{"client_id": "other", "client_secret": "s", "jwks": ` + harness.KeySet(keyCS) + `},
	{"client_id": "web", "client_secret": "s"},
	{"client_id": "public", "token_endpoint_auth_method": "none"}
]`

func withObjects(setup harness.Setup) harness.Setup {
	if setup.Clients == "" {
		setup.Clients = objectClients
	}
	return setup
}

// requestClaims are the claims of a right request object for the gateway, with the named changes.
func requestClaims(g *harness.Gateway, id string, changes ...any) map[string]any {
	claims := map[string]any{"iss": id, "aud": g.URL, "exp": time.Now().Add(time.Minute).Unix(), "nbf": time.Now().Unix()}
	for name, values := range harness.Form("client_id", id, "nonce", "n0nce") {
		claims[name] = values[0]
	}
	return harness.Changed(claims, changes...)
}

func objectOf(g *harness.Gateway, id string, changes ...any) string {
	return keyCJ.Sign(requestClaims(g, id, changes...))
}

// pushObject pushes a request object, with further pairs of name and value beside it.
func pushObject(t *testing.T, g *harness.Gateway, id, object string, beside ...string) harness.Response {
	t.Helper()
	form := url.Values{"client_id": {id}, "request": {object}}
	for i := 0; i+1 < len(beside); i += 2 {
		form.Set(beside[i], beside[i+1])
	}
	return pushOf(t, g, form.Encode(), func(r *http.Request) {
		if id != "spa" && id != "public" && !form.Has("client_assertion") {
			r.SetBasicAuth(id, "s")
		}
	})
}

// created is the request_uri of a push that was taken.
func created(t *testing.T, res harness.Response) string {
	t.Helper()
	uri, _ := res.JSON(t)["request_uri"].(string)
	if res.Status != http.StatusCreated || uri == "" {
		t.Fatalf("push = %d %s", res.Status, res.Body)
	}
	return uri
}

// wantObjectError checks that a push is refused for its request object, in these words behind "the request object".
func wantObjectError(t *testing.T, res harness.Response, words string) {
	t.Helper()
	wantPushError(t, res, 400, "invalid_request_object")
	wantDescription(t, res, "the request object "+words)
}

// byValue is an authorization request with a request object.
func byValue(id, object string) string {
	return "/authorize?client_id=" + url.QueryEscape(id) + "&request=" + url.QueryEscape(object)
}

// openByValue sends a browser with a request object to the authorization endpoint, and on to what the upstream answers.
func openByValue(t *testing.T, b *harness.Browser, id, object string) harness.Response {
	t.Helper()
	res := b.Get(t, byValue(id, object))
	if res.Status != http.StatusSeeOther || !strings.Contains(res.Location, "request_uri=urn%3A") || strings.Contains(res.Location, "request=") {
		t.Fatalf("the request object is answered with %d %s %s", res.Status, res.Location, res.Body)
	}
	return b.Get(t, res.Location)
}

// puttingStore counts what is put into it.
type puttingStore struct {
	pushstore.Store
	puts atomic.Int64
}

func (s *puttingStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	s.puts.Add(1)
	return s.Store.Put(ctx, p, r, window)
}

// wantRequest checks that the upstream was asked last with exactly these parameters.
func wantRequest(t *testing.T, g *harness.Gateway, want url.Values) {
	t.Helper()
	if got := g.Upstream.Last().Query(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the upstream was asked\n%v, want\n%v", got, want)
	}
	for _, r := range g.Upstream.Requests() {
		for _, name := range []string{"request", "request_uri"} {
			if r.Query().Has(name) || strings.Contains(r.Body, name+"=") {
				t.Errorf("the upstream got %s: %s %s", name, r.Target, r.Body)
			}
		}
	}
}

func signedForm(id string, changes ...string) url.Values {
	return harness.Form(append([]string{"client_id", id, "nonce", "n0nce"}, changes...)...)
}

func TestRequestObjectsInAPush(t *testing.T) {
	runRows(t, []row{
		{"95 who must sign cannot push unsigned", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			for _, id := range []string{"must", "both"} {
				res := pushOf(t, g, signedForm(id).Encode(), basic(id, "s"))
				wantPushError(t, res, 400, "invalid_request")
				wantDescription(t, res, "this client must push a signed request object, in the parameter request")
				wantPushError(t, pushObject(t, g, id, ""), 400, "invalid_request")
				created(t, pushObject(t, g, id, objectOf(g, id)))
			}
		}},
		{"96 a request object is pushed, with any authentication", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			assertion := keyCJ.Sign(harness.Claims("jwt", g.URL, time.Now()))
			for id, beside := range map[string][]string{"signs": nil, "must": nil, "both": nil, "pushes": nil, "spa": nil,
				"jwt": {"client_assertion_type", harness.AssertionType, "client_assertion", assertion}} {
				b := harness.NewBrowser(g.URL)
				b.Open(t, id, created(t, pushObject(t, g, id, objectOf(g, id), beside...)))
				wantRequest(t, g, signedForm(id))
			}
			// The client may leave its name to the authentication.
			res := pushOf(t, g, url.Values{"request": {objectOf(g, "signs")}}.Encode(), basic("signs", "s"))
			created(t, res)
		}},
		{"97 what stands beside the object is not used", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			b := harness.NewBrowser(g.URL)
			object := objectOf(g, "signs", "state", nil, "nonce", "inside")
			b.Open(t, "signs", created(t, pushObject(t, g, "signs", object, "state", "outside", "nonce", "outside", "scope", "admin",
				"redirect_uri", "https://evil.example/cb", "response_type", "nonsense", "max_age", "x", "x_hint", "outside")))
			wantRequest(t, g, signedForm("signs", "state", "", "nonce", "inside"))
		}},
		{"98 nothing of an object that is not proven is used or told", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			const unproven = "is not signed with a key that is registered for this client"
			for _, changes := range [][]any{nil, {"client_id", "other"}, {"exp", 1}, {"aud", "https://c4nary.example"}, {"request", "x"}, {"scope", []string{"x"}}} {
				wantObjectError(t, pushObject(t, g, "signs", keyCS.Sign(requestClaims(g, "signs", changes...), "kid", "cj")), unproven)
			}
			wantObjectError(t, pushObject(t, g, "signs", objectOf(g, "signs", "state", "é")+"="), "is not a signed JWT in compact serialization")
		}},
		{"99 client_id is the authenticated client's", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			for _, value := range []any{"must", nil, "SIGNS", "", []string{"signs"}} {
				wantObjectError(t, pushObject(t, g, "signs", objectOf(g, "signs", "client_id", value)), "must have the client_id of the client that sends it")
			}
			res := pushObject(t, g, "signs", objectOf(g, "signs"), "client_id", "must")
			if res.Status < 400 {
				t.Errorf("beside another client's name: %d %s", res.Status, res.Body)
			}
		}},
		{"100 iss, where it is there, is the client", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			wantObjectError(t, pushObject(t, g, "signs", objectOf(g, "signs", "iss", g.URL)), "has an iss that is not the client_id")
			created(t, pushObject(t, g, "signs", objectOf(g, "signs", "iss", nil)))
		}},
		{"101 no request in the request", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			for _, name := range []string{"request", "request_uri"} {
				wantObjectError(t, pushObject(t, g, "signs", objectOf(g, "signs", name, "x")), "must not have "+name+" in it")
			}
			wantPushError(t, pushObject(t, g, "signs", objectOf(g, "signs"), "request_uri", "urn:x"), 400, "invalid_request")
		}},
		{"102 the signature is one of the client's, with its algorithm", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			unsigned := objectOf(g, "signs")
			wantObjectError(t, pushObject(t, g, "signs", unsigned[:strings.LastIndexByte(unsigned, '.')+1]), "is not signed with a key that is registered for this client")
			wantObjectError(t, pushObject(t, g, "signs", keyCJ.Sign(requestClaims(g, "signs"), "alg", "none")), "has an alg that is not supported")
			wantObjectError(t, pushObject(t, g, "must", harness.NewSigner("RS256", "cj").Sign(requestClaims(g, "must"))),
				"must be signed with ES256, which this client is registered for")
			wantObjectError(t, pushObject(t, g, "signs", keyCS.Sign(requestClaims(g, "signs"))), "is not signed with a key that is registered for this client")
		}},
		{"103 other kinds of JWT are no request objects", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			for _, kind := range []string{"JWT", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"} {
				created(t, pushObject(t, g, "signs", keyCJ.Sign(requestClaims(g, "signs"), "typ", kind)))
			}
			for _, kind := range []string{"client-authentication+jwt", "dpop+jwt", "at+jwt", "logout+jwt", "secevent+jwt", "jose"} {
				wantObjectError(t, pushObject(t, g, "signs", keyCJ.Sign(requestClaims(g, "signs"), "typ", kind)),
					"has a typ of another kind of JWT; use oauth-authz-req+jwt, JWT or none")
			}
			wantObjectError(t, pushObject(t, g, "signs", keyCJ.Sign(harness.Claims("signs", g.URL, time.Now()))), "must have the client_id of the client that sends it")
		}},
		{"104 105 claims become parameters, and the envelope does not", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			object := objectOf(g, "must", "max_age", 0, "x_number", json.RawMessage("1e3"), "x_truth", true, "x_null", json.RawMessage("null"),
				"claims", map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true}}},
				"authorization_details", []any{map[string]any{"type": "a"}}, "resource", []string{"https://a.example", "https://b.example"},
				"jti", "j", "iat", time.Now().Unix(), "sub", "somebody")
			harness.NewBrowser(g.URL).Open(t, "must", created(t, pushObject(t, g, "must", object)))
			want := signedForm("must", "max_age", "0", "x_number", "1000", "x_truth", "true",
				"claims", `{"id_token":{"acr":{"essential":true}}}`, "authorization_details", `[{"type":"a"}]`)
			want["resource"] = []string{"https://a.example", "https://b.example"}
			wantRequest(t, g, want)
			wantObjectError(t, pushObject(t, g, "must", objectOf(g, "must", "scope", []string{"openid"})), "has an object or an array in a claim that must be a string")
		}},
		{"what is in an object is validated as any push is", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			for code, changes := range map[string][]any{
				"invalid_request":               {"redirect_uri", "https://evil.example/cb"},
				"unsupported_response_type":     {"response_type", "nonsense"},
				"invalid_target":                {"resource", "relative"},
				"invalid_authorization_details": {"authorization_details", []any{map[string]any{}}},
			} {
				wantPushError(t, pushObject(t, g, "signs", objectOf(g, "signs", changes...)), 400, code)
			}
			for _, changes := range [][]any{{"redirect_uri", nil}, {"max_age", -1}, {"code_challenge", "short"}, {"pargate", 1}, {"pargate_c", "x"}, {"Pargate", "x"}} {
				wantPushError(t, pushObject(t, g, "signs", objectOf(g, "signs", changes...)), 400, "invalid_request")
			}
			wantPushError(t, pushObject(t, g, "signs", objectOf(g, "signs", "x", strings.Repeat("x", 9000))), 413, "invalid_request")
		}},
		{"106 the times of an object", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			at := func(s int) int64 { return time.Now().Unix() + int64(s) }
			created(t, pushObject(t, g, "signs", objectOf(g, "signs", "nbf", at(8), "iat", at(8))))
			for words, changes := range map[string][]any{
				"has no exp": {"exp", nil}, "has expired": {"exp", at(-1)}, "has an nbf that lies ahead; set the clock": {"nbf", at(75)}, "has an iat that lies ahead; set the clock": {"iat", at(75)},
				"has an exp that is more than 60 minutes ahead": {"exp", at(4200)},
			} {
				wantObjectError(t, pushObject(t, g, "signs", objectOf(g, "signs", changes...)), words)
			}
		}},
		{"107 what is stored does not outlive its object", func(t *testing.T) {
			clock := newClock()
			g := harness.Start(t, withObjects(harness.Setup{
				Store:   pushstore.NewMemory(pushstore.MemoryOptions{Now: clock.Now}),
				Options: func(o *proxy.Options) { o.Now = clock.Now },
			}))
			object := func(seconds int64) string {
				return objectOf(g, "signs", "nbf", nil, "exp", clock.Now().Unix()+seconds)
			}
			for seconds, want := range map[int64]float64{1: 1, 10: 10, 59: 59, 60: 60, 300: 60} {
				res := pushObject(t, g, "signs", object(seconds))
				if got := res.JSON(t)["expires_in"]; got != want {
					t.Errorf("exp in %d s: expires_in = %v, want %v: %s", seconds, got, want, res.Body)
				}
			}
			wantObjectError(t, pushObject(t, g, "signs", object(0)), "has expired")
			uri := created(t, pushObject(t, g, "signs", object(10)))
			b := harness.NewBrowser(g.URL)
			bounced := b.Get(t, harness.Short("signs", uri))
			clock.advance(11 * time.Second)
			wantPage(t, g, b.Get(t, bounced.Location), 400, "invalid_request_uri")
			wantUntouched(t, g)
		}},
		{"108 an object without redirect_uri is refused where OpenID Connect is asked for", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			wantPushError(t, pushObject(t, g, "must", objectOf(g, "must", "redirect_uri", nil), "redirect_uri", "https://app.example/cb"), 400, "invalid_request")
		}},
		{"109 encrypted objects are refused in words", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			wantObjectError(t, pushObject(t, g, "signs", "e30.e30.e30.e30.e30"), "is encrypted, which is not supported")
		}},
		{"111 where objects are not opened they are refused, and not sent on", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			for _, id := range []string{"web", "public"} {
				for _, object := range []string{objectOf(g, id), "x", "e30.e30.e30.e30.e30"} {
					wantPushError(t, pushObject(t, g, id, object), 400, "request_not_supported")
				}
			}
			wantUntouched(t, g)
		}},
		{"111 likewise for a client that only the upstream knows", func(t *testing.T) {
			var asked atomic.Int64
			for _, all := range []bool{false, true} {
				g := harness.Start(t, withObjects(harness.Setup{
					Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) },
					Options: func(o *proxy.Options) {
						if o.Delegation = proxy.DelegateOthers; all {
							o.Delegation = proxy.DelegateAll
						}
					},
				}))
				form := url.Values{"client_id": {"legacy"}, "request": {objectOf(g, "legacy", "state", "c4nary")}}
				wantPushError(t, pushOf(t, g, form.Encode(), basic("legacy", "l3gacy")), 400, "request_not_supported")
				if raw := g.Upstream.Raw(); strings.Contains(raw, "request=") || strings.Contains(raw, form.Get("request")) {
					t.Error("the object has reached the upstream")
				}
			}
		}},
		{"115 the same object may be pushed again", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			object := objectOf(g, "signs", "jti", "1")
			if first, second := created(t, pushObject(t, g, "signs", object)), created(t, pushObject(t, g, "signs", object)); first == second {
				t.Error("both have one request_uri")
			}
		}},
		{"a public client with keys may sign, and with another's key may not", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			created(t, pushObject(t, g, "spa", objectOf(g, "spa")))
			wantObjectError(t, pushObject(t, g, "spa", keyCS.Sign(requestClaims(g, "spa"))), "is not signed with a key that is registered for this client")
		}},
		{"keys that are rotated are found", func(t *testing.T) {
			var fetches atomic.Int64
			var keys atomic.Value
			keys.Store(harness.KeySet(keyCJ))
			publisher := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fetches.Add(1)
				io.WriteString(w, keys.Load().(string))
			}))
			t.Cleanup(publisher.Close)
			roots := x509.NewCertPool()
			roots.AddCert(publisher.Certificate())
			clock := newClock()
			g := harness.Start(t, harness.Setup{
				Clients: `[{"client_id": "signs", "client_secret": "s", "require_signed_request_object": true, "jwks_uri": "` + publisher.URL + `"}]`,
				Options: func(o *proxy.Options) { o.AllowPrivateKeySets, o.KeySetRoots, o.Now = true, roots, clock.Now },
			})
			claims := func() map[string]any {
				return requestClaims(g, "signs", "exp", clock.Now().Add(time.Minute).Unix(), "nbf", clock.Now().Unix())
			}
			created(t, pushObject(t, g, "signs", keyCJ.Sign(claims())))
			next := harness.NewSigner("ES256", "next")
			keys.Store(harness.KeySet(next))
			clock.advance(2 * time.Second)
			openByValue(t, harness.NewBrowser(g.URL), "signs", next.Sign(claims()))
			created(t, pushObject(t, g, "signs", next.Sign(claims())))
			wantObjectError(t, pushObject(t, g, "signs", keyCJ.Sign(claims())), "is not signed with a key that is registered for this client")
			for i := range 100 {
				wantObjectError(t, pushObject(t, g, "signs", keyCS.Sign(claims(), "kid", fmt.Sprint(i))), "is not signed with a key that is registered for this client")
			}
			if n := fetches.Load(); n != 2 {
				t.Errorf("%d fetches", n)
			}
		}},
	})
}

func TestRequestObjectsAtTheAuthorizationEndpoint(t *testing.T) {
	runRows(t, []row{
		{"112 an object is opened, and the login that follows is bound", func(t *testing.T) {
			store := &puttingStore{Store: memory()}
			g := harness.Start(t, withObjects(harness.Setup{Store: store}))
			for _, id := range []string{"signs", "must", "spa", "jwt"} {
				for _, method := range []string{"GET", "POST"} {
					b := harness.NewBrowser(g.URL)
					before := store.puts.Load()
					var res harness.Response
					if method == "GET" {
						res = openByValue(t, b, id, objectOf(g, id))
					} else {
						bounced := b.Post(t, "/authorize", url.Values{"client_id": {id}, "request": {objectOf(g, id)}, "state": {"outside"}}.Encode())
						if bounced.Status != 303 || strings.Contains(bounced.Location, "request=") {
							t.Fatalf("%s: %d %s", id, bounced.Status, bounced.Location)
						}
						res = b.Get(t, bounced.Location)
					}
					wantRequest(t, g, signedForm(id))
					// What the browser changes has no effect.
					b.Get(t, "/authorize?client_id="+id+"&state=st4te&nonce=n0nce&scope=admin&request=x")
					end := b.LogIn(t, res)
					if !strings.HasPrefix(end.Location, "https://app.example/cb?code=c0de&state=st4te&iss="+url.QueryEscape(g.URL)) {
						t.Errorf("%s by %s ends with %d %s", id, method, end.Status, end.Location)
					}
					if n := store.puts.Load() - before; n != 1 {
						t.Errorf("%s by %s: %d stored", id, method, n)
					}
				}
			}
		}},
		{"112 the login's own links are collapsed", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Handlers["/echo"] = func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Location", req.URL.Query().Get("to"))
					w.WriteHeader(http.StatusFound)
				}
			}}))
			b := harness.NewBrowser(g.URL)
			openByValue(t, b, "must", objectOf(g, "must"))
			res := b.Get(t, "/echo?to="+url.QueryEscape("/authorize?"+signedForm("must").Encode()))
			if strings.Contains(res.Location, "st4te") || !strings.Contains(res.Location, "request_uri=") {
				t.Errorf("it is sent to %s", res.Location)
			}
			b.Get(t, res.Location)
			wantRequest(t, g, signedForm("must"))
		}},
		{"112 a form of the login with a field called request is bound, not opened", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			b := harness.NewBrowser(g.URL)
			openByValue(t, b, "signs", objectOf(g, "signs"))
			form := signedForm("signs")
			form.Set("request", "of the form's own")
			res := b.Post(t, "/authorize", form.Encode()+"&accept=yes")
			got, err := url.ParseQuery(g.Upstream.Last().Body)
			if err != nil || res.Status != 302 || got.Get("accept") != "yes" || got.Has("request") || got.Get("state") != form.Get("state") {
				t.Errorf("%d, the upstream got %v %v", res.Status, got, err)
			}
		}},
		{"112 an object opens once, in one browser", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			b := harness.NewBrowser(g.URL)
			bounced := b.Get(t, byValue("signs", objectOf(g, "signs")))
			end := b.LogIn(t, b.Get(t, bounced.Location))
			wantPage(t, g, b.Get(t, bounced.Location), 400, "invalid_request_uri")
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, strings.TrimSuffix(bounced.Location, "&pargate=1")), 400, "invalid_request_uri")
			if end.Status != 302 {
				t.Errorf("%d", end.Status)
			}
		}},
		{"112 client_id in the request is the object's", func(t *testing.T) {
			store := &puttingStore{Store: memory()}
			g := harness.Start(t, withObjects(harness.Setup{Store: store}))
			b := harness.NewBrowser(g.URL)
			for what, target := range map[string]string{
				"another client's object": byValue("signs", objectOf(g, "must")),
				"no client in the object": byValue("signs", objectOf(g, "signs", "client_id", nil)),
				"another client's key":    byValue("signs", keyCS.Sign(requestClaims(g, "signs"))),
				"another client's name":   byValue("other", objectOf(g, "signs")),
				"an expired object":       byValue("signs", objectOf(g, "signs", "exp", 1)),
				"no object":               byValue("signs", "x"),
				"an encrypted one":        byValue("signs", "e30.e30.e30.e30.e30"),
			} {
				res := b.Get(t, target)
				if wantPage(t, g, res, 400, "invalid_request_object"); t.Failed() {
					t.Fatal(what)
				}
				form := strings.TrimPrefix(target, "/authorize?")
				wantPage(t, g, b.Post(t, "/authorize", form), 400, "invalid_request_object")
			}
			res := b.Get(t, byValue("signs", objectOf(g, "signs", "client_id", "must")), setHeader("Accept", "application/json"))
			wantObjectError(t, res, "must have the client_id of the client that sends it")
			wantUntouched(t, g)
			if store.puts.Load() > 0 || len(b.Cookies()) > 0 {
				t.Errorf("%d stored, cookies %v", store.puts.Load(), b.Cookies())
			}
		}},
		{"113 request and request_uri exclude each other", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			b := harness.NewBrowser(g.URL)
			target := byValue("signs", objectOf(g, "signs")) + "&request_uri="
			for _, uri := range []string{"https://app.example/r", "urn:x", "x"} {
				wantPage(t, g, b.Get(t, target+url.QueryEscape(uri)), 400, "invalid_request")
				wantPage(t, g, b.Post(t, target, "request_uri="+url.QueryEscape(uri)), 400, "invalid_request")
			}
			wantUntouched(t, g)
			// Beside a reference of ours the reference counts, and it alone (RFC 9126 §4).
			uri := created(t, pushObject(t, g, "signs", objectOf(g, "signs")))
			bounced := b.Get(t, harness.Short("signs", uri)+"&request="+url.QueryEscape(objectOf(g, "signs", "scope", "admin")))
			b.Get(t, bounced.Location)
			wantRequest(t, g, signedForm("signs"))
		}},
		{"113 two objects are none", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			b := harness.NewBrowser(g.URL)
			object := objectOf(g, "signs")
			wantPage(t, g, b.Get(t, byValue("signs", object)+"&request="+object), 400, "invalid_request")
			wantPage(t, g, b.Post(t, byValue("signs", object), "request="+object), 400, "invalid_request")
			wantPage(t, g, b.Get(t, byValue("signs", object)+"&Request="+object), 400, "invalid_request")
			wantUntouched(t, g)
		}},
		{"an object under a name that servers may take for request is none", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{Upstream: anythingAtTheEndpoint}))
			b := harness.NewBrowser(g.URL)
			for _, name := range []string{"Request", "REQUEST", "request[]", "request ", "%52equest"} {
				query := "client_id=signs&" + name + "=" + objectOf(g, "signs")
				if name == "request " {
					query = strings.ReplaceAll(query, " ", "+")
				}
				wantPage(t, g, b.Get(t, "/authorize?"+query), 400, "invalid_request")
				wantPage(t, g, b.Post(t, "/authorize", query), 400, "invalid_request")
			}
			wantUntouched(t, g)
		}},
		{"only GET and POST open an object", func(t *testing.T) {
			store := &puttingStore{Store: memory()}
			g := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint, Store: store,
				Clients: `[{"client_id": "signs", "client_secret": "s", "jwks": ` + harness.KeySet(keyCJ) + `}]`})
			target := byValue("signs", objectOf(g, "signs"))
			for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS"} {
				res := harness.NewBrowser(g.URL).Do(t, method, target, nil)
				if last := g.Upstream.Last(); res.Status != 200 || last.Method != method || last.Target != target {
					t.Errorf("%s: %d, the upstream got %s %s", method, res.Status, last.Method, last.Target)
				}
			}
			if n := store.puts.Load(); n > 0 {
				t.Errorf("%d stored", n)
			}
		}},
		{"114 who must sign gets nothing through unsigned, on any way", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{Upstream: anythingAtTheEndpoint}))
			b := harness.NewBrowser(g.URL)
			object := objectOf(g, "must")
			plain := signedForm("must").Encode()
			for _, target := range []string{
				"/authorize?" + plain, "/authorize?client_id=must&request_uri=https%3A%2F%2Fapp.example%2Fr", "/authorize?client_id=must&request_uri=urn%3Ax",
				"/authorize?client_id=must&state=1", "/authorize?" + signedForm("MUST").Encode(), "/authorize?" + signedForm("must ").Encode(),
				"/authorize?" + signedForm(" must").Encode() + "&request=" + object, "/authorize?" + plain + "&client_id=web", "/authorize?client_id=web&" + plain,
				"/authorize?Client_ID=must&response_type=code&state=1", "/authorize?client_id=%6Dust&response_type=code", "/authorize?client%5Fid=must&state=1",
				byValue("MUST", object), byValue("must", object) + "&client_id=must",
			} {
				for method, res := range map[string]harness.Response{
					"GET": b.Get(t, target), "POST": b.Post(t, "/authorize", strings.TrimPrefix(target, "/authorize?")),
					"PUT": b.Do(t, "PUT", target, nil), "POST with a query": b.Post(t, target, "x=1"),
				} {
					if res.Status != 400 && res.Status != 415 {
						t.Errorf("%s %s: %d", method, target, res.Status)
					}
				}
			}
			for _, path := range []string{"//authorize", "/Authorize", "/%61uthorize", "/authorize/", "/authorize;x=1", "/x/../authorize", "/%2561uthorize", "/authorize%00",
				"/authorize%2f", "/authorize.json", "/authorize/connector", "/elsewhere"} {
				for _, query := range []string{plain, "client_id=must&response_type=code&request=" + object} {
					if res := b.Get(t, path+"?"+query); res.Status != 400 {
						t.Errorf("GET %s: %d", path, res.Status)
					}
				}
				if path != "/elsewhere" { // nobody's authorization endpoint takes a form there
					if res := b.Post(t, path, plain); res.Status != 400 {
						t.Errorf("POST %s: %d", path, res.Status)
					}
				}
			}
			wantUntouched(t, g)
		}},
		{"114 nor before the endpoints are known", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{Unknown: true, Upstream: func(r *upstream.Recorder) {
				r.Handlers[oidcPath] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
			}}))
			b := harness.NewBrowser(g.URL)
			for _, target := range []string{"/authorize?" + signedForm("must").Encode(), byValue("must", objectOf(g, "must")), byValue("signs", objectOf(g, "signs")), "/authorize"} {
				if res := b.Get(t, target); res.Status != 503 {
					t.Errorf("GET %s: %d", target, res.Status)
				}
			}
			wantPushError(t, pushObject(t, g, "must", objectOf(g, "must")), 503, "temporarily_unavailable")
		}},
		{"114 nor a client of a similar name that only the upstream knows", func(t *testing.T) {
			for _, delegation := range []proxy.Delegation{proxy.DelegateOthers, proxy.DelegateAll} {
				g := harness.Start(t, withObjects(harness.Setup{
					Options: func(o *proxy.Options) { o.Delegation = delegation },
					Upstream: func(r *upstream.Recorder) {
						r.Handlers["/token"] = func(w http.ResponseWriter, req *http.Request) { // compares names without case
							status, code := 401, "invalid_client"
							if id, secret, _ := req.BasicAuth(); strings.EqualFold(strings.TrimSpace(id), "must") && secret == "s" {
								status, code = 400, "invalid_grant"
							}
							w.Header().Set("Content-Type", "application/json")
							w.WriteHeader(status)
							io.WriteString(w, `{"error":"`+code+`"}`)
						}
					},
				}))
				for _, id := range []string{"MUST", "must ", "Must"} {
					if res := pushOf(t, g, signedForm(id).Encode(), basic(id, "s")); res.Status != 401 {
						t.Errorf("%v: push as %q: %d %s", delegation, id, res.Status, res.Body)
					}
					wantPage(t, g, harness.NewBrowser(g.URL).Get(t, "/authorize?"+signedForm(id).Encode()), 400, "invalid_request")
				}
				// The very client must sign also where the upstream is asked about it.
				res := pushOf(t, g, signedForm("must").Encode(), basic("must", "s"))
				wantPushError(t, res, 400, "invalid_request")
				created(t, pushObject(t, g, "must", objectOf(g, "must")))
			}
		}},
		{"where PAR is required an object is not enough", func(t *testing.T) {
			all := harness.Start(t, withObjects(harness.Setup{Options: required}))
			one := harness.Start(t, withObjects(harness.Setup{}))
			for id, g := range map[string]*harness.Gateway{"signs": all, "must": all, "pushes": one, "both": one} {
				b := harness.NewBrowser(g.URL)
				target := byValue(id, objectOf(g, id))
				wantPage(t, g, b.Get(t, target), 400, "invalid_request")
				wantPage(t, g, b.Post(t, "/authorize", strings.TrimPrefix(target, "/authorize?")), 400, "invalid_request")
				wantUntouched(t, g)
			}
			one.Upstream.Instant = false
			openByValue(t, harness.NewBrowser(one.URL), "signs", objectOf(one, "signs"))
		}},
		{"an object of a client without keys, or of none, is the upstream's business", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint,
				Clients: `[{"client_id": "signs", "client_secret": "s", "jwks": ` + harness.KeySet(keyCJ) + `}, {"client_id": "web", "client_secret": "s"}]`})
			b := harness.NewBrowser(g.URL)
			for _, target := range []string{byValue("web", "a.b.c"), byValue("nobody", objectOf(g, "nobody")), "/authorize?request=a.b.c",
				"/authorize?client_id=signs&request_uri=https%3A%2F%2Fapp.example%2Fr", "/authorize?client_id=signs&client_id=signs&request=a.b.c"} {
				if res := b.Get(t, target); res.Status != 200 || g.Upstream.Last().Target != target {
					t.Errorf("%s: %d, the upstream got %s", target, res.Status, g.Upstream.Last().Target)
				}
			}
		}},
		{"an empty value is none", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			b := harness.NewBrowser(g.URL)
			target := "/authorize?" + signedForm("web").Encode()
			if b.Get(t, target+"&request="); g.Upstream.Last().Target != target+"&request=" {
				t.Errorf("the upstream got %s", g.Upstream.Last().Target)
			}
			plain := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint, Clients: `[{"client_id": "signs", "client_secret": "s", "jwks": ` + harness.KeySet(keyCJ) + `}]`})
			target = "/authorize?" + signedForm("signs").Encode()
			for _, empty := range []string{"&request=", "&request", "&request=&request_uri="} {
				res := harness.NewBrowser(plain.URL).Get(t, target+empty)
				if res.Status != 200 || plain.Upstream.Last().Target != target+empty {
					t.Errorf("%s: %d %s", empty, res.Status, plain.Upstream.Last().Target)
				}
				if res := harness.NewBrowser(plain.URL).Post(t, "/authorize", signedForm("signs").Encode()+empty); res.Status != 200 {
					t.Errorf("%s in a form: %d", empty, res.Status)
				}
			}
			for _, beside := range []string{"&request_uri=", "&request_uri"} {
				if res := b.Get(t, byValue("signs", objectOf(g, "signs"))+beside); res.Status != 303 {
					t.Errorf("an object beside %s: %d", beside, res.Status)
				}
			}
			wantPage(t, g, b.Get(t, "/authorize?"+signedForm("must").Encode()+"&request="), 400, "invalid_request")
		}},
		{"an object is sent on in a form where the upstream wants one", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{Options: byPOST}))
			b := harness.NewBrowser(g.URL)
			object := objectOf(g, "must", "x", strings.Repeat("x", 10000))
			b.Follow(t, openByValue(t, b, "must", object))
			for _, r := range g.Upstream.Requests() {
				if r.Path() != "/authorize" {
					continue
				}
				got, _ := url.ParseQuery(r.Body)
				if want := signedForm("must", "x", strings.Repeat("x", 10000)); r.Method != "POST" || strings.Contains(r.Target, "st4te") || !maps.EqualFunc(got, want, slices.Equal) {
					t.Errorf("the upstream got %s %s", r.Method, r.Target)
				}
				return
			}
			t.Error("the upstream was not asked")
		}},
		{"an object by reference is never fetched here", func(t *testing.T) {
			var fetched atomic.Int64
			publisher := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
			t.Cleanup(publisher.Close)
			for _, change := range []func(*proxy.Options){func(*proxy.Options) {}, required} {
				g := harness.Start(t, withObjects(harness.Setup{Upstream: anythingAtTheEndpoint, Options: change}))
				for _, id := range []string{"signs", "must", "web"} {
					harness.NewBrowser(g.URL).Get(t, "/authorize?client_id="+id+"&request_uri="+url.QueryEscape(publisher.URL))
					pushObject(t, g, id, objectOf(g, id), "request_uri", publisher.URL)
				}
			}
			if n := fetched.Load(); n > 0 {
				t.Errorf("it was fetched %d times", n)
			}
		}},
		{"prefetches, sub-resources and HEAD store nothing", func(t *testing.T) {
			store := &puttingStore{Store: memory()}
			g := harness.Start(t, withObjects(harness.Setup{Store: store}))
			b := harness.NewBrowser(g.URL)
			target := byValue("signs", objectOf(g, "signs"))
			for _, headers := range []map[string]string{{"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}, {"Sec-Fetch-Dest": "image"},
				{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Dest": "script"}} {
				wantPage(t, g, b.Get(t, target, allHeaders(headers)), 400, "invalid_request_uri")
			}
			if res := b.Do(t, "HEAD", target, nil); res.Status != 200 {
				t.Errorf("HEAD: %d", res.Status)
			}
			wantUntouched(t, g)
			if n := store.puts.Load(); n > 0 || len(b.Cookies()) > 0 {
				t.Errorf("%d stored, cookies %v", n, b.Cookies())
			}
		}},
		{"a client's objects are taken no faster than its pushes", func(t *testing.T) {
			store := &puttingStore{Store: memory()}
			g := harness.Start(t, withObjects(harness.Setup{Store: store, Options: func(o *proxy.Options) { o.PushRate, o.Now = 1, newClock().Now }}))
			claims := requestClaims(g, "signs", "exp", newClock().Now().Unix()+60, "nbf", nil)
			target := byValue("signs", keyCJ.Sign(claims))
			for range 2 {
				if res := harness.NewBrowser(g.URL).Get(t, target); res.Status != 303 {
					t.Errorf("%d %s", res.Status, res.Body)
				}
			}
			res := harness.NewBrowser(g.URL).Get(t, target)
			if wantPage(t, g, res, 429, "temporarily_unavailable"); res.Header.Get("Retry-After") == "" || store.puts.Load() != 2 {
				t.Errorf("Retry-After %q, %d stored", res.Header.Get("Retry-After"), store.puts.Load())
			}
		}},
		{"an unregistered redirect_uri in an object is no place to go to", func(t *testing.T) {
			g := harness.Start(t, withObjects(harness.Setup{}))
			res := harness.NewBrowser(g.URL).Get(t, byValue("signs", objectOf(g, "signs", "redirect_uri", "https://evil.example/cb")))
			if wantPage(t, g, res, 400, "invalid_request"); strings.Contains(res.Body, "evil.example") {
				t.Error("the page names it")
			}
			wantUntouched(t, g)
		}},
		{"a store that does not answer is 503", func(t *testing.T) {
			store := &brokenStore{Store: memory()}
			g := harness.Start(t, withObjects(harness.Setup{Store: store}))
			store.broken.Store(true)
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, byValue("signs", objectOf(g, "signs"))), 503, "temporarily_unavailable")
			wantPushError(t, pushObject(t, g, "signs", objectOf(g, "signs")), 503, "temporarily_unavailable")
			wantUntouched(t, g)
		}},
		{"what is made of an object at the endpoint does not outlive it", func(t *testing.T) {
			clock := newClock()
			g := harness.Start(t, withObjects(harness.Setup{Store: pushstore.NewMemory(pushstore.MemoryOptions{Now: clock.Now}), Options: func(o *proxy.Options) { o.Now = clock.Now }}))
			b := harness.NewBrowser(g.URL)
			bounced := b.Get(t, byValue("signs", objectOf(g, "signs", "nbf", nil, "exp", clock.Now().Unix()+10)))
			clock.advance(11 * time.Second)
			wantPage(t, g, b.Get(t, bounced.Location), 400, "invalid_request_uri")
			wantUntouched(t, g)
		}},
	})
}

// Whatever becomes of an object, neither its text nor anything in it is in the log or readable in the store.
func TestNothingOfARequestObjectIsInTheLogOrReadableInTheStore(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	g := harness.Start(t, withObjects(harness.Setup{Store: replicaStore(t, server)}))
	claims := []any{"state", "c4nary1", "nonce", "c4nary2", "login_hint", "c4nary3", "x_c4nary4", "c4nary5", "jti", "c4nary6", "claims", map[string]any{"c4nary7": nil}}
	right := objectOf(g, "signs", claims...)
	wrong := []string{
		keyCS.Sign(requestClaims(g, "signs", claims...), "kid", "c4nary8"), objectOf(g, "signs", append(claims, "exp", 1)...),
		objectOf(g, "signs", append(claims, "aud", "https://c4nary9.example")...), objectOf(g, "signs", append(claims, "client_id", "c4nary10")...),
		objectOf(g, "signs", append(claims, "scope", []string{"c4nary11"})...), objectOf(g, "signs", append(claims, "redirect_uri", "https://c4nary12.example")...),
		keyCJ.Sign(requestClaims(g, "signs", claims...), "typ", "c4nary13"), keyCJ.Sign(requestClaims(g, "signs", claims...), "alg", "c4nary14"), "c4nary15.a.b", "c4nary16",
	}
	b := harness.NewBrowser(g.URL)
	seen := ""
	see := func(res harness.Response) { seen += fmt.Sprint(res.Status, res.Header, res.Body, "\n") }
	see(pushObject(t, g, "signs", right))
	openByValue(t, b, "signs", right)
	see(pushObject(t, g, "web", right))
	for _, object := range wrong {
		see(pushObject(t, g, "signs", object))
		see(b.Get(t, byValue("signs", object)))
		see(b.Get(t, byValue("signs", object), setHeader("Accept", "application/json")))
		see(b.Post(t, "/authorize", "client_id=signs&request="+url.QueryEscape(object)))
	}
	for _, entry := range g.Logs.All() {
		fields, _ := json.Marshal(entry.ContextMap())
		seen += entry.Message + string(fields) + "\n"
	}
	if g.Logs.FilterMessage("refused").Len() != 4*len(wrong)+1 || g.Logs.FilterMessage("request object opened").Len() != 1 {
		t.Errorf("%d refusals in the log", g.Logs.FilterMessage("refused").Len())
	}
	seen += dump(t, server)
	for _, object := range append(wrong, right) {
		for _, part := range strings.Split(object, ".") {
			if len(part) > 20 && strings.Contains(seen, part[:20]) && !strings.HasPrefix(right, part) {
				t.Errorf("a part of an object is in\n%s", seen)
			}
		}
	}
	if i := strings.Index(seen, "c4nary"); i >= 0 {
		t.Errorf("a claim is in … %s", seen[max(0, i-200):min(len(seen), i+100)])
	}
}

// dump is everything that a Redis has, keys and values.
func dump(t *testing.T, server *storetest.RedisServer) (all string) {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	defer c.Close()
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, key := range keys {
		value, err := c.Dump(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		all += key + value
	}
	return all
}
