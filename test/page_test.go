package test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/url"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestThePolicyOfAPageNamesItsOwnStyle(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	res := harness.NewBrowser(g.URL).Get(t, "/authorize?client_id=web&request_uri=urn:ietf:params:oauth:request_uri:x")
	_, rest, _ := strings.Cut(res.Body, "<style>")
	style, _, found := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if got := res.Header.Get("Content-Security-Policy"); !found || !strings.Contains(got, want) {
		t.Errorf("Content-Security-Policy = %q, want %s in it", got, want)
	}
	if strings.Contains(res.Body, "<script") || strings.Contains(res.Body, "style=") {
		t.Errorf("the page has what its policy forbids: %s", res.Body)
	}
}

func TestAcceptDecidesBetweenPageAndJSON(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	const target = "/authorize?client_id=web&request_uri=urn:ietf:params:oauth:request_uri:x"
	for accept, want := range map[string]string{
		"": "text/html; charset=utf-8", "*/*": "text/html; charset=utf-8", "text/html, application/json": "text/html; charset=utf-8",
		"application/json;q=0.9, text/html;q=0.1": "text/html; charset=utf-8", "application/json": "application/json", "Application/JSON, */*": "application/json",
	} {
		res := harness.NewBrowser(g.URL).Get(t, target, allHeaders(map[string]string{"Accept": accept}))
		if got := res.Header.Get("Content-Type"); got != want || res.Status != 400 {
			t.Errorf("Accept: %s: %d %s, want %s", accept, res.Status, got, want)
		}
	}
}

func TestTheWayBackIsForRegisteredRedirectURIs(t *testing.T) {
	t.Parallel()
	const clients = `[
		{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb", "https://app.example/cb?tenant=7", "app.example:/cb"]},
		{"client_id": "open", "client_secret": "s3cret"}]`
	for _, c := range []struct {
		name, client, redirectURI, state string
		addIssuer                        bool
		want                             string // {iss} is the escaped issuer; empty: no link
	}{
		{"registered", "web", "https://app.example/cb", "st&te", true, "https://app.example/cb?error=invalid_request_uri&state=st%26te&iss={iss}"},
		{"without iss", "web", "https://app.example/cb", "x", false, "https://app.example/cb?error=invalid_request_uri&state=x"},
		{"without state", "web", "https://app.example/cb", "", true, "https://app.example/cb?error=invalid_request_uri&iss={iss}"},
		{"with a query of its own", "web", "https://app.example/cb?tenant=7", "x", false, "https://app.example/cb?tenant=7&error=invalid_request_uri&state=x"},
		{"of an application on the device", "web", "app.example:/cb", "x", true, ""},
		{"not registered", "open", "https://app.example/cb", "x", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Setup{Clients: clients, Upstream: func(r *upstream.Recorder) { r.Instant = true },
				Options: func(o *proxy.Options) { o.AddIssuer = c.addIssuer }})
			uri := g.Push(t, c.client, "s3cret", harness.Form("client_id", c.client, "redirect_uri", c.redirectURI, "state", c.state))
			b := harness.NewBrowser(g.URL)
			b.Open(t, c.client, uri)
			res := b.Get(t, harness.Short(c.client, uri))
			wantPage(t, g, res, 400, "This sign-in has ended")
			_, rest, found := strings.Cut(res.Body, `href="`)
			href, _, _ := strings.Cut(rest, `"`)
			want := strings.ReplaceAll(c.want, "{iss}", url.QueryEscape(g.URL))
			if got := html.UnescapeString(href); got != want || found != (want != "") {
				t.Errorf("link %q, want %q", got, want)
			}
		})
	}
}
