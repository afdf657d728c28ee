package main

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// pushed is what a request goes through, from the push to the application.
type pushed struct {
	requestURI string
	upstream   *upstream.Recorder
	home       harness.Response // the redirect to the application
	maxAge     int              // of the flow's cookie
}

// logIn starts the program, pushes as the client web of the harness, and logs in.
func logIn(t *testing.T, environ ...string) (*served, pushed) {
	t.Helper()
	up := upstream.New(t)
	s := start(t, append([]string{"UPSTREAM_URL=" + up.URL, "CLIENTS_FILE=" + writeFile(t, harness.Clients)}, environ...)...)
	up.SetIssuer(s.public)
	s.waitReady(t)
	p := pushed{upstream: up, requestURI: (&harness.Gateway{URL: s.public}).Push(t, "web", "s3cret", harness.Form())}
	browser := harness.NewBrowser(s.public)
	bounce := browser.Get(t, harness.Short("web", p.requestURI))
	for _, cookie := range (&http.Response{Header: bounce.Header}).Cookies() {
		p.maxAge = cookie.MaxAge
	}
	p.home = browser.LogIn(t, bounce)
	return s, p
}

func TestAPushedRequestComesHomeWithACode(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"memory", "Redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			environ := []string{"FLOW_TTL=17m", "PAR_REQUIRED=true"}
			if store == "Redis" {
				environ = append(environ, "REDIS_KEY_PREFIX=gate:", "REDIS_URL=redis://gate:g%40te%3Apw@"+storetest.StartRedis(t, redisUser...).Addr)
			}
			s, p := logIn(t, environ...)
			home, err := url.Parse(p.home.Location)
			if err != nil || home.Host != "app.example" || home.Query().Get("code") != "c0de" || home.Query().Get("state") != "st4te" || home.Query().Get("iss") != s.public {
				t.Errorf("came home to %s", p.home.Location)
			}
			if p.maxAge != 17*60 {
				t.Errorf("the cookie lives for %d s", p.maxAge)
			}
			for _, r := range p.upstream.Requests() {
				if r.Path() == "/authorize" && (r.Query().Get("redirect_uri") != "https://app.example/cb" || r.Query().Has("request_uri")) {
					t.Errorf("upstream was asked for %s", r.Target)
				}
			}
			if res := harness.NewBrowser(s.public).Get(t, harness.Short("web", p.requestURI)); res.Status != http.StatusBadRequest {
				t.Errorf("another browser got %d %s", res.Status, res.Body)
			}
			if res := harness.NewBrowser(s.public).Get(t, "/authorize?"+harness.Form().Encode()); res.Status != http.StatusBadRequest {
				t.Errorf("a request that was not pushed got %d %s", res.Status, res.Location)
			}
		})
	}
}

func TestTheClientFileIsReadAgain(t *testing.T) {
	t.Parallel()
	up := upstream.New(t)
	file := writeFile(t, `[{"client_id": "old", "client_secret": "0ld"}]`)
	s := start(t, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+file, "CLIENT_AUTH=file")
	up.SetIssuer(s.public)
	s.waitReady(t)
	pushAs := func(id, secret string) int {
		browser := harness.NewBrowser(s.public)
		return browser.Post(t, "/par", harness.Form("client_id", id).Encode(), func(r *http.Request) { r.SetBasicAuth(id, secret) }).Status
	}
	if got := pushAs("old", "0ld"); got != http.StatusCreated {
		t.Fatalf("the first client got %d", got)
	}
	replace := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace(`[{"client_id": "new", "client_secret": "n3w"}]`)
	harness.WaitFor(t, "the log line", func() bool { return s.logs.field("client file read again", "clients") == "1" })
	if got := pushAs("new", "n3w"); got != http.StatusCreated {
		t.Errorf("the new client got %d", got)
	}
	if got := pushAs("old", "0ld"); got != http.StatusUnauthorized {
		t.Errorf("the client that is gone got %d", got)
	}
	replace(`[{"client_id": "new", "client_secret": "0ther", "jwks": {}}]`)
	const refused = "client file refused; the clients read before stay"
	harness.WaitFor(t, "the refusal", func() bool { return strings.Contains(s.logs.field(refused, "error"), "jwks") })
	if got := pushAs("new", "n3w"); got != http.StatusCreated {
		t.Errorf("with a broken file the client got %d", got)
	}
	for _, secret := range []string{"0ld", "n3w", "0ther"} {
		if strings.Contains(s.logs.String(), secret) {
			t.Errorf("the log has a client's secret:\n%s", s.logs)
		}
	}
}

func TestAdminOffServesHealthNowhere(t *testing.T) {
	t.Parallel()
	up := upstream.New(t)
	s := start(t, "UPSTREAM_URL="+up.URL, "ADMIN_ADDR=off")
	up.SetIssuer(s.public)
	if s.admin != "http://" {
		t.Errorf("admin listens on %s", s.admin)
	}
	for _, path := range []string{"/livez", "/readyz", "/healthz"} { // the upstream's to answer
		harness.WaitFor(t, path, func() bool { _, body := getText(t, s.public+path); return body == "GET "+path })
	}
	s.stop(errInterrupt)
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}
