package test

import (
	"strings"
	"testing"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// Behind something that ends TLS, everything public is https although the gateway itself is spoken to in plain HTTP.
func TestBehindTLSEverythingPublicIsHTTPS(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) { r.Issuer = "https://login.example" }})
	b := harness.NewBrowser(g.URL)
	if got := b.Get(t, oidcPath).JSON(t)["pushed_authorization_request_endpoint"]; got != "https://login.example/par" {
		t.Errorf("pushed_authorization_request_endpoint = %v", got)
	}
	uri := g.Push(t, "web", "s3cret", harness.Form())
	bounce := b.Get(t, harness.Short("web", uri))
	if want := "https://login.example" + harness.Short("web", uri) + "&pargate=1"; bounce.Location != want {
		t.Errorf("Location = %s", bounce.Location)
	}
	line := bounce.Header.Get("Set-Cookie")
	if !strings.HasPrefix(line, "__Host-pargate-") || !strings.HasSuffix(line, "; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=None") {
		t.Errorf("Set-Cookie: %s", line)
	}
	// A loopback address counts as secure, so the browser sends its cookie back.
	res := b.Get(t, strings.TrimPrefix(bounce.Location, "https://login.example"))
	seen := g.Upstream.Last()
	if res.Status != 302 || seen.Host != "login.example" || seen.Header.Get("X-Forwarded-Proto") != "https" ||
		seen.Header.Get("X-Forwarded-Host") != "login.example" || seen.Header.Get("Cookie") != "" {
		t.Errorf("%d, the upstream got %s %v", res.Status, seen.Host, seen.Header)
	}
	done := b.Get(t, "/login/done?id=1")
	if !strings.Contains(done.Location, "iss=https%3A%2F%2Flogin.example") || !strings.HasPrefix(done.Header.Get("Set-Cookie"), "__Host-pargate-") {
		t.Errorf("%s %v", done.Location, done.Header)
	}
}
