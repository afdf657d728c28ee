package rewrite_test

import (
	"net/url"
	"testing"

	"pargate/rewrite"
)

func TestResolveReadsALocationAsBrowsersDo(t *testing.T) {
	t.Parallel()
	origin := &url.URL{Scheme: "https", Host: "as.example"}
	for location, want := range map[string]string{
		"https://app.example/cb?x": "https://app.example/cb?x", "app:/cb": "app:/cb", "https:app.example": "https:app.example",
		"/login?x=1": "https://as.example/login?x=1", "login": "https://as.example/o/login", "?x=1": "https://as.example/o/authorize?x=1",
		"//app.example/cb": "https://app.example/cb", "///app.example/cb": "https://app.example/cb", `/\app.example/cb?a\b`: `https://app.example/cb?a\b`,
		`\\app.example/cb`: "https://app.example/cb", "/\t/app.example/cb": "https://app.example/cb", " /x ": "https://as.example/x", "/cb%zz": "https://as.example/cb%zz",
		"login?next=https://x/": "https://as.example/o/login?next=https://x/",
	} {
		if got := rewrite.Resolve(origin, "/o/authorize", location); got != want {
			t.Errorf("Resolve(%q) = %q, want %q", location, got, want)
		}
	}
}

func TestAResponseIsOnAnOriginWhateverItsSchemeIsGuessedToBe(t *testing.T) {
	t.Parallel()
	origin := &url.URL{Scheme: "https", Host: "as.example"}
	for location, want := range map[string]bool{
		"https://as.example/x?code=1": true, "https://AS.example:443/x?code=1": true, "http://as.example/x?code=1": true, "http://as.example:80/x?code=1": true,
		"https://as.example:8443/x?code=1": false, "http://as.example:8080/x?code=1": false, "https://app.example/?code=1": false, "app://as.example/?code=1": false,
		"https://as.example/%zz?code=1": false,
	} {
		response, ok := rewrite.ParseResponse(location)
		if !ok || response.OnOrigin(origin) != want {
			t.Errorf("OnOrigin(%q) = %t, want %t", location, response.OnOrigin(origin), want)
		}
	}
}

func TestAResponseHasItsStateWithAndWithoutEncodedPluses(t *testing.T) {
	t.Parallel()
	for location, states := range map[string]map[string]bool{
		"https://app.example/cb?code=1&state=a+b=":     {"a+b=": true, "a b=": true, "a%20b=": false, "": false},
		"https://app.example/cb?code=1&state=a%2Bb%3D": {"a+b=": true, "a b=": false},
		"https://app.example/cb?code=1":                {"": true, "x": false},
		"https://app.example/cb?error=x#code=1":        {"": true},
	} {
		response, _ := rewrite.ParseResponse(location)
		for state, want := range states {
			if got := response.HasState(state); got != want {
				t.Errorf("%q has state %q: %t", location, state, got)
			}
		}
		if !response.Grants {
			t.Errorf("%q grants nothing", location)
		}
	}
}
