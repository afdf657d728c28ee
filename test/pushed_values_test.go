package test

import (
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestPushedValuesAtTheEdge(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, c := range []struct {
		name    string
		changes []string
		status  int
	}{
		{"redirect_uri in PHP's spelling", []string{"Redirect.Uri", "https://evil.example/"}, 400},
		{"scope in capitals", []string{"SCOPE", "admin"}, 400},
		{"a client secret in another spelling", []string{"client[secret]", "x", "client secret", "x"}, 400},
		{"a file as redirect_uri", []string{"redirect_uri", "file:///etc/passwd"}, 400},
		{"a blob as redirect_uri", []string{"redirect_uri", "blob:https://app.example/3f6c"}, 400},
		{"an application's own scheme", []string{"redirect_uri", "app.example:/cb"}, 201},
		{"a code_challenge of 42 characters", []string{"code_challenge", strings.Repeat("c", 42)}, 400},
		{"a code_challenge of 43 characters", []string{"code_challenge", strings.Repeat("c", 43)}, 201},
		{"a code_challenge of 128 characters", []string{"code_challenge", strings.Repeat("~", 128)}, 201},
		{"a code_challenge of 129 characters", []string{"code_challenge", strings.Repeat("~", 129)}, 400},
		{"a code_challenge with a character of base64", []string{"code_challenge", strings.Repeat("c", 42) + "+"}, 400},
		{"no code_challenge_method", []string{"code_challenge_method", ""}, 201},
		{"plain", []string{"code_challenge_method", "plain"}, 201},
		{"a code_challenge_method in lower case", []string{"code_challenge_method", "s256"}, 400},
		{"broken claims", []string{"claims", `{"id_token":`}, 400},
		{"claims that are null", []string{"claims", "null"}, 400},
		{"two claims objects", []string{"claims", "{}{}"}, 400},
		{"empty claims", []string{"claims", "{}"}, 201},
	} {
		form := harness.Form(append([]string{"client_id", "post", "client_secret", "p0st"}, c.changes...)...)
		res := pushOf(t, g, form.Encode())
		if res.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, res.Status, res.Body, c.status)
		}
		if c.status == 400 {
			wantPushError(t, res, 400, "invalid_request")
		}
	}
}

func TestParametersOfTheTokenEndpointAreNeverKept(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	names := []string{"code", "refresh_token", "grant_type", "code_verifier"}
	form := harness.Form()
	for _, name := range names {
		form.Set(name, "c4nary")
	}
	harness.NewBrowser(g.URL).Open(t, "web", g.Push(t, "web", "s3cret", form))
	if got := g.Upstream.Last(); got.Query().Encode() != harness.Form().Encode() {
		t.Errorf("got %s", got.Target)
	}
}

func TestNamesWithoutAValueAreAbsent(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	form := harness.Form("client_id", "").Encode() + "&client_id&request_uri&request&prompt&client_secret&vendor_flag"
	res := pushOf(t, g, form, asWeb)
	if res.Status != 201 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	harness.NewBrowser(g.URL).Open(t, "web", res.JSON(t)["request_uri"].(string))
	want := harness.Form()
	want.Set("vendor_flag", "")
	if got := g.Upstream.Last(); got.Query().Encode() != want.Encode() || !strings.HasSuffix(got.Target, "&vendor_flag") {
		t.Errorf("got %s", got.Target)
	}
}

func TestAnUnknownNameIsNotRepeated(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, more := range []string{"&c4nary=1&c4nary=2", "&c4nary=%zz", "&c4nary%zz=1"} {
		res := pushOf(t, g, harness.Form().Encode()+more, asWeb)
		wantPushError(t, res, 400, "invalid_request")
		if strings.Contains(res.Body, "c4nary") {
			t.Errorf("%s: %s", more, res.Body)
		}
	}
}

func TestARedirectURIAtTheGatewaysOwnOriginIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, issuer, redirectURI string // {issuer} is the issuer
		registered                bool
		status                    int
	}{
		{"not registered", "", "{issuer}/app/cb", false, 400},
		{"registered, beside the authorization endpoint", "", "{issuer}/app/cb", true, 201},
		{"registered, the authorization endpoint", "", "{issuer}/authorize", true, 400},
		{"registered, below the authorization endpoint", "", "{issuer}/authorize/cb", true, 400},
		{"registered, another spelling of it", "", "{issuer}/x/..//Authorize;y/cb", true, 400},
		{"in capitals with the port", "https://login.example", "HTTPS://LOGIN.example:443/cb", false, 400},
		{"with a dot at the end of the host", "https://login.example", "https://login.example./cb", false, 400},
		{"in the other scheme", "https://login.example", "http://login.example/cb", false, 400},
		{"in the other scheme with its port", "https://login.example", "http://login.example:80/cb", false, 400},
		{"localhost for the address", "", "{localhost}/cb", false, 400},
		{"another host below it", "https://login.example", "https://app.login.example/cb", false, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var issuer string
			fill := func(text string) string {
				return strings.NewReplacer("{issuer}", issuer, "{localhost}", strings.Replace(issuer, "127.0.0.1", "localhost", 1)).Replace(text)
			}
			g := harness.Start(t, harness.Setup{
				Upstream: func(r *upstream.Recorder) {
					if c.issuer != "" {
						r.Issuer = c.issuer
					}
					issuer = r.Issuer
				},
				Options: func(o *proxy.Options) {
					if c.registered {
						o.Clients = harness.Registry(t, `[{"client_id": "post", "client_secret": "p0st", "token_endpoint_auth_method": "client_secret_post",
							"redirect_uris": ["`+fill(c.redirectURI)+`"]}]`)
					}
				},
			})
			res := pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st", "redirect_uri", fill(c.redirectURI)).Encode())
			if res.Status != c.status {
				t.Errorf("%s: %d %s, want %d", fill(c.redirectURI), res.Status, res.Body, c.status)
			}
		})
	}
}
