package test

import (
	"strings"
	"testing"

	"pargate/test/harness"
)

const deadTarget = "/authorize?client_id=web&request_uri=urn:ietf:params:oauth:request_uri:x"

func TestAPageIsInTheLanguageOfItsReader(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, c := range []struct{ accept, language, title string }{
		{"", "en", "This sign-in link cannot be used"}, {"de-CH,de;q=0.9,en;q=0.5", "de", "Dieser Anmeldelink kann nicht verwendet werden"},
		{"nl, fr;q=0.7", "fr", "Ce lien de connexion ne peut pas être utilisé"}, {"es-419", "es", "Este enlace de inicio de sesión no se puede usar"},
		{"nl", "en", "This sign-in link cannot be used"}, {"de" + strings.Repeat(" ", 1100) + ", fr", "en", "This sign-in link cannot be used"},
	} {
		res := harness.NewBrowser(g.URL).Get(t, deadTarget, allHeaders(map[string]string{"Accept-Language": c.accept}))
		wantPage(t, g, res, 400, `<html lang="`+c.language+`" dir="ltr">`)
		if got := res.Header.Get("Content-Language"); got != c.language || strings.Join(res.Header["Vary"], "|") != "Accept-Language" {
			t.Errorf("%.40q: Content-Language %q, Vary %q", c.accept, got, res.Header["Vary"])
		}
		if strings.Count(res.Body, c.title) != 2 || !strings.Contains(res.Body, `<dd lang="en" dir="ltr" translate="no">invalid_request_uri</dd>`) {
			t.Errorf("%.40q: want %q as title and as heading, and the code: %s", c.accept, c.title, res.Body)
		}
	}
}

func TestNothingOfAcceptLanguageComesBack(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, accept := range []string{"canary", "canary, de", `"><b>canary</b>`, "de-canary", "de;canary", "de;q=canary", "../canary", "x-canary, *"} {
		res := harness.NewBrowser(g.URL).Get(t, deadTarget, allHeaders(map[string]string{"Accept-Language": accept}))
		wantPage(t, g, res, 400, "invalid_request_uri")
		for name, values := range res.Header {
			if strings.Contains(strings.Join(values, ""), "canary") {
				t.Errorf("%s: %s has %q", accept, name, values)
			}
		}
		if strings.Contains(res.Body, "canary") {
			t.Errorf("%s comes back: %s", accept, res.Body)
		}
	}
}

func TestAcceptLanguageIsNothingToPrograms(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, accept := range []string{"", "de"} {
		res := harness.NewBrowser(g.URL).Get(t, deadTarget, allHeaders(map[string]string{"Accept": "application/json", "Accept-Language": accept}))
		if res.Header.Get("Content-Language")+res.Header.Get("Vary") != "" || !strings.Contains(res.Body, "the request_uri is unknown, expired or already used") {
			t.Errorf("%q: %v %s", accept, res.Header, res.Body)
		}
	}
}

func TestAcceptLanguageReachesTheUpstreamAsItCame(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	const accept = "de-CH ,, fr;Q=0.3,*;q=0"
	harness.NewBrowser(g.URL).Get(t, "/elsewhere", allHeaders(map[string]string{"Accept-Language": accept}))
	if got := g.Upstream.Last().Header.Get("Accept-Language"); got != accept {
		t.Errorf("Accept-Language: %q, want %q", got, accept)
	}
}
