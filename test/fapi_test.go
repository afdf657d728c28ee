package test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pargate/config"
	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/test/harness"
	"pargate/test/upstream"
)

var (
	keyPS = harness.NewSigner("PS256", "ps")
	keyED = harness.NewSigner("EdDSA", "ed")
)

// fapiClients have what the profile asks for; the key for PS256 would do for other algorithms too.
var fapiClients = `[
	{"client_id": "cj", "token_endpoint_auth_method": "private_key_jwt", "redirect_uris": ["https://app.example/cb", "http://127.0.0.1/native", "http://[::1]/native",
		"http://app.example/cb", "http://localhost/native", "com.example.app:/cb", "com.example.app://127.0.0.1/cb", "http://192.0.2.1/cb",
		"http://[::ffff:127.0.0.1]/native", "http://[::1%25lo]/native"], "jwks": ` + harness.KeySet(keyCJ, keyPS, keyED) + `},
	{"client_id": "ct", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=ct,O=Example\\2c Inc."},
	{"client_id": "cs", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": ` + harness.KeySet(keyCS) + `}
]`

// effects show each effect of the profile: what is taken under it, what is refused, and that it is the profile's doing.
var effects = map[string]func(*testing.T){
	"audience":        profileAudience,
	"clients":         profileClients,
	"algorithms":      profileAlgorithms,
	"request objects": profileObjects,
	"PAR":             profilePAR,
	"PKCE":            profilePKCE,
	"redirect_uri":    profileRedirectURI,
	"response_type":   profileResponseType,
	"iss":             profileIss,
	"expires_in":      profileLifetime,
	"clocks":          profileClocks,
	"redirects":       profileRedirects,
	"metadata":        profileMetadata,
}

func TestTheProfileHasTheEffectsThatItLists(t *testing.T) {
	t.Parallel()
	for _, effect := range config.ProfileFAPI2.Effects() {
		shown := effects[effect.Name]
		if shown == nil {
			t.Errorf("nothing shows that %s: %s", effect.Name, effect.Text)
			continue
		}
		t.Run(effect.Name, func(t *testing.T) {
			t.Parallel()
			shown(t)
		})
	}
	if n := len(config.ProfileFAPI2.Effects()); n != len(effects) {
		t.Errorf("%d effects are listed, %d are shown", n, len(effects))
	}
}

// profiled is a gateway under the profile, and one that differs from it in nothing else.
func profiled(t *testing.T, change ...func(*harness.Setup)) (with, without *desk) {
	t.Helper()
	var both [2]*desk
	for i := range both {
		setup := harness.Setup{Clients: fapiClients, FAPI: i == 0}
		for _, f := range change {
			f(&setup)
		}
		both[i] = newDesk(t, setup)
	}
	return both[0], both[1]
}

// ask pushes as the client cj with the changes of the form, and returns the answer's status and error.
func (d *desk) ask(t *testing.T, changes ...string) (status int, code string) {
	t.Helper()
	form := harness.Assert(harness.Form(append([]string{"client_id", "cj"}, changes...)...), keyCJ.Sign(harness.Claims("cj", d.URL, time.Now())))
	res := pushOf(t, d.Gateway, form.Encode())
	code, _ = res.JSON(t)["error"].(string)
	return res.Status, code
}

// wantRefused: the push is refused with the code under the profile, and taken without it.
func wantRefused(t *testing.T, with, without *desk, code string, changes ...string) {
	t.Helper()
	if status, got := with.ask(t, changes...); status != 400 || got != code {
		t.Errorf("%q: %d %s, want 400 %s", changes, status, got, code)
	}
	if status, got := without.ask(t, changes...); status != 201 {
		t.Errorf("%q: refused without the profile too: %d %s", changes, status, got)
	}
}

func wantTaken(t *testing.T, with *desk, changes ...string) {
	t.Helper()
	if status, got := with.ask(t, changes...); status != 201 {
		t.Errorf("%q: %d %s, want 201", changes, status, got)
	}
}

func profileAudience(t *testing.T) {
	with, without := profiled(t)
	with.want(t, "the issuer", 201, asserted(keyCJ, "cj", with.URL))
	for name, audience := range map[string]func(*desk) any{
		"the token endpoint":    func(d *desk) any { return d.URL + "/token" },
		"the push endpoint":     func(d *desk) any { return d.URL + "/par" },
		"the issuer alone":      func(d *desk) any { return []string{d.URL} },
		"the issuer and others": func(d *desk) any { return []string{d.URL, "https://other.example"} },
	} {
		with.want(t, name, 401, asserted(keyCJ, "cj", "", "aud", audience(with)))
		without.want(t, name+", without the profile", 201, asserted(keyCJ, "cj", "", "aud", audience(without)))
	}
}

func profileClients(t *testing.T) {
	d := newDesk(t, harness.Setup{Clients: fapiClients, FAPI: true})
	byName, own := d.with(d.issued(t, example)), d.with(selfSigned(t, keyCS, "x"))
	d.want(t, "private_key_jwt", 201, asserted(keyCJ, "cj", d.URL))
	d.want(t, "tls_client_auth", 201, harness.Form("client_id", "ct"), byName)
	d.want(t, "self_signed_tls_client_auth", 201, harness.Form("client_id", "cs"), own)
	d.want(t, "another's certificate", 401, harness.Form("client_id", "cs"), d.with(selfSigned(t, keyCJ, "x")))
	d.want(t, "an unknown client's certificate", 401, harness.Form("client_id", "nobody"), own)

	for _, delegation := range []proxy.Delegation{proxy.DelegateNone, proxy.DelegateOthers, proxy.DelegateAll} {
		var asked atomic.Int64
		d := newDesk(t, harness.Setup{Clients: fapiClients, FAPI: true, Options: func(o *proxy.Options) { o.Delegation = delegation },
			Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) }})
		for _, id := range []string{"legacy", "cj"} {
			d.want(t, "Basic", 401, harness.Form("client_id", id), basic(id, "l3gacy"))
			d.want(t, "Basic with a certificate", 401, harness.Form("client_id", id), basic(id, "l3gacy"), byName)
			d.want(t, "a secret in the form", 401, harness.Form("client_id", id, "client_secret", "l3gacy"))
			d.want(t, "a secret that signs", 401, asserted(keyHS, id, d.URL))
			d.want(t, "nothing", 401, harness.Form("client_id", id))
			d.want(t, "a certificate that is not registered", 401, harness.Form("client_id", id), own)
		}
		if delegation == proxy.DelegateAll {
			d.want(t, "a certificate that the upstream cannot be asked about", 401, harness.Form("client_id", "cs"), own)
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("delegation %d: the upstream was asked %d times", delegation, n)
		}
		if pushOf(t, d.Gateway, asserted(keyCJ, "legacy", d.URL).Encode()); (asked.Load() > 0) != (delegation != proxy.DelegateNone) {
			t.Errorf("delegation %d: about an assertion of its client the upstream was asked %d times", delegation, asked.Load())
		}
	}
}

func profileAlgorithms(t *testing.T) {
	with, without := profiled(t)
	for _, key := range []*harness.Signer{keyCJ, keyPS, keyED} {
		with.want(t, key.Algorithm, 201, asserted(key, "cj", with.URL))
	}
	for _, algorithm := range []string{"RS256", "RS512", "PS384", "PS512"} {
		key := &harness.Signer{Algorithm: algorithm, KeyID: "ps", Key: keyPS.Key}
		res := with.want(t, algorithm, 401, asserted(key, "cj", with.URL))
		wantDescription(t, res, "client_assertion is signed with "+algorithm+"; use PS256, ES256 or EdDSA")
		without.want(t, algorithm+", without the profile", 201, asserted(key, "cj", without.URL))

		signed := func(d *desk) harness.Response {
			form := asserted(keyCJ, "cj", d.URL)
			form.Set("request", key.Sign(requestClaims(d.Gateway, "cj")))
			return pushOf(t, d.Gateway, form.Encode())
		}
		wantPushError(t, signed(with), 400, "invalid_request_object")
		wantDescription(t, signed(with), "the request object is signed with "+algorithm+"; use PS256, ES256 or EdDSA")
		created(t, signed(without))
	}

	with, without = profiled(t, func(s *harness.Setup) { s.Upstream = knowsDPoP(`["RS256","PS256"]`) })
	for _, algorithm := range []string{"PS256", "RS256"} {
		key := &harness.Signer{Algorithm: algorithm, Key: keyPS.Key}
		proven := func(d *desk) harness.Response {
			return pushOf(t, d.Gateway, asserted(keyCJ, "cj", d.URL).Encode(), withProof(key.Prove(harness.ProofClaims(d.URL+"/par", time.Now()))))
		}
		if created(t, proven(without)); algorithm == "PS256" {
			created(t, proven(with))
			continue
		}
		wantProofError(t, algorithm, proven(with), "the DPoP proof has an alg that is not taken here; use PS256")
	}

	var asked atomic.Int64
	d := newDesk(t, harness.Setup{Clients: fapiClients, FAPI: true, Options: func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
		Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) }})
	d.want(t, "a client that only the upstream knows", 401, asserted(harness.NewSigner("RS256", "k"), "legacy", d.URL))
	d.want(t, "another audience of it", 401, asserted(keyCJ, "legacy", d.URL+"/token"))
	if n := asked.Load(); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func profileObjects(t *testing.T) {
	with, without := profiled(t)
	signed := func(d *desk, changes ...any) harness.Response {
		form := asserted(keyCJ, "cj", d.URL)
		form.Set("request", keyCJ.Sign(requestClaims(d.Gateway, "cj", changes...)))
		return pushOf(t, d.Gateway, form.Encode())
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, c := range []struct {
		changes []any
		want    string // empty: taken with the profile too
	}{
		{nil, ""},
		{[]any{"nbf", in(-50 * time.Minute), "exp", in(9 * time.Minute)}, ""},
		{[]any{"iss", nil}, "has no iss; it must be the client_id"},
		{[]any{"nbf", nil}, "has no nbf"},
		{[]any{"nbf", in(-50 * time.Minute), "exp", in(11 * time.Minute)}, "has an exp that is more than 60 minutes after its nbf"},
	} {
		created(t, signed(without, c.changes...))
		if c.want == "" {
			created(t, signed(with, c.changes...))
			continue
		}
		wantObjectError(t, signed(with, c.changes...), c.want)
	}
}

func profilePAR(t *testing.T) {
	with, without := profiled(t)
	query := "/authorize?" + harness.Form("client_id", "cj").Encode()
	if res := harness.NewBrowser(with.URL).Get(t, query); res.Status != 400 || len(with.Upstream.Requests()) != 0 {
		t.Errorf("not pushed: %d", res.Status)
	}
	if res := harness.NewBrowser(without.URL).Get(t, query); res.Status != 302 {
		t.Errorf("not pushed, without the profile: %d", res.Status)
	}
	wantTaken(t, with)
}

func profilePKCE(t *testing.T) {
	with, without := profiled(t)
	wantTaken(t, with)
	wantRefused(t, with, without, "invalid_request", "code_challenge", "", "code_challenge_method", "")
	wantRefused(t, with, without, "invalid_request", "code_challenge_method", "plain")
	wantRefused(t, with, without, "invalid_request", "code_challenge_method", "")
}

func profileRedirectURI(t *testing.T) {
	with, without := profiled(t)
	for _, uri := range []string{"https://app.example/cb", "http://127.0.0.1:49152/native", "http://[::1]:49152/native"} {
		wantTaken(t, with, "redirect_uri", uri)
	}
	for _, uri := range []string{"http://app.example/cb", "http://localhost/native", "com.example.app:/cb", "com.example.app://127.0.0.1/cb", "http://192.0.2.1/cb",
		"http://[::ffff:127.0.0.1]/native", "http://[::1%25lo]/native"} {
		wantRefused(t, with, without, "invalid_request", "redirect_uri", uri)
	}
	single := strings.Replace(fapiClients, `"client_id": "cs",`, `"client_id": "cs", "redirect_uris": ["https://app.example/cb"],`, 1)
	with, without = profiled(t, func(s *harness.Setup) { s.Clients = single })
	form, own := harness.Form("client_id", "cs", "redirect_uri", "", "scope", "accounts"), with.with(selfSigned(t, keyCS, "x"))
	with.want(t, "no redirect_uri", 400, form, own)
	without.want(t, "no redirect_uri, without the profile", 201, form, own)
}

func profileResponseType(t *testing.T) {
	with, without := profiled(t)
	for _, value := range []string{"code id_token", "id_token", "token", "none", "code token"} {
		wantRefused(t, with, without, "unsupported_response_type", "response_type", value)
	}
	wantTaken(t, with, "response_type", "code")
}

func profileIss(t *testing.T) {
	d := newDesk(t, harness.Setup{Clients: fapiClients, FAPI: true, Options: func(o *proxy.Options) { o.AddIssuer = false }})
	res := d.want(t, "push", 201, asserted(keyCJ, "cj", d.URL))
	b := harness.NewBrowser(d.URL)
	end := b.LogIn(t, b.Open(t, "cj", res.JSON(t)["request_uri"].(string)))
	location, err := url.Parse(end.Location)
	if err != nil || location.Query().Get("code") == "" || location.Query().Get("iss") != d.URL {
		t.Errorf("%s %v", end.Location, err)
	}
	if doc := harness.NewBrowser(d.URL).Get(t, oidcPath).JSON(t); doc["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("%v", doc)
	}
}

func profileLifetime(t *testing.T) {
	with, without := profiled(t, func(s *harness.Setup) { s.Options = func(o *proxy.Options) { o.PushLifetime = 599 * time.Second } })
	for profile, d := range map[string]*desk{"fapi2": with, "": without} {
		if got := d.want(t, "push", 201, asserted(keyCJ, "cj", d.URL)).JSON(t)["expires_in"]; got != 599.0 {
			t.Errorf("PROFILE=%s: expires_in = %v", profile, got)
		}
		options := d.Server.Options
		options.PushLifetime = 600 * time.Second
		if _, err := proxy.New(options); (err == nil) != (profile == "") { // whose settings say it then
			t.Errorf("PROFILE=%s: 600 s: %v", profile, err)
		}
		for ttl, taken := range map[string]bool{"599s": true, "600s": false} {
			if _, _, err := config.Load([]string{"UPSTREAM_URL=http://127.0.0.1:1", "PROFILE=" + profile, "PAR_TTL=" + ttl}); (err == nil) != taken {
				t.Errorf("PROFILE=%s PAR_TTL=%s: %v", profile, ttl, err)
			}
		}
	}
}

// The conformance suite of the OpenID Foundation sends 8 s, 10 s and more than 60 s. The profile changes nothing here.
func profileClocks(t *testing.T) {
	clock := newClock()
	with, without := profiled(t, func(s *harness.Setup) { s.Options = func(o *proxy.Options) { o.Now = clock.Now } })
	in := func(seconds int) int64 { return clock.Now().Unix() + int64(seconds) }
	for _, d := range []*desk{with, without} {
		for _, claim := range []string{"iat", "nbf"} {
			for seconds, status := range map[int]int{8: 201, 10: 201, 30: 201, 31: 401, 62: 401} {
				form := asserted(keyCJ, "cj", d.URL, "iat", in(0), "exp", in(120), claim, in(seconds))
				d.want(t, fmt.Sprintf("%s %d s ahead", claim, seconds), status, form)
			}
		}
	}
}

func profileRedirects(t *testing.T) {
	for _, test := range []struct {
		method, location      string
		status, with, without int
	}{
		{"POST", "/login", 307, 303, 307}, {"POST", "/login", 308, 303, 308}, {"POST", "https://broker.example/login", 307, 303, 303},
		{"GET", "/login", 307, 307, 307}, {"POST", "/login", 302, 302, 302},
	} {
		with, without := profiled(t, func(s *harness.Setup) {
			s.Upstream = func(r *upstream.Recorder) {
				r.Handlers["/page"] = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", test.location)
					w.WriteHeader(test.status)
				}
			}
		})
		for want, d := range map[*int]*desk{&test.with: with, &test.without: without} {
			b := harness.NewBrowser(d.URL)
			b.Open(t, "cj", d.want(t, "push", 201, asserted(keyCJ, "cj", d.URL)).JSON(t)["request_uri"].(string))
			res := b.Do(t, test.method, "/page", strings.NewReader("password=x"), setHeader("Content-Type", "application/x-www-form-urlencoded"))
			if res.Status != *want {
				t.Errorf("%+v: %d, want %d", test, res.Status, *want)
			}
		}
	}
}

func profileMetadata(t *testing.T) {
	const more = `,"response_types_supported":["code","code id_token"],"code_challenge_methods_supported":["plain","S256"],"require_signed_request_object":false,` +
		`"token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt","none"],"token_endpoint_auth_signing_alg_values_supported":["RS256","Ed25519","ES256"],` +
		`"dpop_signing_alg_values_supported":["RS256","Ed25519","PS256"],"grant_types_supported":["authorization_code","implicit","refresh_token"],"vendor":["plain"]`
	with, without := profiled(t, func(s *harness.Setup) {
		s.Upstream = func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: r.Document(more)} }
	})
	want := map[string]string{
		"require_pushed_authorization_requests": "true", "authorization_response_iss_parameter_supported": "true", "request_uri_parameter_supported": "false",
		"response_types_supported": `["code"]`, "code_challenge_methods_supported": `["S256"]`, "token_endpoint_auth_methods_supported": `["private_key_jwt"]`,
		"token_endpoint_auth_signing_alg_values_supported": `["Ed25519","ES256"]`, "dpop_signing_alg_values_supported": `["Ed25519","PS256"]`,
		"grant_types_supported": `["authorization_code","refresh_token"]`, "vendor": `["plain"]`,
		"require_signed_request_object": "false",
	}
	for _, path := range []string{oidcPath, oauthPath} {
		doc := rawMembers(t, harness.NewBrowser(with.URL).Get(t, path).Body)
		for name, value := range want {
			if string(doc[name]) != value {
				t.Errorf("%s: %s is %s, want %s", path, name, doc[name], value)
			}
		}
	}
	doc := rawMembers(t, harness.NewBrowser(without.URL).Get(t, oidcPath).Body)
	for name, value := range rawMembers(t, without.Upstream.Document(more)) {
		if string(doc[name]) != string(value) {
			t.Errorf("without the profile: %s is %s, want %s", name, doc[name], value)
		}
	}
}

func rawMembers(t *testing.T, text string) (members map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return members
}

func TestMetadataNamesTheAlgorithmsOfObjectsThatAreOpenedHere(t *testing.T) {
	t.Parallel()
	const supported, signing = "request_parameter_supported", "request_object_signing_alg_values_supported"
	const own = `,"request_parameter_supported":true,"request_object_signing_alg_values_supported":["none","RS256","ES256"],"request_object_encryption_alg_values_supported":["RSA-OAEP"]`
	for _, c := range []struct {
		name, clients, upstream string
		fapi, patched           bool
		want                    string // the algorithms
	}{
		{"no client has keys", "", own, false, true, `["none","RS256","ES256"]`},
		{"no client has a key for what the profile takes", onlyRS256, own, false, true, `["RS256","ES256"]`},
		{"a client has keys", fapiClients, own, false, true, `["RS256","ES256"]`},
		{"a client has keys, and the profile", fapiClients, own, true, true, `["ES256"]`},
		{"the server opens none", fapiClients, "", true, true, `["PS256","ES256","EdDSA"]`},
		{"the metadata is left alone", fapiClients, own, false, false, `["none","RS256","ES256"]`},
		{"the server has PAR of its own", fapiClients, own + `,"pushed_authorization_request_endpoint":"https://as.example/own"`, false, true, `["none","RS256","ES256"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, harness.Setup{Clients: cmp.Or(c.clients, harness.Clients), FAPI: c.fapi,
				Options:  func(o *proxy.Options) { o.PatchMetadata = c.patched },
				Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: r.Document(c.upstream)} }})
			doc := rawMembers(t, harness.NewBrowser(d.URL).Get(t, oidcPath).Body)
			left := slices.Contains([]string{"no client has keys", "the metadata is left alone", "the server has PAR of its own"}, c.name)
			if string(doc[signing]) != c.want || string(doc[supported]) != "true" || (doc["request_object_encryption_alg_values_supported"] != nil) != left {
				t.Errorf("%s", doc)
			}
		})
	}
}

// Nobody opens a request object where requests must be pushed and no client has keys here for it: the server gets plain
// parameters.
func TestMetadataOffersNoRequestObjectsThatNobodyOpens(t *testing.T) {
	t.Parallel()
	const own = `,"request_parameter_supported":true,"request_object_signing_alg_values_supported":["RS256"],"request_object_encryption_alg_values_supported":["RSA-OAEP"],` +
		`"request_object_encryption_enc_values_supported":["A256GCM"]`
	for name, setup := range map[string]harness.Setup{
		"PAR is required, and no client has keys": {Options: func(o *proxy.Options) { o.PARRequired = true }},
		"the profile, and no key is for it":       {Clients: onlyRS256, FAPI: true},
	} {
		setup.Upstream = func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: r.Document(own)} }
		g := harness.Start(t, setup)
		for _, path := range []string{oidcPath, oauthPath} {
			doc := rawMembers(t, harness.NewBrowser(g.URL).Get(t, path).Body)
			if string(doc["request_parameter_supported"]) != "false" {
				t.Errorf("%s: %s", name, doc)
			}
			for member := range doc {
				if strings.HasPrefix(member, "request_object_") {
					t.Errorf("%s: %s is there", name, member)
				}
			}
		}
	}
}

// onlyRS256 is a client whose key, of its certificate, is bound to an algorithm that the profile does not take.
var onlyRS256 = `[{"client_id": "cs", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [` +
	harness.NewSigner("RS256", "rs").JWK("alg", "RS256") + `]}}]`

func TestAGatewayUnderTheProfileHasAClientFileUnderIt(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	options := g.Server.Options
	options.FAPI = true
	if _, err := proxy.New(options); err == nil {
		t.Error("a client file that was read without it is taken")
	}
	options.Clients = new(client.Registry)
	if s, err := proxy.New(options); err != nil || s.Audience != client.AudienceIssuer {
		t.Errorf("no client file: %v", err)
	}
}

func TestTheLogWarnsOfAServerThatWantsSignedObjects(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"true": 1, "false": 0, `"true"`: 0} {
		g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
			r.Metadata = map[string]string{oidcPath: r.Document(`,"require_signed_request_object":` + value)}
		}})
		warned := 0
		for _, entry := range g.Logs.FilterMessage("upstream is known").All() {
			if warning, _ := entry.ContextMap()["warning"].(string); strings.Contains(warning, "require_signed_request_object") && entry.Level.String() == "warn" {
				warned++
			}
		}
		if warned != want {
			t.Errorf("%s: %d warnings", value, warned)
		}
	}
}
