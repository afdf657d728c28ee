package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// A client holds keyDPoP; keyOther is another one.
var (
	keyDPoP  = harness.NewSigner("ES256", "")
	keyOther = harness.NewSigner("ES256", "")
)

// knowsDPoP makes a stand-in advertise DPoP (RFC 9449 §5.1).
func knowsDPoP(algorithms string) func(*upstream.Recorder) {
	return func(r *upstream.Recorder) {
		r.Metadata = map[string]string{oidcPath: r.Document(`,"dpop_signing_alg_values_supported":` + algorithms)}
	}
}

func startDPoP(t *testing.T, setup harness.Setup) *harness.Gateway {
	t.Helper()
	if setup.Upstream == nil {
		setup.Upstream = knowsDPoP(`["ES256","PS256","Ed25519"]`)
	}
	return harness.Start(t, setup)
}

func withProof(proof string) func(*http.Request) { return setHeader("DPoP", proof) }

func prove(g *harness.Gateway, changes ...any) string {
	return keyDPoP.Prove(harness.ProofClaims(g.URL+"/par", time.Now(), changes...))
}

// wantProofError checks a refusal, and that it says what is wrong.
func wantProofError(t *testing.T, name string, res harness.Response, description string) {
	t.Helper()
	if body := res.JSON(t); res.Status != 400 || body["error"] != "invalid_dpop_proof" || body["error_description"] != description {
		t.Errorf("%s: %d %s, want %s", name, res.Status, res.Body, description)
	}
}

// arrives opens what was pushed and returns the request that the upstream got.
func arrives(t *testing.T, g *harness.Gateway, id string, res harness.Response) url.Values {
	t.Helper()
	if res.Status != 201 {
		t.Fatalf("push: %d %s", res.Status, res.Body)
	}
	harness.NewBrowser(g.URL).Open(t, id, res.JSON(t)["request_uri"].(string))
	return g.Upstream.Last().Query()
}

const usedBefore = "the DPoP proof was used before; make one for each request, with a jti of its own"

func TestDPoPAtThePush(t *testing.T) {
	runRows(t, []row{
		{"89 the key of the proof is the request's dpop_jkt", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			for _, key := range []*harness.Signer{keyDPoP, harness.NewSigner("PS256", ""), harness.NewSigner("Ed25519", "")} {
				proof := key.Prove(harness.ProofClaims(g.URL+"/par", time.Now()))
				got := arrives(t, g, "web", pushOf(t, g, harness.Form().Encode()+"&dpop_jkt=", asWeb, withProof(proof)))
				if want := harness.Form("dpop_jkt", key.Thumbprint()).Encode(); got.Encode() != want {
					t.Errorf("%s: got %s, want %s", key.Algorithm, got.Encode(), want)
				}
			}
		}},
		{"89 two proofs, and one that is for something else, are refused", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			form, alone := harness.Form().Encode(), "the DPoP proof must come alone, in one DPoP header"
			twice := func(r *http.Request) { r.Header["Dpop"] = []string{prove(g), prove(g)} }
			wantProofError(t, "two headers", pushOf(t, g, form, asWeb, twice), alone)
			wantProofError(t, "a list", pushOf(t, g, form, asWeb, withProof(prove(g)+","+prove(g))), alone)
			wantProofError(t, "nothing", pushOf(t, g, form, asWeb, withProof("")), "the DPoP proof is not a signed JWT in compact serialization")
			for _, c := range []struct{ claim, value, want string }{
				{"htm", "GET", "the DPoP proof has another htm than the request's method; use POST"},
				{"htu", g.URL + "/token", "the DPoP proof has another htu than the endpoint's; use " + g.URL + "/par"},
				{"htu", g.Upstream.URL + "/par", "the DPoP proof has another htu than the endpoint's; use " + g.URL + "/par"},
			} {
				wantProofError(t, c.value, pushOf(t, g, form, asWeb, withProof(prove(g, c.claim, c.value))), c.want)
			}
			at := func(seconds int) string { return prove(g, "iat", time.Now().Unix()+int64(seconds)) }
			wantProofError(t, "old", pushOf(t, g, form, asWeb, withProof(at(-75))), "the DPoP proof has an iat that is more than 60 seconds old; make a proof for each request")
			wantProofError(t, "of tomorrow", pushOf(t, g, form, asWeb, withProof(at(86400))), "the DPoP proof has an iat that lies ahead; set the clock")
		}},
		{"ensure-dpopproof-with-iat-10seconds-before-succeeds, -after-succeeds", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			for _, seconds := range []int64{-10, 10} {
				if res := pushOf(t, g, harness.Form().Encode(), asWeb, withProof(prove(g, "iat", time.Now().Unix()+seconds))); res.Status != 201 {
					t.Errorf("%d s: %d %s", seconds, res.Status, res.Body)
				}
			}
		}},
		{"90 ensure-mismatched-dpop-jkt-fails", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			proof := prove(g)
			for _, other := range []string{keyOther.Thumbprint(), keyDPoP.Thumbprint() + "=", "x"} {
				wantProofError(t, other, pushOf(t, g, harness.Form("dpop_jkt", other).Encode(), asWeb, withProof(proof)),
					"dpop_jkt is not the thumbprint of the key of the DPoP proof; use one key for both, or leave dpop_jkt out")
			}
			got := arrives(t, g, "web", pushOf(t, g, harness.Form("dpop_jkt", keyDPoP.Thumbprint()).Encode(), asWeb, withProof(proof)))
			if jkt := got["dpop_jkt"]; !slices.Equal(jkt, []string{keyDPoP.Thumbprint()}) {
				t.Errorf("an equal one: %q", jkt)
			}
		}},
		{"a dpop_jkt without a proof is a thumbprint, and passes", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			right := keyDPoP.Thumbprint()
			if got := arrives(t, g, "web", pushOf(t, g, harness.Form("dpop_jkt", right).Encode(), asWeb)); got.Get("dpop_jkt") != right {
				t.Errorf("%v", got)
			}
			for _, wrong := range []string{right[1:], right + "A", right + "=", right + "\n", right + "\r\n", right[:42] + "+", right[:42] + "\n", right[:42] + "B", "x"} {
				res := pushOf(t, g, harness.Form("dpop_jkt", wrong).Encode(), asWeb)
				wantPushError(t, res, 400, "invalid_request")
				wantDescription(t, res, "dpop_jkt is not the SHA-256 thumbprint of a key, in 43 characters of base64url")
			}
			if got := arrives(t, g, "web", pushOf(t, g, harness.Form().Encode(), asWeb)); got.Has("dpop_jkt") {
				t.Errorf("without both: %v", got)
			}
		}},
		{"92 where the upstream does not advertise DPoP, a proof is ignored, and dpop_jkt a parameter", func(t *testing.T) {
			for _, none := range []string{"", `,"dpop_signing_alg_values_supported":[]`, `,"dpop_signing_alg_values_supported":null`,
				`,"dpop_signing_alg_values_supported":"ES256"`, `,"dpop_signing_alg_values_supported":[1]`, `,"dpop_signing_alg_values_supported":{}`} {
				g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: r.Document(none)} }})
				got := arrives(t, g, "web", pushOf(t, g, harness.Form("dpop_jkt", "any").Encode(), asWeb, withProof("no.jwt.at-all")))
				if got.Get("dpop_jkt") != "any" {
					t.Errorf("%s: %v", none, got)
				}
				if n := g.Logs.FilterMessageSnippet("a DPoP header is ignored").Len(); n != 1 {
					t.Errorf("%s: logged %d times", none, n)
				}
				if got := arrives(t, g, "web", pushOf(t, g, harness.Form().Encode(), asWeb, withProof(prove(g)))); got.Has("dpop_jkt") {
					t.Errorf("%s: %v", none, got)
				}
			}
		}},
		{"either document may advertise DPoP", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Metadata = map[string]string{oidcPath: r.Document(), oauthPath: r.Document(`,"dpop_signing_alg_values_supported":["ES256"]`)}
			}})
			if got := arrives(t, g, "web", pushOf(t, g, harness.Form().Encode(), asWeb, withProof(prove(g)))); got.Get("dpop_jkt") != keyDPoP.Thumbprint() {
				t.Errorf("%v", got)
			}
		}},
		{"of two lists of algorithms the first document's counts", func(t *testing.T) {
			lists := []string{`,"dpop_signing_alg_values_supported":["PS256"]`, `,"dpop_signing_alg_values_supported":["ES256"]`}
			for i, want := range []string{"the DPoP proof has an alg that is not taken here; use PS256", ""} {
				g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
					r.Metadata = map[string]string{oidcPath: r.Document(lists[i]), oauthPath: r.Document(lists[1-i])}
				}})
				res := pushOf(t, g, harness.Form().Encode(), asWeb, withProof(prove(g)))
				if want != "" {
					wantProofError(t, lists[i], res, want)
				} else if res.Status != 201 {
					t.Errorf("%s: %d %s", lists[i], res.Status, res.Body)
				}
			}
		}},
		{"the algorithms are those that the upstream and the gateway take", func(t *testing.T) {
			for _, c := range []struct {
				upstream string
				want     string // empty: taken
			}{
				{`["ES256"]`, ""},
				{`["PS256","ES256"]`, ""},
				{`["PS256","RS256"]`, "the DPoP proof has an alg that is not taken here; use PS256 or RS256"},
				{`["ES256K","Ed25519","RS384","Ed25519"]`, "the DPoP proof has an alg that is not taken here; use EdDSA or RS384"},
			} {
				g := startDPoP(t, harness.Setup{Upstream: knowsDPoP(c.upstream)})
				res := pushOf(t, g, harness.Form().Encode(), asWeb, withProof(prove(g)))
				if c.want != "" {
					wantProofError(t, c.upstream, res, c.want)
				} else if res.Status != 201 {
					t.Errorf("%s: %d %s", c.upstream, res.Status, res.Body)
				}
			}
		}},
		{"an upstream that takes no algorithm of the gateway's does not know DPoP here, and that is told", func(t *testing.T) {
			const unknown = `,"dpop_signing_alg_values_supported":["ES256K","HS256","none","\"c4nary\\"]`
			g := startDPoP(t, harness.Setup{Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: r.Document(unknown)} }})
			got := arrives(t, g, "web", pushOf(t, g, harness.Form("dpop_jkt", "any").Encode(), asWeb, withProof(prove(g))))
			if got.Get("dpop_jkt") != "any" {
				t.Errorf("%v", got)
			}
			doc := rawMembers(t, harness.NewBrowser(g.URL).Get(t, oidcPath).Body)
			if own := rawMembers(t, "{"+unknown[1:]+"}"); string(doc["dpop_signing_alg_values_supported"]) != string(own["dpop_signing_alg_values_supported"]) {
				t.Errorf("%s", doc)
			}
			entries := g.Logs.FilterMessage("upstream is known").All()
			if len(entries) != 1 || !strings.Contains(fmt.Sprint(entries[0].ContextMap()["warning"]), "advertises DPoP with no algorithm that is taken here") {
				t.Errorf("%v", entries)
			}
		}},
		{"the metadata names the algorithms that a push takes", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{Upstream: knowsDPoP(`["ES256K","Ed25519","none","ES256"]`)})
			doc := rawMembers(t, harness.NewBrowser(g.URL).Get(t, oidcPath).Body)
			if got := string(doc["dpop_signing_alg_values_supported"]); got != `["Ed25519","ES256"]` {
				t.Errorf("%s", got)
			}
		}},
		{"of two documents the first that has an algorithm counts, in both", func(t *testing.T) {
			for _, c := range []struct{ oidc, oauth, want, published string }{
				{`["PS256"]`, `["ES256","PS256"]`, "PS256", `["PS256"]`},
				{`["ES256K"]`, `["ES256","PS256"]`, "ES256", `["ES256","PS256"]`},
			} {
				g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
					const member = `,"dpop_signing_alg_values_supported":`
					r.Metadata = map[string]string{oidcPath: r.Document(member + c.oidc), oauthPath: r.Document(member + c.oauth)}
				}})
				res := pushOf(t, g, harness.Form().Encode(), asWeb, withProof(prove(g)))
				if taken := res.Status == 201; taken != (c.want == "ES256") {
					t.Errorf("%s, %s: %d %s", c.oidc, c.oauth, res.Status, res.Body)
				}
				doc := rawMembers(t, harness.NewBrowser(g.URL).Get(t, oauthPath).Body)
				if got := string(doc["dpop_signing_alg_values_supported"]); got != c.published {
					t.Errorf("%s, %s: %s", c.oidc, c.oauth, got)
				}
			}
		}},
		{"htu is the public address, whatever the request calls it", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Issuer = "https://as.example/realm"
				r.Metadata = map[string]string{oidcPath: r.Document(`,"dpop_signing_alg_values_supported":["ES256"]`)}
			}, Options: func(o *proxy.Options) { o.Issuer.PublicURL = mustParse("https://as.example") }})
			post := func(htu string, change ...func(*http.Request)) harness.Response {
				proof := withProof(keyDPoP.Prove(harness.ProofClaims(htu, time.Now())))
				return harness.NewBrowser(g.URL).Post(t, "/realm/par", harness.Form().Encode(), append(change, asWeb, proof)...)
			}
			evil := []func(*http.Request){func(r *http.Request) { r.Host = "evil.example" }, setHeader("X-Forwarded-Host", "evil.example"),
				setHeader("X-Forwarded-Proto", "http"), setHeader("Forwarded", "host=evil.example")}
			for _, right := range []string{"https://as.example/realm/par", "HTTPS://AS.example:443/realm/p%61r?x#y"} {
				if res := post(right, evil...); res.Status != 201 {
					t.Errorf("%s: %d %s", right, res.Status, res.Body)
				}
			}
			for _, wrong := range []string{"https://evil.example/realm/par", "http://evil.example/realm/par", g.URL + "/realm/par", "http://as.example/realm/par", "https://as.example/par"} {
				wantProofError(t, wrong, post(wrong, evil...), "the DPoP proof has another htu than the endpoint's; use https://as.example/realm/par")
			}
		}},
		{"what is refused for another reason uses no proof up", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{Options: func(o *proxy.Options) { o.MaxQueryBytes = 1 << 10 }})
			proof := withProof(prove(g))
			form := harness.Form().Encode()
			wantPushError(t, pushOf(t, g, form, basic("web", "wrong"), proof), 401, "invalid_client")
			wantPushError(t, pushOf(t, g, form+"&x="+strings.Repeat("x", 1<<10), asWeb, proof), 413, "invalid_request")
			wantPushError(t, pushOf(t, g, harness.Form("redirect_uri", "https://evil.example").Encode(), asWeb, proof), 400, "invalid_request")
			wantPushError(t, pushOf(t, g, form+"&request_uri=x", asWeb, proof), 400, "invalid_request")
			wantPushError(t, pushOf(t, g, harness.Form("dpop_jkt", keyOther.Thumbprint()).Encode(), asWeb, proof), 400, "invalid_dpop_proof")
			if res := pushOf(t, g, form, asWeb, proof); res.Status != 201 {
				t.Errorf("%d %s", res.Status, res.Body)
			}
			wantProofError(t, "again", pushOf(t, g, form, asWeb, proof), usedBefore)
			wantProofError(t, "by another client", pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st").Encode(), proof), usedBefore)
		}},
		{"a proof's use is remembered as long as it is taken", func(t *testing.T) {
			clock := newClock()
			g := startDPoP(t, harness.Setup{
				Store:   pushstore.NewMemory(pushstore.MemoryOptions{Now: clock.Now}),
				Options: func(o *proxy.Options) { o.Now = clock.Now },
			})
			form := harness.Form().Encode()
			proof := withProof(keyDPoP.Prove(harness.ProofClaims(g.URL+"/par", clock.Now().Add(30*time.Second))))
			created(t, pushOf(t, g, form, asWeb, proof))
			for _, later := range []time.Duration{49 * time.Second, 31 * time.Second, 19 * time.Second} { // to 49 s, 80 s and 99 s
				clock.advance(later)
				wantProofError(t, clock.Now().String(), pushOf(t, g, form, asWeb, proof), usedBefore)
			}
			clock.advance(2 * time.Second)
			wantProofError(t, "over", pushOf(t, g, form, asWeb, proof), "the DPoP proof has an iat that is more than 60 seconds old; make a proof for each request")
		}},
		{"a push that is not stored says what it needs anew", func(t *testing.T) {
			store := &brokenStore{Store: memory()}
			g := startDPoP(t, harness.Setup{Clients: authClients, Store: store})
			store.broken.Store(true)
			plain, secret := func(*http.Request) {}, harness.Form("client_id", "cp", "client_secret", "cp-s3cret")
			for _, c := range []struct {
				form  url.Values
				proof func(*http.Request)
				want  string
			}{
				{secret, plain, ""},
				{secret, withProof(prove(g)), ", with a new DPoP proof"},
				{asserted(keyCJ, "cj", g.URL), plain, ", with a new client_assertion"},
				{asserted(keyHS, "ch", g.URL), plain, ", with a new client_assertion"},
				{asserted(keyCJ, "cj", g.URL), withProof(prove(g)), ", with a new client_assertion and a new DPoP proof"},
			} {
				res := pushOf(t, g, c.form.Encode(), c.proof)
				wantPushError(t, res, 503, "temporarily_unavailable")
				wantDescription(t, res, "the request could not be stored; push it again"+c.want)
			}
		}},
		{"an unknown client hears nothing of its proof", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			wantPushError(t, pushOf(t, g, harness.Form("client_id", "nobody").Encode(), basic("nobody", "x"), withProof("x")), 401, "invalid_client")
		}},
		{"a private key in a proof is refused", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{})
			proof := keyDPoP.Prove(harness.ProofClaims(g.URL+"/par", time.Now()), "jwk", json.RawMessage(keyDPoP.JWK("d", "c4nary")))
			wantProofError(t, "d", pushOf(t, g, harness.Form().Encode(), asWeb, withProof(proof)),
				"the DPoP proof has a private key in its header; send the public one, and do not use this key any more")
		}},
		{"E-06 no other JWT of the client is a proof, and a proof is no other JWT", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{Clients: authClients})
			claims := func() map[string]any {
				all := harness.Claims("cj", g.URL, time.Now(), "htm", "POST", "htu", g.URL+"/par")
				all["response_type"] = "code"
				return all
			}
			key := json.RawMessage(keyCJ.JWK())
			for _, typ := range []any{nil, "JWT", "client-authentication+jwt", "oauth-authz-req+jwt", "at+jwt", "logout+jwt"} {
				res := pushOf(t, g, asserted(keyCJ, "cj", g.URL).Encode(), withProof(keyCJ.Sign(claims(), "typ", typ, "jwk", key)))
				wantProofError(t, fmt.Sprint(typ), res, "the DPoP proof has a typ of another kind of JWT; use dpop+jwt")
			}
			form := harness.Assert(harness.Form("client_id", "cj"), keyCJ.Prove(claims()))
			wantPushError(t, pushOf(t, g, form.Encode()), 401, "invalid_client")
			form = harness.Assert(harness.Form("client_id", "cj"), keyCJ.Prove(claims(), "jwk", nil))
			wantPushError(t, pushOf(t, g, form.Encode()), 401, "invalid_client")
			// One key may do both.
			if res := pushOf(t, g, asserted(keyCJ, "cj", g.URL).Encode(), withProof(keyCJ.Prove(claims()))); res.Status != 201 {
				t.Errorf("a proof and an assertion: %d %s", res.Status, res.Body)
			}
		}},
		{"the header goes upstream with everything but a push", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{Options: func(o *proxy.Options) { o.DryRun = true }})
			proof := prove(g)
			got := arrives(t, g, "web", pushOf(t, g, harness.Form().Encode(), asWeb, withProof(proof)))
			wantProofError(t, "again", pushOf(t, g, harness.Form().Encode(), asWeb, withProof(proof)), usedBefore)
			if n := len(g.Upstream.Requests()); got.Get("dpop_jkt") != keyDPoP.Thumbprint() || n < 3 {
				t.Errorf("the upstream got %d requests, the last with %v", n, got)
			}
			for _, r := range g.Upstream.Requests() { // the dry runs and the browser's
				if q := r.Query(); q.Get("dpop_jkt") != keyDPoP.Thumbprint() || len(r.Header.Values("DPoP")) > 0 {
					t.Errorf("%s %v", r.Target, r.Header)
				}
			}
			seen := g.Upstream.Raw()
			for _, entry := range g.Logs.All() {
				fields, _ := json.Marshal(entry.ContextMap())
				seen += entry.Message + string(fields)
			}
			for i, part := range strings.Split(proof, ".") {
				if strings.Contains(seen, part) {
					t.Errorf("part %d of the proof was logged or forwarded", i+1)
				}
			}
			other := keyDPoP.Prove(harness.ProofClaims(g.URL+"/token", time.Now()))
			for _, target := range []string{"/token", "/userinfo"} {
				harness.NewBrowser(g.URL).Post(t, target, "grant_type=authorization_code&code=c0de", withProof(other))
				if r := g.Upstream.Last(); r.Path() != target || !slices.Equal(r.Header.Values("DPoP"), []string{other}) {
					t.Errorf("%s: %v", r.Target, r.Header)
				}
			}
		}},
		{"a client that only the upstream knows is bound too", func(t *testing.T) {
			var asked atomic.Int64
			g := startDPoP(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				knowsDPoP(`["ES256"]`)(r)
				r.Handlers["/token"] = tokenEndpoint(&asked)
			}, Options: func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers }})
			form, proof := harness.Form("client_id", "legacy").Encode(), withProof(prove(g))
			wantPushError(t, pushOf(t, g, form, basic("legacy", "wrong"), proof), 401, "invalid_client")
			if got := arrives(t, g, "legacy", pushOf(t, g, form, basic("legacy", "l3gacy"), proof)); got.Get("dpop_jkt") != keyDPoP.Thumbprint() {
				t.Errorf("%v", got)
			}
			wantProofError(t, "again", pushOf(t, g, form, basic("legacy", "l3gacy"), proof), usedBefore)
			for _, r := range g.Upstream.Requests() {
				if len(r.Header.Values("DPoP")) > 0 {
					t.Errorf("%s %v", r.Target, r.Header)
				}
			}
		}},
		{"a script of a listed origin may prove its key", func(t *testing.T) {
			g := startDPoP(t, harness.Setup{Options: func(o *proxy.Options) { o.CORSOrigins = []string{app} }})
			res := harness.NewBrowser(g.URL).Do(t, "OPTIONS", "/par", nil, fromOrigin(app), setHeader("Access-Control-Request-Method", "POST"), setHeader("Access-Control-Request-Headers", "dpop"))
			if res.Status != 204 || !strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "DPoP") {
				t.Errorf("preflight: %d %v", res.Status, res.Header)
			}
			form := harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb").Encode()
			with := pushOf(t, g, form, fromOrigin(app), withProof(prove(g)))
			without := pushOf(t, g, form, fromOrigin(app))
			for _, name := range []string{"X-Request-Id", "Date"} {
				with.Header.Del(name)
				without.Header.Del(name)
			}
			if with.Status != 201 || fmt.Sprint(with.Header) != fmt.Sprint(without.Header) {
				t.Errorf("%d %v, without a proof %v", with.Status, with.Header, without.Header)
			}
			refused := pushOf(t, g, form, fromOrigin(app), withProof("x"))
			if refused.Status != 400 || refused.Header.Get("Access-Control-Allow-Origin") != app {
				t.Errorf("%d %v", refused.Status, refused.Header)
			}
		}},
	})
}

func TestAProofIsUsedOnceAtAllGateways(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	a := startDPoP(t, harness.Setup{Store: replicaStore(t, server)})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := harness.InFrontOf(t, listener, a.Upstream.URL, harness.Setup{Store: replicaStore(t, server)})
	form := harness.Form().Encode()
	proof := prove(a)
	if res := pushOf(t, a, form, asWeb, withProof(proof)); res.Status != 201 {
		t.Fatalf("first: %d %s", res.Status, res.Body)
	}
	for _, g := range []*harness.Gateway{b, a} {
		wantProofError(t, "again", pushOf(t, g, form, asWeb, withProof(proof)), usedBefore)
	}
	jti := prove(a, "jti", "one")
	if res := pushOf(t, a, form, asWeb, withProof(jti)); res.Status != 201 {
		t.Fatalf("a jti: %d %s", res.Status, res.Body)
	}
	wantProofError(t, "the same jti, signed anew", pushOf(t, b, form, asWeb, withProof(prove(a, "jti", "one"))), usedBefore)
	other := keyOther.Prove(harness.ProofClaims(a.URL+"/par", time.Now(), "jti", "one"))
	if res := pushOf(t, b, form, asWeb, withProof(other)); res.Status != 201 {
		t.Errorf("another key's jti: %d %s", res.Status, res.Body)
	}

	// At both at once it is taken by one.
	for range 20 {
		proof := prove(a)
		var taken atomic.Int64
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				if pushOf(t, []*harness.Gateway{a, b}[i%2], form, asWeb, withProof(proof)).Status == 201 {
					taken.Add(1)
				}
			})
		}
		wait.Wait()
		if n := taken.Load(); n != 1 {
			t.Errorf("one proof was taken %d times", n)
		}
	}
	server.Stop()
	res := pushOf(t, a, form, asWeb, withProof(prove(a)))
	wantPushError(t, res, 503, "temporarily_unavailable")
	wantDescription(t, res, "the DPoP proof could not be checked; make a new one")
	wantPushError(t, pushOf(t, a, form, asWeb, withProof("x")), 400, "invalid_dpop_proof")
}
