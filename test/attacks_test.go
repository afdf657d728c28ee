package test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// A request by an object or a reference has its response_type and redirect_uri in there (RFC 9101 §5): client_id and the one
// parameter begin it, on whatever path the upstream has a second authorization endpoint.
func TestARequestByObjectOrReferenceIsOneOnAnyPath(t *testing.T) {
	t.Parallel()
	for name, setup := range map[string]harness.Setup{
		"all must push":          {Options: func(o *proxy.Options) { o.PARRequired = true }},
		"under the profile":      {FAPI: true, Clients: fapiClients},
		"this client must push":  {Clients: objectClients},
		"this client must sign ": {Clients: objectClients},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, setup)
			id := map[string]string{"all must push": "web", "under the profile": "cj", "this client must push": "pushes"}[name]
			if id == "" {
				id = "must"
			}
			b := harness.NewBrowser(g.URL)
			for _, beside := range []string{"request=eyJhbGciOiJub25lIn0.e30.", "request_uri=https%3A%2F%2Fapp.example%2Fr", "Request=x", "request[]=x", "response_type=code"} {
				form := "client_id=" + id + "&" + beside
				wantPage(t, g, b.Get(t, "/oidc/oidcAuthorize?"+form), 400, "invalid_request")
				wantPage(t, g, b.Post(t, "/oidc/oidcAuthorize", form), 400, "invalid_request")
			}
			wantUntouched(t, g)
			if res := b.Post(t, "/account", "client_id="+id+"&name=x"); res.Status != 200 {
				t.Errorf("another form: %d", res.Status)
			}
		})
	}
}

// What a browser has signed is not somebody else's means to fill the store.
func TestAnObjectStartsAFewLoginsAndNoMore(t *testing.T) {
	t.Parallel()
	store := &puttingStore{Store: memory()}
	g := harness.Start(t, withObjects(harness.Setup{Store: store}))
	object := objectOf(g, "signs")
	for n := range 12 {
		res := harness.NewBrowser(g.URL).Get(t, byValue("signs", object))
		if n < 8 && res.Status != http.StatusSeeOther || n >= 8 && res.Status != 400 {
			t.Errorf("time %d: %d", n+1, res.Status)
		}
	}
	if n := store.puts.Load(); n != 8 {
		t.Errorf("%d requests are stored", n)
	}
	if res := harness.NewBrowser(g.URL).Get(t, byValue("signs", objectOf(g, "signs", "state", "another"))); res.Status != http.StatusSeeOther {
		t.Errorf("another object: %d", res.Status)
	}
	created(t, pushObject(t, g, "signs", object))
	marked := byValue("signs", objectOf(g, "signs", "state", "marked")) + "&pargate=1"
	if wantPage(t, g, harness.NewBrowser(g.URL).Get(t, marked), 400, "invalid_request"); store.puts.Load() != 10 {
		t.Error("a request with the gateway's own marker is stored")
	}
}

// Requests by value have a bucket of their own: who has somebody's URL does not slow its pushes down.
func TestRequestsByValueLeaveThePushesTheirRate(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, withObjects(harness.Setup{Options: func(o *proxy.Options) { o.PushRate = 1 }}))
	b, limited := harness.NewBrowser(g.URL), 0
	for range 10 {
		if b.Get(t, byValue("signs", "x")).Status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Error("requests by value are not limited")
	}
	created(t, pushObject(t, g, "signs", objectOf(g, "signs")))
}

func TestAFrameWithObjectsEndsNoLogin(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, withObjects(harness.Setup{}))
	b := harness.NewBrowser(g.URL)
	for n := range 5 {
		openByValue(t, b, "signs", objectOf(g, "signs", "state", strings.Repeat("s", n+1)))
	}
	res := b.Get(t, byValue("signs", objectOf(g, "signs", "state", "frame")), setHeader("Sec-Fetch-Dest", "iframe"))
	if wantPage(t, g, res, 400, "invalid_request_uri"); len(res.Header.Values("Set-Cookie")) > 0 {
		t.Errorf("a frame sets %v", res.Header.Values("Set-Cookie"))
	}
	pushed := created(t, pushOf(t, g, signedForm("signs").Encode(), basic("signs", "s")))
	res = b.Get(t, "/authorize?client_id=signs&request_uri="+url.QueryEscape(pushed), setHeader("Sec-Fetch-Dest", "iframe"))
	if wantPage(t, g, res, 400, "invalid_request_uri"); len(res.Header.Values("Set-Cookie")) > 0 {
		t.Errorf("a frame with a reference sets %v", res.Header.Values("Set-Cookie"))
	}
	if res := b.Get(t, byValue("signs", objectOf(g, "signs", "state", "page"))); res.Status != http.StatusSeeOther {
		t.Errorf("a page: %d", res.Status)
	}
}

// What was pushed unsigned is not served once its client must sign.
func TestWhoMustSignSinceIsNotServedUnsigned(t *testing.T) {
	t.Parallel()
	registry, replace := harness.RegistryFile(t, objectClients)
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.Clients = registry }})
	form := signedForm("signs")
	unsigned := created(t, pushOf(t, g, form.Encode(), basic("signs", "s")))
	signed := created(t, pushObject(t, g, "signs", objectOf(g, "signs")))
	replace(strings.Replace(objectClients, `"client_id": "signs", `, `"client_id": "signs", "require_signed_request_object": true, `, 1))
	short := func(uri string) string { return "/authorize?client_id=signs&request_uri=" + url.QueryEscape(uri) }
	b := harness.NewBrowser(g.URL)
	wantPage(t, g, b.Get(t, b.Get(t, short(unsigned)).Location), 400, "invalid_request_uri")
	wantUntouched(t, g)
	if res := b.Get(t, b.Get(t, short(signed)).Location); res.Status != 302 {
		t.Errorf("signed: %d", res.Status)
	}
}

// Marks of proofs, which a public client may make, take no room from the marks of assertions.
func TestProofsOfAPublicClientLeaveOthersTheirRoom(t *testing.T) {
	t.Parallel()
	g := startDPoP(t, harness.Setup{Store: pushstore.NewMemory(pushstore.MemoryOptions{MaxBytes: 1 << 20}), Clients: `[
		{"client_id": "public", "token_endpoint_auth_method": "none"},
		{"client_id": "jwt", "token_endpoint_auth_method": "private_key_jwt", "jwks": ` + harness.KeySet(keyCJ) + `}]`})
	form := harness.Form("client_id", "public").Encode()
	full := false
	for range 3000 {
		if res := pushOf(t, g, form, withProof(prove(g))); res.Status == 503 {
			full = true
			break
		}
	}
	if !full {
		t.Fatal("the store of the test has room for everything")
	}
	assertion := keyCJ.Sign(harness.Claims("jwt", g.URL, time.Now()))
	created(t, pushOf(t, g, harness.Assert(harness.Form("client_id", "jwt"), assertion).Encode(), withProof(prove(g))))
}

// Under the profile no form is sent on by 307, whoever sends it.
func TestTheProfileSendsNoFormOn(t *testing.T) {
	t.Parallel()
	redirect := func(r *upstream.Recorder) {
		r.Handlers["/login"] = func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Location", req.URL.Query().Get("to"))
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}
	with, without := profiled(t, func(s *harness.Setup) { s.Upstream = redirect })
	for _, to := range []string{"/next", "https://other.example/next"} {
		path := "/login?to=" + url.QueryEscape(to)
		if res := harness.NewBrowser(with.URL).Post(t, path, "password=x"); res.Status != http.StatusSeeOther {
			t.Errorf("%s: %d", to, res.Status)
		}
		if res := harness.NewBrowser(without.URL).Post(t, path, "password=x"); res.Status != http.StatusTemporaryRedirect {
			t.Errorf("%s, without the profile: %d", to, res.Status)
		}
	}
}

// A signature has several texts; what is signed counts.
func TestAnObjectIsCountedByWhatItSays(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, withObjects(harness.Setup{}))
	claims := requestClaims(g, "signs")
	for n := range 9 {
		res := harness.NewBrowser(g.URL).Get(t, byValue("signs", keyCJ.Sign(claims)))
		if want := map[bool]int{true: http.StatusSeeOther, false: 400}[n < 8]; res.Status != want {
			t.Errorf("time %d: %d, want %d", n+1, res.Status, want)
		}
	}
}

// Where requests must be pushed, forms on other paths are looked into as far as they are awaited anyway, and token requests
// are none of ours.
func TestFormsElsewhereWhereRequestsMustBePushed(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.PARRequired = true },
		Upstream: func(r *upstream.Recorder) {
			r.Metadata = map[string]string{oidcPath: r.Document(`,"mtls_endpoint_aliases":{"token_endpoint":"` + r.Issuer + `/mtls/token"}`)}
		},
	})
	b := harness.NewBrowser(g.URL)
	token := "grant_type=authorization_code&code=c&client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
	for path, form := range map[string]string{
		"/mtls/token": strings.Replace(token, "grant_type=authorization_code&", "", 1), "/token/": token, "/Token": token, "/realms/other/token": token,
		"/upload": "client_id=web&response_type=code&x=" + strings.Repeat("x", 2<<20), // the guard on the way out is for that
	} {
		if res := b.Post(t, path, form); res.Status != 200 {
			t.Errorf("%s: %d %s", path, res.Status, res.Body[:min(len(res.Body), 200)])
		}
	}
	whole := "client_id=web&response_type=code"
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	multipart := setHeader("Content-Type", "multipart/form-data; boundary=b")
	n := len(g.Upstream.Requests())
	for name, res := range map[string]harness.Response{
		"one that says it asks for a token":   b.Post(t, "/index.php", whole+"&grant_type=authorization_code"),
		"a form with a comma behind its type": b.Post(t, "/index.php", whole, setHeader("Content-Type", "application/x-www-form-urlencoded,x")),
		"a form with a blank behind its type": b.Post(t, "/index.php", whole, setHeader("Content-Type", "application/x-www-form-urlencoded x")),
		"multipart":                           b.Post(t, "/index.php", part("client_id", "web")+part("response_type", "code")+"--b--\r\n", multipart),
		"multipart with a query":              b.Post(t, "/index.php?r=authorize&client_id=web", part("response_type", "code")+"--b--\r\n", multipart),
		"two types": b.Post(t, "/index.php", whole, func(r *http.Request) {
			r.Header["Content-Type"] = []string{"text/plain", "application/x-www-form-urlencoded"}
		}),
	} {
		if res.Status != 400 && res.Status != 415 {
			t.Errorf("%s: %d", name, res.Status)
		}
	}
	if got := len(g.Upstream.Requests()); got != n {
		t.Errorf("the upstream got %d of them", got-n)
	}
}

// Who reads slowly holds a connection to the upstream, and not everybody else's.
func TestSlowReadersLeaveRoom(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.MaxResponses = 2 },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/endless"] = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusOK)
				w.(http.Flusher).Flush()
				<-release
			}
		},
	})
	var held []*http.Response
	slow := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // nothing of it stays
	for range 2 {
		res, err := slow.Get(g.URL + "/endless")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, res)
	}
	res := harness.NewBrowser(g.URL).Get(t, "/page")
	if res.Status != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %d", res.Status)
	}
	created(t, pushOf(t, g, harness.Form().Encode(), asWeb))
	close(release)
	for _, res := range held {
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	harness.WaitFor(t, "room", func() bool { return harness.NewBrowser(g.URL).Get(t, "/page").Status == 200 })
}
