package test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// row is one demand of RFC 9126 or a neighbour on the gateway: its section, and what is true when it is met.
type row struct {
	name string
	run  func(*testing.T)
}

func runRows(t *testing.T, rows []row) {
	t.Parallel()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
}

// pushOf sends a push and returns the response.
func pushOf(t *testing.T, g *harness.Gateway, form string, change ...func(*http.Request)) harness.Response {
	t.Helper()
	return harness.NewBrowser(g.URL).Post(t, "/par", form, change...)
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(id, secret) }
}

var asWeb = basic("web", "s3cret")

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// wantPushError checks what every error of the push endpoint has in common (RFC 9126 §2.3, RFC 6749 §5.2).
func wantPushError(t *testing.T, res harness.Response, status int, code string) {
	t.Helper()
	if res.Status != status {
		t.Errorf("status = %d, want %d: %s", res.Status, status, res.Body)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := res.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control = %q", got)
	}
	body := res.JSON(t)
	if body["error"] != code {
		t.Errorf("error = %v, want %s: %s", body["error"], code, res.Body)
	}
	if body["request_uri"] != nil {
		t.Errorf("an error with a request_uri: %s", res.Body)
	}
	description, _ := body["error_description"].(string)
	for _, c := range description {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("error_description has %q (RFC 6749 §5.2): %s", c, description)
		}
	}
}

// wantPage checks what every error towards people has in common.
func wantPage(t *testing.T, g *harness.Gateway, res harness.Response, status int, code string) {
	t.Helper()
	if res.Status != status || !strings.Contains(res.Body, code) {
		t.Errorf("got %d, want the page %d %s: %s", res.Status, status, code, res.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'",
		"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8"} {
		if got := res.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if location := res.Header.Get("Location"); location != "" {
		t.Errorf("a page that redirects to %s", location)
	}
	if !strings.Contains(res.Body, res.Header.Get("X-Request-Id")) {
		t.Errorf("the page lacks its reference")
	}
}

// wantUntouched checks that nothing has reached the upstream.
func wantUntouched(t *testing.T, g *harness.Gateway) {
	t.Helper()
	for _, r := range g.Upstream.Requests() {
		t.Errorf("the upstream got %s %s", r.Method, r.Target)
	}
}

func TestRFC9126Endpoint(t *testing.T) {
	runRows(t, []row{
		{"§2 a form by POST is pushed, with or without a charset", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, mediaType := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded;charset=UTF-8", "Application/X-WWW-Form-Urlencoded"} {
				res := pushOf(t, g, harness.Form().Encode(), asWeb, setHeader("Content-Type", mediaType))
				if res.Status != http.StatusCreated {
					t.Errorf("%s: %d %s", mediaType, res.Status, res.Body)
				}
			}
		}},
		{"§2 the push endpoint's URL is https, or loopback", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Unknown: true, Upstream: func(r *upstream.Recorder) { r.Issuer = "http://as.example" }})
			harness.WaitFor(t, "the reason", func() bool { return strings.Contains(g.Server.Ready(t.Context())["upstream"], "neither https") })
			wantPushError(t, pushOf(t, g, harness.Form().Encode(), asWeb), 503, "temporarily_unavailable")
		}},
		{"§2.3 other methods get 405 with Allow", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"} {
				res := harness.NewBrowser(g.URL).Do(t, method, "/par", nil)
				if res.Status != 405 || res.Header.Get("Allow") != "POST" {
					t.Errorf("%s: %d, Allow %q", method, res.Status, res.Header.Get("Allow"))
				}
			}
			wantUntouched(t, g)
		}},
		{"§2.3 a body over the limit gets 413 before it is read", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			big := harness.Form("x", strings.Repeat("a", 64<<10)).Encode()
			wantPushError(t, pushOf(t, g, big, asWeb), 413, "invalid_request")
			chunked := harness.NewBrowser(g.URL).Do(t, "POST", "/par", struct{ *strings.Reader }{strings.NewReader(big)}, asWeb,
				setHeader("Content-Type", "application/x-www-form-urlencoded"), func(r *http.Request) { r.ContentLength = -1 })
			wantPushError(t, chunked, 413, "invalid_request")
		}},
		{"§2.3 too many pushes get 429, of this client alone", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PushRate = 1; o.Now = func() time.Time { return time.Unix(1e9, 0) } }})
			for range 2 {
				g.Push(t, "web", "s3cret", harness.Form())
			}
			res := pushOf(t, g, harness.Form().Encode(), asWeb)
			wantPushError(t, res, 429, "temporarily_unavailable")
			if res.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After = %q", res.Header.Get("Retry-After"))
			}
			g.Push(t, "both", "b0th", harness.Form("client_id", "both"))
		}},
		{"§2.2 the answer is 201 with request_uri and expires_in", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PushLifetime = 90 * time.Second }})
			res := pushOf(t, g, harness.Form().Encode(), asWeb)
			body := res.JSON(t)
			if res.Status != 201 || body["expires_in"] != 90.0 || len(body) != 2 {
				t.Errorf("%d %s", res.Status, res.Body)
			}
			if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "no-cache, no-store" {
				t.Errorf("%v", res.Header)
			}
		}},
		{"§2 other media types are refused", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, mediaType := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", "", "application/x-www-form-urlencoded; charset"} {
				wantPushError(t, pushOf(t, g, harness.Form().Encode(), asWeb, setHeader("Content-Type", mediaType)), 415, "invalid_request")
			}
			twice := func(r *http.Request) { r.Header["Content-Type"] = append(r.Header["Content-Type"], "text/plain") }
			wantPushError(t, pushOf(t, g, harness.Form().Encode(), asWeb, twice), 415, "invalid_request")
			wantPushError(t, pushOf(t, g, harness.Form().Encode(), asWeb, setHeader("Content-Encoding", "gzip")), 415, "invalid_request")
		}},
		{"RFC 6749 §3.2 the query is never read, and no place for credentials", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			b := harness.NewBrowser(g.URL)
			wantPushError(t, b.Post(t, "/par?client_id=web&client_secret=s3cret", harness.Form().Encode()), 400, "invalid_request")
			res := b.Post(t, "/par?scope=admin", harness.Form().Encode(), asWeb)
			b.Open(t, "web", res.JSON(t)["request_uri"].(string))
			if got := g.Upstream.Last().Query()["scope"]; len(got) != 1 || got[0] != "openid" {
				t.Errorf("scope = %q", got)
			}
		}},
		{"RFC 6749 §3.1 an empty value counts as none", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			res := pushOf(t, g, harness.Form().Encode()+"&prompt=", asWeb)
			uri := res.JSON(t)["request_uri"].(string)
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			if q := g.Upstream.Last().Query(); q.Has("prompt") {
				t.Errorf("prompt is %q", q["prompt"])
			}
			form := harness.Form("redirect_uri", "")
			form.Set("redirect_uri", "")
			wantPushError(t, pushOf(t, g, form.Encode(), asWeb), 400, "invalid_request")
		}},
		{"RFC 6749 §3.1 unknown parameters are no error, and are forwarded", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form("kc_idp_hint", "corp"))
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			if got := g.Upstream.Last().Query().Get("kc_idp_hint"); got != "corp" {
				t.Errorf("kc_idp_hint = %q", got)
			}
		}},
		{"RFC 6749 §3.1 a repeated parameter is an error", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, name := range []string{"scope", "client_id", "state", "foo", "client_secret"} {
				form := harness.Form().Encode() + "&" + name + "=1&" + name + "=2"
				wantPushError(t, pushOf(t, g, form, asWeb), 400, "invalid_request")
			}
		}},
		{"RFC 8707 §2 resource may be repeated, in its order", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			res := pushOf(t, g, harness.Form().Encode()+"&resource=https://b.example/&resource=https://a.example/", asWeb)
			harness.NewBrowser(g.URL).Open(t, "web", res.JSON(t)["request_uri"].(string))
			if got := fmt.Sprint(g.Upstream.Last().Query()["resource"]); got != "[https://b.example/ https://a.example/]" {
				t.Errorf("resource = %s", got)
			}
		}},
		{"RFC 6749 App. B what is not properly encoded UTF-8 is an error", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, pair := range []string{"x=%zz", "x=%FF%FE", "x=%00", "%zz=x", "x=%", "x=a;b", "=x"} {
				wantPushError(t, pushOf(t, g, harness.Form().Encode()+"&"+pair, asWeb), 400, "invalid_request")
			}
		}},
		{"RFC 9700 §2.6 there is no CORS at the authorization endpoint", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Handlers["/authorize"] = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Access-Control-Allow-Origin", "*")
					w.Header().Set("Access-Control-Allow-Credentials", "true")
				}
			}})
			b := harness.NewBrowser(g.URL)
			for _, method := range []string{"GET", "OPTIONS"} {
				res := b.Do(t, method, "/authorize", nil, setHeader("Origin", "https://spa.example"))
				for name := range res.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s: %s", method, name)
					}
				}
			}
		}},
		{"RFC 6749 §5.2 nothing that was sent is repeated", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, form := range []url.Values{harness.Form("response_type", `"><script>`), harness.Form(`<script>`, "1", "redirect_uri", "https://evil.example/<script>")} {
				res := pushOf(t, g, form.Encode(), asWeb)
				wantPushError(t, res, 400, res.JSON(t)["error"].(string))
				if strings.Contains(res.Body, "<script") || strings.Contains(res.Body, "u003c") {
					t.Errorf("reflected: %s", res.Body)
				}
			}
		}},
		{"URLs come from the settings and never from Host", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			evil := func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("X-Forwarded-Host", "evil.example") }
			res := harness.NewBrowser(g.URL).Get(t, "/.well-known/openid-configuration", evil)
			if got := res.JSON(t)["pushed_authorization_request_endpoint"]; got != g.URL+"/par" {
				t.Errorf("pushed_authorization_request_endpoint = %v", got)
			}
			uri := g.Push(t, "web", "s3cret", harness.Form())
			bounce := harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri), evil)
			if !strings.HasPrefix(bounce.Location, g.URL+"/") {
				t.Errorf("Location = %s", bounce.Location)
			}
		}},
	})
}

func TestRFC9126ClientAuthentication(t *testing.T) {
	runRows(t, []row{
		{"§2 each method with the right credentials is 201, with wrong ones 401", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, c := range []struct {
				name   string
				form   url.Values
				change []func(*http.Request)
				status int
			}{
				{"Basic", harness.Form(), []func(*http.Request){basic("web", "s3cret")}, 201},
				{"Basic alone names the client", harness.Form("client_id", ""), []func(*http.Request){basic("web", "s3cret")}, 201},
				{"wrong Basic", harness.Form(), []func(*http.Request){basic("web", "wrong")}, 401},
				{"unknown Basic", harness.Form("client_id", "nobody"), []func(*http.Request){basic("nobody", "s3cret")}, 401},
				{"body", harness.Form("client_id", "post", "client_secret", "p0st"), nil, 201},
				{"wrong body", harness.Form("client_id", "post", "client_secret", "wrong"), nil, 401},
				{"body where Basic is registered", harness.Form("client_secret", "s3cret"), nil, 401},
				{"either", harness.Form("client_id", "both", "client_secret", "b0th"), nil, 201},
				{"public", harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb"), nil, 201},
				{"public with a secret", harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb", "client_secret", "x"), nil, 401},
				{"confidential without a secret", harness.Form(), nil, 401},
				{"nobody", harness.Form("client_id", ""), nil, 401},
				{"two methods", harness.Form("client_secret", "s3cret"), []func(*http.Request){basic("web", "s3cret")}, 400},
				{"two clients", harness.Form("client_id", "post"), []func(*http.Request){basic("web", "s3cret")}, 400},
				{"another scheme", harness.Form(), []func(*http.Request){setHeader("Authorization", "Bearer x")}, 401},
			} {
				res := pushOf(t, g, c.form.Encode(), c.change...)
				if res.Status != c.status {
					t.Errorf("%s: %d %s, want %d", c.name, res.Status, res.Body, c.status)
				}
				challenged := res.Status == 401 && len(c.change) > 0 // RFC 6749 §5.2: who has used the header
				if challenge := res.Header.Get("WWW-Authenticate"); challenged != strings.HasPrefix(challenge, "Basic realm=") {
					t.Errorf("%s: WWW-Authenticate = %q", c.name, challenge)
				}
				script := pushOf(t, g, c.form.Encode(), append(c.change, setHeader("Origin", "https://spa.example"))...)
				if challenge := script.Header.Get("WWW-Authenticate"); script.Status == 401 && (challenge != "") != (len(c.change) > 0) {
					t.Errorf("%s, from a script: WWW-Authenticate = %q", c.name, challenge)
				}
				if res.Status == 401 {
					wantPushError(t, res, 401, "invalid_client")
				}
			}
		}},
		{"an unknown client and a wrong secret look alike", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			wrong := pushOf(t, g, harness.Form().Encode(), basic("web", "x"))
			unknown := pushOf(t, g, harness.Form("client_id", "nobody").Encode(), basic("nobody", "x"))
			if wrong.Body != unknown.Body || wrong.Status != unknown.Status {
				t.Errorf("%s / %s", wrong.Body, unknown.Body)
			}
		}},
		{"§2.1 credentials are no part of the request", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			res := pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st", "code_verifier", "ver1fier", "grant_type", "gr4nt").Encode())
			harness.NewBrowser(g.URL).Open(t, "post", res.JSON(t)["request_uri"].(string))
			for _, canary := range []string{"p0st", "ver1fier", "gr4nt"} {
				if strings.Contains(g.Upstream.Raw(), canary) {
					t.Errorf("%s reached the upstream", canary)
				}
				for _, entry := range g.Logs.All() {
					if strings.Contains(fmt.Sprint(entry.Message, entry.ContextMap()), canary) {
						t.Errorf("%s in the log: %v", canary, entry)
					}
				}
			}
		}},
	})
}

func TestRFC9126PushedRequest(t *testing.T) {
	refused := func(code string, pairs ...string) func(*testing.T) {
		return func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			wantPushError(t, pushOf(t, g, harness.Form(pairs...).Encode(), asWeb), 400, code)
		}
	}
	asBoth := func(code string, pairs ...string) func(*testing.T) {
		return func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			form := harness.Form(append([]string{"client_id", "both"}, pairs...)...)
			res := pushOf(t, g, form.Encode(), basic("both", "b0th"))
			if code == "" {
				if res.Status != 201 {
					t.Errorf("%d %s", res.Status, res.Body)
				}
				return
			}
			wantPushError(t, res, 400, code)
		}
	}
	rows := []row{
		{"§2.1 request_uri is refused", refused("invalid_request", "request_uri", "urn:ietf:params:oauth:request_uri:x")},
		{"§3 request is refused of a client without keys", refused("request_not_supported", "request", "a.b.c")},
		{"RFC 6749 §4.1.1 response_type is required", refused("invalid_request", "response_type", "")},
		{"RFC 6749 §4.1.1 response_type must exist", refused("unsupported_response_type", "response_type", "foo")},
		{"RFC 6749 §4.1.1 response_type must be the client's", asBoth("unauthorized_client", "response_type", "token")},
		{"OAuth response types are sets", asBoth("", "response_type", "id_token code")},
		{"OIDC Core §3.1.2.1 openid requires a redirect_uri", refused("invalid_request", "redirect_uri", "")},
		{"RFC 6749 §3.1.2.3 a single registered redirect_uri may be left out", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			g.Push(t, "web", "s3cret", harness.Form("redirect_uri", "", "scope", ""))
			wantPushError(t, pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st", "redirect_uri", "", "scope", "").Encode()), 400, "invalid_request")
		}},
		{"§2.3 RFC 9700 §2.1 redirect_uri is compared exactly", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, uri := range []string{"https://app.example/cb/", "https://app.example/CB", "https://app.example/cb?x=1", "https://app.example/%63b",
				"https://APP.example/cb", "https://app.example:443/cb", "https://app.example.evil/cb"} {
				wantPushError(t, pushOf(t, g, harness.Form("redirect_uri", uri).Encode(), asWeb), 400, "invalid_request")
			}
		}},
		{"RFC 8252 §7.3 the port of a loopback redirect_uri is free", asBoth("", "redirect_uri", "http://127.0.0.1:49152/native")},
		{"RFC 8252 §8.3 localhost is not", asBoth("invalid_request", "redirect_uri", "http://localhost:49152/native")},
		{"RFC 6749 §3.1.2 redirect_uri is absolute, without fragment and of an application", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			for _, uri := range []string{"/cb", "https://app.example/cb#x", "javascript:alert(1)", "data:text/html,x", "https:///cb", "https://u@app.example/cb", "app.example/cb", g.URL + "/cb",
				"https://app.example/cb?code=1", `https:\\app.example\cb`, "https://app.example/%zz", "https://app.example/\tcb"} {
				wantPushError(t, pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st", "redirect_uri", uri).Encode()), 400, "invalid_request")
			}
		}},
		{"§2.1 what the registry does not say is left to the authorization server", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			res := pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st", "redirect_uri", "https://unregistered.example/", "scope", "admin").Encode())
			harness.NewBrowser(g.URL).Open(t, "post", res.JSON(t)["request_uri"].(string))
			if got := g.Upstream.Last().Query().Get("redirect_uri"); got != "https://unregistered.example/" {
				t.Errorf("redirect_uri = %q", got)
			}
		}},
		{"RFC 6749 §4.1.2.1 scope is the client's", asBoth("invalid_scope", "scope", "openid admin")},
		{"RFC 7636 §4.2 the code_challenge has its form", refused("invalid_request", "code_challenge", "abc")},
		{"RFC 7636 §4.3 the method exists", refused("invalid_request", "code_challenge_method", "S512")},
		{"RFC 7636 §4.3 a method needs a challenge", refused("invalid_request", "code_challenge", "")},
		{"RFC 9700 §2.1.1 public clients use PKCE", refusedPublic},
		{"OIDC Core §5.5 claims is an object", refused("invalid_request", "claims", "[]")},
		{"RFC 9396 §2 authorization_details is an array", refused("invalid_authorization_details", "authorization_details", "{}")},
		{"RFC 9396 §2 authorization_details have a type", refused("invalid_authorization_details", "authorization_details", `[{"actions":["read"]}]`)},
		{"RFC 8707 §2 resource is absolute, without fragment", refused("invalid_target", "resource", "foo#x")},
		{"OIDC Core §3.1.2.1 prompt none stands alone", refused("invalid_request", "prompt", "none login")},
		{"OIDC Core §3.1.2.1 max_age is a number", refused("invalid_request", "max_age", "-1")},
		{"§2.3 prompt=none is for the authorization endpoint to judge", asBoth("", "prompt", "none")},
		{"the gateway's own names are its own", refused("invalid_request", "pargate_ticket", "x")},
		{"RFC 9396 §2 JSON travels byte for byte", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			claims := `{"id_token": {"verified_claims": {"verification": {"trust_framework": "de_aml"}, "claims": {"given_name": {"purpose": "Prüfung  für+%41 \u00fc"}}}}, "pad": "` + strings.Repeat("x", 3000) + `"}`
			uri := g.Push(t, "web", "s3cret", harness.Form("claims", claims, "state", "ä ö+ü/=&?#%20", "id_token_hint", strings.Repeat("h", 2000)))
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			q := g.Upstream.Last().Query()
			if q.Get("claims") != claims || q.Get("state") != "ä ö+ü/=&?#%20" || len(q.Get("id_token_hint")) != 2000 {
				t.Errorf("got %q", q)
			}
		}},
		{"there are limits on parameters", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			var more strings.Builder
			for i := range 101 {
				fmt.Fprintf(&more, "&p%d=1", i)
			}
			wantPushError(t, pushOf(t, g, harness.Form().Encode()+more.String(), asWeb), 400, "invalid_request")
		}},
		{"what the authorization server could not take is refused at the push", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			res := pushOf(t, g, harness.Form("claims", `{"x":"`+strings.Repeat("x", 9000)+`"}`).Encode(), asWeb)
			wantPushError(t, res, 413, "invalid_request")
			if !strings.Contains(res.Body, "8192") {
				t.Errorf("the limit is not told: %s", res.Body)
			}
		}},
		{"RFC 6749 §3.1 the endpoint's own query stays and is not overridden", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) { r.Authorize = "/authorize?tenant=7" }})
			uri := g.Push(t, "web", "s3cret", harness.Form("tenant", "8", "Tenant[]", "9"))
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			q := g.Upstream.Last().Query()
			if fmt.Sprint(q["tenant"]) != "[7]" || q.Has("Tenant[]") || q.Get("state") != "st4te" {
				t.Errorf("got %q", q)
			}
		}},
		{"§2.1 all parameters of an authorization request reach the authorization server", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			form := harness.Form("prompt", "login", "max_age", "0", "acr_values", "a b", "login_hint", "ü@example.org", "ui_locales", "de en",
				"nonce", strings.Repeat("n", 64), "response_mode", "query", "display", "page", "organization", "org")
			uri := g.Push(t, "web", "s3cret", form)
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			if got := g.Upstream.Last().Query().Encode(); got != form.Encode() {
				t.Errorf("got  %s\nwant %s", got, form.Encode())
			}
		}},
	}
	runRows(t, rows)
}

func refusedPublic(t *testing.T) {
	g := harness.Start(t, harness.Setup{})
	form := harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb", "code_challenge", "", "code_challenge_method", "")
	wantPushError(t, pushOf(t, g, form.Encode()), 400, "invalid_request")
}

func TestRFC9126RequestURI(t *testing.T) {
	runRows(t, []row{
		{"§2.2 §7.1 it is random, and says nothing", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			seen := map[string]bool{}
			for range 500 {
				uri := g.Push(t, "web", "s3cret", harness.Form())
				if ref, ok := strings.CutPrefix(uri, "urn:ietf:params:oauth:request_uri:"); !ok || len(ref) != 43 || seen[uri] {
					t.Fatalf("request_uri = %q", uri)
				}
				seen[uri] = true
			}
		}},
		{"RFC 9101 §5.2 it survives with and without escaped colons", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			for _, spelled := range []string{uri, url.QueryEscape(uri)} {
				if res := harness.NewBrowser(g.URL).Get(t, "/authorize?request_uri="+spelled+"&client_id=web"); res.Status != 303 {
					t.Errorf("%s: %d", spelled, res.Status)
				}
			}
		}},
		{"§2.2 it belongs to the client that pushed, and another does not use it up", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, harness.Short("both", uri)), 400, "invalid_request_uri")
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, harness.Short("nobody", uri)), 400, "invalid_request_uri")
			wantUntouched(t, g)
			if res := harness.NewBrowser(g.URL).Open(t, "web", uri); res.Status != 302 {
				t.Errorf("the client's own browser: %d", res.Status)
			}
		}},
		{"§2.2 §4 it expires when expires_in says", func(t *testing.T) {
			now := newClock()
			g := harness.Start(t, harness.Setup{Store: pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: 30 * time.Minute, Now: now.Now})})
			early, late := g.Push(t, "web", "s3cret", harness.Form()), g.Push(t, "web", "s3cret", harness.Form())
			now.advance(59 * time.Second)
			if res := harness.NewBrowser(g.URL).Open(t, "web", early); res.Status != 302 {
				t.Errorf("at 59 s: %d", res.Status)
			}
			now.advance(2 * time.Second)
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, harness.Short("web", late)), 400, "invalid_request_uri")
		}},
		{"a login may take longer than the request_uri waits", func(t *testing.T) {
			now := newClock()
			g := harness.Start(t, harness.Setup{Store: pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: 30 * time.Minute, Now: now.Now})})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			now.advance(59 * time.Second)
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			now.advance(20 * time.Minute)
			res := b.LogIn(t, b.Get(t, harness.Short("web", uri)))
			if !strings.HasPrefix(res.Location, "https://app.example/cb?") {
				t.Errorf("got %d %s", res.Status, res.Location)
			}
		}},
		{"§4 §7.3 it is used once: after the response it is refused", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.LogIn(t, b.Open(t, "web", uri))
			seen := len(g.Upstream.Requests())
			wantPage(t, g, b.Get(t, harness.Short("web", uri)), 400, "invalid_request_uri")
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri)), 400, "invalid_request_uri")
			if len(g.Upstream.Requests()) != seen {
				t.Error("a used request_uri reached the upstream")
			}
		}},
		{"§4 reload is allowed before that", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			if res := b.LogIn(t, b.Get(t, harness.Short("web", uri))); !strings.Contains(res.Location, "code=c0de") {
				t.Errorf("%d %s", res.Status, res.Location)
			}
		}},
		{"one authorization response passes, a second is withheld", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			again := harness.NewBrowser(g.URL) // the same browser, as it is now
			again.SetCookie(b.Cookies()[0])
			if res := b.Get(t, "/login/done?id=1"); !strings.Contains(res.Location, "code=c0de") {
				t.Fatalf("the first: %d %s", res.Status, res.Location)
			}
			wantPage(t, g, again.Get(t, "/login/done?id=1"), 400, "invalid_request_uri")
		}},
		{"§2.2 without a store there is a 503, and nothing is forwarded", func(t *testing.T) {
			store := &brokenStore{Store: pushstore.NewMemory(pushstore.MemoryOptions{})}
			g := harness.Start(t, harness.Setup{Store: store})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			bounce := b.Get(t, harness.Short("web", uri))
			store.broken.Store(true)
			res := pushOf(t, g, harness.Form().Encode(), asWeb)
			wantPushError(t, res, 503, "temporarily_unavailable")
			if res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			for _, target := range []string{bounce.Location, harness.Short("web", uri)} {
				page := b.Get(t, target)
				wantPage(t, g, page, 503, "temporarily_unavailable")
				if page.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			wantUntouched(t, g)
			if res := b.Get(t, "/elsewhere"); res.Status != 200 {
				t.Errorf("pass-through: %d", res.Status)
			}
			store.broken.Store(false)
			if res := b.Get(t, bounce.Location); res.Status != 302 {
				t.Errorf("afterwards: %d", res.Status)
			}
		}},
		{"§7.4 a client that changed after the push is looked at again", func(t *testing.T) {
			registry, rewrite := harness.RegistryFile(t, harness.Clients)
			g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.Clients = registry }})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			rewrite(`[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/other"]}]`)
			wantPage(t, g, harness.NewBrowser(g.URL).Open(t, "web", uri), 400, "invalid_request_uri")
			rewrite(`[]`)
			wantPage(t, g, harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri)), 400, "invalid_request_uri")
			wantUntouched(t, g)
		}},
	})
}

func TestRFC9126AuthorizationEndpoint(t *testing.T) {
	runRows(t, []row{
		{"§4 client_id and request_uri alone are enough", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			if got := g.Upstream.Last().Query().Encode(); got != harness.Form().Encode() {
				t.Errorf("got %s", got)
			}
		}},
		{"RFC 9101 §5 client_id is required, and nothing may be there twice", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			short := harness.Short("web", uri)
			for _, target := range []string{
				"/authorize?request_uri=" + url.QueryEscape(uri), short + "&client_id=web", short + "&request_uri=" + url.QueryEscape(uri),
				short + "&Client_ID=x", short + "&request_uri[]=x", short + ";client_id=x", short + "&request%5Furi=https://evil.example",
			} {
				wantPage(t, g, harness.NewBrowser(g.URL).Get(t, target), 400, "invalid_request")
			}
			wantUntouched(t, g)
		}},
		{"RFC 9101 §6.3 a form beside them cannot stand against the push", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			for body, want := range map[string]string{
				"user=a&redirect_uri=https://evil.example/": "user=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb",
				"user=a&[redirect_uri]=x":                   "user=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb", "user=a&scope]=admin": "user=a&scope=openid",
				"user=a;Scope=x": "user=a%3BScope=x", "%u0073cope=admin": "scope=openid", "user=a&nonce=x": "user=a",
			} {
				b.Post(t, harness.Short("web", uri), body)
				if got := g.Upstream.Last(); got.Body != want {
					t.Errorf("%s arrives as %s", body, got.Body)
				}
			}
			before := len(g.Upstream.Requests())
			if res := b.Post(t, harness.Short("web", uri), "x=1", setHeader("Content-Type", "multipart/form-data; boundary=x")); res.Status != 415 {
				t.Errorf("multipart: %d", res.Status)
			}
			if res := b.Post(t, harness.Short("web", uri), strings.Repeat("x", 65<<10)); res.Status != 413 {
				t.Errorf("a long form: %d", res.Status)
			}
			if len(g.Upstream.Requests()) != before {
				t.Errorf("the upstream got %v", g.Upstream.Last())
			}
			b.Post(t, harness.Short("web", uri), "user=a&password=p%E4ss%zz")
			if got := g.Upstream.Last(); got.Body != "user=a&password=p%E4ss%zz" || got.Query().Get("state") != "st4te" {
				t.Errorf("a login form: %s %s", got.Target, got.Body)
			}
		}},
		{"only GET and POST open a reference", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			for _, method := range []string{"PUT", "OPTIONS", "DELETE", "get"} {
				if res := b.Do(t, method, harness.Short("web", uri), nil); res.Status != 405 || res.Header.Get("Allow") != "GET, HEAD, POST" {
					t.Errorf("%s: %d", method, res.Status)
				}
			}
		}},
		{"RFC 9101 §6.3 everything beside them is ignored", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			b.Get(t, harness.Short("web", uri)+"&scope=admin&redirect_uri=https://evil.example&prompt=none&response_type=token&x=y&redirect_uri%5B%5D=z&request=jwt;scope=q")
			if got := g.Upstream.Last().Query().Encode(); got != harness.Form().Encode() {
				t.Errorf("got %s", got)
			}
		}},
		{"resume keys beside them are kept", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.ResumeParams = []string{"resume"} }})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			b.Get(t, harness.Short("web", uri)+"&g_continue&login_verifier=a%3Bb&resume=1&other=1&login_verifier=2")
			if got := g.Upstream.Last().Target; !strings.HasSuffix(got, "&g_continue&login_verifier=a%3Bb&resume=1") {
				t.Errorf("got %s", got)
			}
		}},
		{"OIDC Core §3.1.2.1 a form does as well, and ends in a GET", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			short := url.Values{"client_id": {"web"}, "request_uri": {uri}}
			for range 2 { // with and without the cookie
				res := b.Post(t, "/authorize", short.Encode())
				if res.Status != 303 || b.Get(t, res.Location).Status != 302 || g.Upstream.Last().Method != "GET" {
					t.Errorf("got %d %s", res.Status, res.Location)
				}
			}
			wantPage(t, g, b.Post(t, "/authorize?client_id=web", "request_uri="+url.QueryEscape(uri)), 400, "invalid_request")
			wantPage(t, g, b.Post(t, harness.Short("web", uri), short.Encode()), 400, "invalid_request")
		}},
		{"§8 the browser's address keeps the two parameters", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			bounce := b.Get(t, harness.Short("web", uri))
			if want := g.URL + harness.Short("web", uri) + "&pargate=1"; bounce.Location != want {
				t.Errorf("Location = %s, want %s", bounce.Location, want)
			}
			res := b.Get(t, bounce.Location)
			if res.Location != g.URL+"/login?id=1" || res.Header.Get("Referrer-Policy") != "same-origin" {
				t.Errorf("%s %v", res.Location, res.Header)
			}
		}},
		{"RFC 6749 §4.1.2.1 what opens nothing is a page and never a redirect", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			var bodies []string
			for _, ref := range []string{strings.Repeat("A", 43), strings.Repeat("A", 42), strings.Repeat("A", 44), "", strings.Repeat("!", 43)} {
				target := harness.Short("web", oauth.RequestURIPrefix+ref) + "&redirect_uri=https://evil.example/"
				res := harness.NewBrowser(g.URL).Get(t, target)
				wantPage(t, g, res, 400, "invalid_request_uri")
				bodies = append(bodies, strings.ReplaceAll(res.Body, res.Header.Get("X-Request-Id"), ""))
			}
			for _, body := range bodies {
				if body != bodies[0] {
					t.Errorf("two pages differ")
				}
			}
			wantUntouched(t, g)
		}},
		{"RFC 9700 §4.16 the page reflects nothing, and programs get JSON", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			target := harness.Short(`"><script>alert(1)</script>`, oauth.RequestURIPrefix+strings.Repeat("A", 43))
			res := harness.NewBrowser(g.URL).Get(t, target)
			wantPage(t, g, res, 400, "invalid_request_uri")
			if strings.Contains(res.Body, "alert") {
				t.Errorf("reflected: %s", res.Body)
			}
			res = harness.NewBrowser(g.URL).Get(t, target, setHeader("Accept", "application/json"))
			wantPushError(t, res, 400, "invalid_request_uri")
		}},
		{"a request_uri of ours never reaches the authorization server, on any path", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			for _, path := range []string{"/Authorize", "/authorize/", "/authorize/x", "/%61uthorize", "//authorize", "/token", "/else", "/authorize;x"} {
				for _, spelled := range []string{url.QueryEscape(uri), strings.ToUpper(uri[:34]) + uri[34:], "%20" + url.QueryEscape(uri)} {
					for _, name := range []string{"request_uri", "Request_URI", "request%5Furi", "request.uri", "request_uri[]"} {
						res := harness.NewBrowser(g.URL).Get(t, path+"?client_id=web&"+name+"="+spelled)
						if res.Status != 400 {
							t.Errorf("%s %s %s: %d", path, name, spelled, res.Status)
						}
					}
				}
			}
			wantUntouched(t, g)
		}},
		{"RFC 9101 §5.2 any other request_uri is the authorization server's business", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{})
			target := "/authorize?client_id=web&request_uri=https://app.example/object&response_type=code"
			harness.NewBrowser(g.URL).Get(t, target)
			if got := g.Upstream.Last().Target; got != target {
				t.Errorf("got %s", got)
			}
		}},
		{"§5 request_uri_parameter_supported has no say", func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Metadata = map[string]string{"/.well-known/openid-configuration": r.Document(`,"request_uri_parameter_supported":false,"require_request_uri_registration":true`)}
			}})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			if res := harness.NewBrowser(g.URL).Open(t, "web", uri); res.Status != 302 {
				t.Errorf("%d", res.Status)
			}
		}},
		{"§4 a plain request is refused where PAR is required, in every shape", requiredForAll},
		{"§6 and where its client requires it", requiredForOne},
	})
}

func requiredForAll(t *testing.T) {
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = true }})
	full := harness.Form().Encode()
	b := harness.NewBrowser(g.URL)
	for _, path := range []string{"/authorize", "//authorize", "/%61uthorize", "/authorize/", "/AUTHORIZE", "/authorize;x=1", "/x/../authorize", "/x/%2e%2e/authorize",
		"/%2561uthorize", "/authorize%00", "/authorize%2f", "/authorize%3fx", "/authorize.json", "/authorize/connector", "/authorize%09", "/./authorize", `/\authorize`, "/elsewhere"} {
		for _, method := range []string{"GET", "POST", "PUT", "OPTIONS", "PROPFIND", "get"} {
			if res := b.Do(t, method, path+"?"+full, nil); res.Status != 400 {
				t.Errorf("%s %s: %d", method, path, res.Status)
			}
		}
		if path == "/elsewhere" || strings.HasPrefix(path, "/authorize/c") || strings.HasPrefix(path, "/authorize.j") {
			continue // bodies are judged at the endpoint
		}
		if res := b.Post(t, path, full); res.Status != 400 {
			t.Errorf("POST %s: %d", path, res.Status)
		}
		if res := b.Get(t, path+"?request=a.b.c"); res.Status != 400 {
			t.Errorf("request= at %s: %d", path, res.Status)
		}
	}
	for _, names := range []string{"[client_id]=web&[response_type]=code&[redirect_uri]=x", "client_id]=web&response_type]=code", "%5Bclient_id%5D=web&%5Bscope%5D=x",
		"%u0063lient_id=web&response_type=code", "%EF%BB%BFclient_id=web&redirect_uri=x", "client.id=web"} {
		if res := b.Get(t, "/authorize?"+names); res.Status != 400 {
			t.Errorf("GET %s: %d", names, res.Status)
		}
		if res := b.Post(t, "/authorize", names); res.Status != 400 {
			t.Errorf("POST %s: %d", names, res.Status)
		}
	}
	for mediaType, status := range map[string]int{"multipart/form-data; boundary=x": 415, "application/json": 415, "text/plain": 415, "": 415,
		"application/x-www-form-urlencoded; charset=utf-16": 415, "application/x-www-form-urlencoded; charset=iso-8859-1": 400} {
		if res := b.Post(t, "/authorize", full, setHeader("Content-Type", mediaType)); res.Status != status {
			t.Errorf("%q: %d, want %d", mediaType, res.Status, status)
		}
	}
	if res := b.Post(t, "/authorize", full, setHeader("Content-Encoding", "gzip")); res.Status != 415 {
		t.Errorf("gzip: %d", res.Status)
	}
	if res := b.Post(t, "/authorize", "x="+strings.Repeat("a", 65<<10)); res.Status != 413 {
		t.Errorf("a long body: %d", res.Status)
	}
	wantUntouched(t, g)
	uri := g.Push(t, "web", "s3cret", harness.Form())
	if res := b.LogIn(t, b.Open(t, "web", uri)); !strings.Contains(res.Location, "code=") {
		t.Errorf("a pushed request: %d %s", res.Status, res.Location)
	}
}

func requiredForOne(t *testing.T) {
	g := harness.Start(t, harness.Setup{Clients: `[
		{"client_id": "strict", "client_secret": "s", "require_pushed_authorization_requests": true},
		{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]}]`})
	b := harness.NewBrowser(g.URL)
	for query, want := range map[string]int{
		harness.Form().Encode():                                      302,
		harness.Form("client_id", "unknown").Encode():                302,
		harness.Form("client_id", "strict").Encode():                 400,
		harness.Form("client_id", "Strict").Encode():                 400,
		harness.Form("client_id", " strict").Encode():                400,
		harness.Form("client_id", "str ict").Encode():                400,
		harness.Form().Encode() + "&client_id=strict":                400,
		harness.Form("client_id", "").Encode():                       400,
		harness.Form("client_id", "").Encode() + "&client_id=%zz":    400,
		harness.Form("client_id", "").Encode() + "&Client_Id=strict": 400,
		harness.Form().Encode() + "&[client_id]=strict":              400,
		harness.Form().Encode() + "&%u0063lient_id=strict":           400,
	} {
		if res := b.Get(t, "/authorize?"+query); res.Status != want {
			t.Errorf("%s: %d, want %d", query, res.Status, want)
		}
	}
	if res := b.Get(t, "/.well-known/openid-configuration"); strings.Contains(res.Body, "require_pushed") {
		t.Errorf("one client's rule is everybody's: %s", res.Body)
	}
}
