package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

var testPaths = newPaths(map[string]place{"/authorize": atAuthorize, "/o/authorize/": atAuthorize, "/par": atPush, "/token": atExempt})

func TestClassifyKnowsEverySpellingOfTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]place{
		"/authorize": atAuthorize, "/o/authorize/": atAuthorize, "/o/authorize": nearMiss, "/par": atPush, "/token": atExempt,

		"//authorize": nearMiss, "/authorize/": nearMiss, "/authorize//": nearMiss, "/Authorize": nearMiss, "/AUTHORIZE": nearMiss,
		"/%61uthorize": nearMiss, "/%2561uthorize": nearMiss, "/%252561uthorize": nearMiss, "/./authorize": nearMiss,
		"/x/../authorize": nearMiss, "/x/%2e%2e/authorize": nearMiss, "/x/%2E./authorize": nearMiss, "/authorize;x=1": nearMiss,
		"/;x/authorize": nearMiss, "/authorize%3bx": nearMiss, "/authorize%2f": nearMiss, "/authorize%00": nearMiss,
		"/authorize%00.css": nearMiss, "/authorize%3fx": nearMiss, "/authorize%23x": nearMiss, "/authorize#x": nearMiss,
		"/authorize%09": nearMiss, "/authorize%20": nearMiss, "/authorize.": nearMiss, `/\authorize`: nearMiss,
		`/x\..\authorize`: nearMiss, "/%5cauthorize": nearMiss, "/author\u0131ze": nearMiss, "/author%C4%B1ze": nearMiss, "/../authorize": nearMiss,

		"/authorize/..": below, "/authorize/../": below, "/%u0061uthorize": nearMiss, "/authorize%C0%AF": nearMiss, "/authorize%E2%80%8B": nearMiss,

		"/authorize.json": nearMiss, "/authorize.x.y;z": nearMiss, "/%EF%BD%81uthorize": nearMiss, "/%uFF41uthorize": nearMiss,

		"/authorize/connector": below, "/authorize.d/x": below, "/Authorize/x/y": below, "/authorize;a/b": below, "/authorize%2fcb": below,

		"/index.php/authorize": nearMiss, "/app/INDEX.php5/Authorize/": nearMiss, "/x.cgi/authorize/y": below, "/index%2ephp/authorize": nearMiss,
		"/x.cgi/index.php/authorize": nearMiss, "/x.cg%c4%b1/index.php/authorize/y": below, "/index.php/%20/..%5cauthorize": nearMiss, "/x/%20/..%5c../authorize": nearMiss,
		"/(S(x))/authorize": nearMiss, "/(A(x)S(y))/(F())/Authorize": nearMiss, "/%28S%28x%29%29/authorize/y": below, "/authorize/(S(x))": nearMiss,
		"/authorize/(S(x))/..": nearMiss, "/x/(S(x))/../authorize": nearMiss, "/(x)/authorize": elsewhere, "/(S(x)/authorize": elsewhere, "/(S(x))authorize": elsewhere,
		"/api/v1.0/authorize": elsewhere, "/.well-known/authorize": elsewhere, "/realms/example.com/authorize": elsewhere, "/index.php/x/authorize": elsewhere,

		"/": elsewhere, "": elsewhere, "/authorizer": elsewhere, "/x/authorize": elsewhere, "/authorize_it": elsewhere, "/par/": elsewhere,
		"/token/authorize": elsewhere, "/%25252561uthorize": elsewhere, "*": elsewhere,
	} {
		if got := testPaths.classify(path); got != want {
			t.Errorf("classify(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestAnAuthorizationEndpointAtTheRootProtectsEverything(t *testing.T) {
	t.Parallel()
	p := newPaths(map[string]place{"/": atAuthorize, "/token": atExempt})
	for path, want := range map[string]place{"/": atAuthorize, "/x": below, "//": nearMiss, "/token": atExempt} {
		if got := p.classify(path); got != want {
			t.Errorf("classify(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestAnAuthorizationEndpointWithEscapesHasTheSameSpellings(t *testing.T) {
	t.Parallel()
	p := newPaths(map[string]place{"/realms/My%20Realm/%C3%A4uth": atAuthorize})
	for _, path := range []string{"/realms/M%79%20Realm/%C3%A4uth", "/realms/My%2520Realm/%C3%A4uth", "/realms/My%20Realm/%c3%84uth", "/realms/My Realm/äuth", "/realms/My%20Realm/%c3%a4uth/x"} {
		if got := p.classify(path); !got.protected() {
			t.Errorf("classify(%q) = %d", path, got)
		}
	}
}

func TestAnAuthorizationEndpointBehindAScriptIsProtectedWithoutIt(t *testing.T) {
	t.Parallel()
	p := newPaths(map[string]place{"/index.php/apps/oauth2/authorize": atAuthorize})
	for path, want := range map[string]place{"/apps/oauth2/authorize": nearMiss, "/index.php/apps/oauth2/authorize": atAuthorize, "/apps/oauth2": elsewhere} {
		if got := p.classify(path); got != want {
			t.Errorf("classify(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestRawPathIsTheRequestLines(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/a%2Fb?x": "/a%2Fb", "//a/../b": "//a/../b", "http://evil.example/authorize?x": "/authorize", "/a?": "/a", "/": "/",
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := rawPath(&http.Request{RequestURI: target, URL: u}); got != want {
			t.Errorf("rawPath(%q) = %q, want %q", target, got, want)
		}
	}
}

// What a server that decodes once, and then folds as the most generous of them do, takes for the authorization
// endpoint or a path below it is never classified as elsewhere.
func FuzzClassify(f *testing.F) {
	for _, seed := range []string{"/authorize", "/x/%2e%2e/authorize", "/%2561uthorize;x", "//Authorize/", `/\authorize`, "/authorize%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		where := testPaths.classify(path)
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		decoded, _, _ := strings.Cut(u.Path, ";")
		decoded = strings.ToLower(strings.TrimRight(strings.ReplaceAll(decoded, "//", "/"), "/"))
		if (decoded == "/authorize" || strings.HasPrefix(decoded, "/authorize/")) && !where.protected() {
			t.Errorf("classify(%q) = %d", path, where)
		}
		if where == atAuthorize && path != "/authorize" && path != "/o/authorize/" {
			t.Errorf("classify(%q) takes a spelling for the endpoint itself", path)
		}
	})
}

// A reference is exactly one form, whatever surrounds it.
func FuzzParseRequestURI(f *testing.F) {
	f.Add("urn:ietf:params:oauth:request_uri:" + strings.Repeat("A", 43))
	f.Add("URN:ietf:params:oauth:request_uri:" + strings.Repeat("A", 43))
	f.Add("urn:ietf:params:oauth:request_uri:")
	f.Fuzz(func(t *testing.T, uri string) {
		ref, ok := parseRequestURI(uri)
		if !ok {
			return
		}
		if uri != "urn:ietf:params:oauth:request_uri:"+string(ref) || len(ref) != 43 || !hasURIPrefix(uri) ||
			strings.Trim(string(ref), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("parseRequestURI(%q) = %q", uri, ref)
		}
	})
}
