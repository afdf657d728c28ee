package test

import (
	"net/http"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
)

const app = "https://spa.example"

func fromOrigin(origin string) func(*http.Request) { return setHeader("Origin", origin) }

func TestScriptsOfListedOriginsMayPush(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.CORSOrigins = []string{app, "http://127.0.0.1:3000"} }})
	b := harness.NewBrowser(g.URL)
	asked := setHeader("Access-Control-Request-Method", "POST")

	res := b.Do(t, "OPTIONS", "/par", nil, fromOrigin(app), asked, setHeader("Access-Control-Request-Headers", "dpop"))
	if res.Status != 204 || res.Header.Get("Access-Control-Allow-Origin") != app || res.Header.Get("Access-Control-Allow-Methods") != "POST" ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "DPoP") || res.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", res.Status, res.Header)
	}
	form := harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb").Encode()
	for what, test := range map[string]struct {
		origin, form string
		status       int
		allowed      bool
	}{
		"a push":                   {app, form, 201, true},
		"an error":                 {app, "client_id=public", 400, true},
		"a refusal":                {app, "client_id=nobody", 401, true},
		"another origin":           {"https://evil.example", form, 201, false},
		"the same with a slash":    {app + "/", form, 201, false},
		"the same in upper case":   {strings.ToUpper(app), form, 201, false},
		"a page without a place":   {"null", form, 201, false},
		"no browser":               {"", form, 201, false},
		"a listed one with a port": {"http://127.0.0.1:3000", form, 201, true},
	} {
		res := b.Post(t, "/par", test.form, func(r *http.Request) {
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
		})
		got := res.Header.Get("Access-Control-Allow-Origin")
		if res.Status != test.status || (got == test.origin && got != "") != test.allowed || res.Header.Get("Vary") != "Origin" || res.Header.Get("WWW-Authenticate") != "" && test.origin != "" {
			t.Errorf("%s: %d %v", what, res.Status, res.Header)
		}
		if test.allowed != strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%s: %v", what, res.Header)
		}
	}
	for _, target := range []string{"/authorize", "/token", "/login"} {
		if res := b.Do(t, "OPTIONS", target, nil, fromOrigin(app), asked); res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", target, res.Header)
		}
	}
	for what, res := range map[string]harness.Response{
		"another origin": b.Do(t, "OPTIONS", "/par", nil, fromOrigin("https://evil.example"), asked), "no question": b.Do(t, "OPTIONS", "/par", nil, fromOrigin(app)),
		"two origins": b.Do(t, "OPTIONS", "/par", nil, asked, func(r *http.Request) { r.Header["Origin"] = []string{app, app} }),
	} {
		if res.Status != 405 {
			t.Errorf("%s: %d %v", what, res.Status, res.Header)
		}
	}
}

func TestWithoutListedOriginsNoScriptMayPush(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	res := harness.NewBrowser(g.URL).Do(t, "OPTIONS", "/par", nil, fromOrigin(app), setHeader("Access-Control-Request-Method", "POST"))
	if res.Status != 405 || res.Header.Get("Access-Control-Allow-Origin")+res.Header.Get("Vary") != "" {
		t.Errorf("%d %v", res.Status, res.Header)
	}
}
