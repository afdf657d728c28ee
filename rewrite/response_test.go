package rewrite_test

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pargate/rewrite"
)

func TestALocationIsAnAuthorizationResponseByItsParameters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, location string
		is             bool
		state          string
		failed         bool
	}{
		{"a code", "https://app.example/cb?code=x&state=1", true, "1", false},
		{"an error", "https://app.example/cb?state=1&error=access_denied", true, "1", true},
		{"an error in the fragment", "https://app.example/cb#error=access_denied&state=1", true, "1", true},
		{"tokens in the fragment", "https://app.example/cb#state=1&access_token=x&token_type=bearer", true, "1", false},
		{"an ID token in the fragment", "https://app.example/cb?own=2#id_token=x", true, "", false},
		{"a signed response", "https://app.example/cb?response=ey.ey.ey", true, "", false},
		{"a signed response in the fragment", "https://app.example/cb#response=ey.ey.ey", true, "", false},
		{"an empty state is none", "https://app.example/cb?code=x&state=", true, "", false},
		{"an escaped state", "https://app.example/cb?code=x&state=a%26b+c%3D", true, "a&b c=", false},
		{"an escaped name", "https://app.example/cb?%63ode=x", true, "", false},
		{"an empty code", "https://app.example/cb?code=", true, "", false},
		{"the query comes before the fragment", "https://app.example/cb?code=x&state=1#state=2", true, "1", false},
		{"the query's state is not the fragment's", "https://app.example/cb?state=own#code=x", true, "", false},
		{"the fragment that browsers carry over", "https://app.example/cb?code=x#_=_", true, "", false},
		{"a custom scheme", "com.example.app:/cb?code=x", true, "", false},
		{"a custom scheme without a slash", "com.example.app:cb?code=x", true, "", false},
		{"a query with bad escapes", "https://app.example/cb?error=a&error_description=100%&state=1", true, "1", true},
		{"a fragment with bad escapes", "https://app.example/cb#error=a&error_description=100%&state=1", true, "1", true},
		{"a query's response beside a fragment with bad escapes", "https://app.example/cb?code=x#100%", true, "", false},
		{"a login page", "https://as.example/login?next=/authorize%3Fcode%3Dx&state=1", false, "", false},
		{"names that only resemble", "https://app.example/cb?codes=x&error_description=y&Code=z&response_type=code", false, "", false},
		{"a semicolon divides nothing", "https://app.example/cb?x=1;code=2", false, "", false},
		{"nothing", "https://app.example/cb", false, "", false},
		{"a relative location", "/cb?code=x", false, "", false},
		{"a location without a scheme", "//app.example/cb?code=x", false, "", false},
		{"an empty location", "", false, "", false},
		{"what net/url refuses, and browsers follow", "https://app.example/cb%zz?code=x&state=1", true, "1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, is := rewrite.ParseResponse(test.location)
			if is != test.is {
				t.Fatalf("ParseResponse(%q) reports %t, want %t", test.location, is, test.is)
			}
			if is && (r.State != test.state || r.Error != test.failed) {
				t.Errorf("ParseResponse(%q) has state %q and error %t, want %q and %t", test.location, r.State, r.Error, test.state, test.failed)
			}
		})
	}
}

func TestLeadsTo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, redirectURI, location string
		want                        bool
	}{
		{"the same", "https://app.example/cb", "https://app.example/cb?code=x", true},
		{"in the fragment", "https://app.example/cb", "https://app.example/cb#code=x", true},
		{"the host's case", "https://App.Example/cb", "https://aPP.example/cb?code=x", true},
		{"the scheme's case", "HTTPS://app.example/cb", "https://app.example/cb?code=x", true},
		{"the default port", "https://app.example/cb", "https://app.example:443/cb?code=x", true},
		{"the default port of http", "http://app.example:80/cb", "http://app.example/cb?code=x", true},
		{"an empty port", "https://app.example:/cb", "https://app.example/cb?code=x", true},
		{"an empty path", "https://app.example", "https://app.example/?code=x", true},
		{"an empty path the other way round", "https://app.example/", "https://app.example?code=x", true},
		{"own pairs", "https://app.example/cb?a=1&b=2", "https://app.example/cb?b=2&code=x&a=1", true},
		{"own pairs in another encoding", "https://app.example/cb?a=x%20y", "https://app.example/cb?a=x+y&code=x", true},
		{"own pairs and a fragment", "https://app.example/cb?a=1", "https://app.example/cb?a=1#code=x", true},
		{"a custom scheme", "com.example.app:/cb", "com.example.app:/cb?code=x", true},
		{"a custom scheme without a slash", "com.example.app:cb", "com.example.app:cb?code=x", true},
		{"a custom scheme with a host", "app://cb", "app://cb?code=x", true},
		{"a loopback address", "http://[::1]:8080/cb", "http://[::1]:8080/cb?code=x", true},
		{"user information changes no host", "https://app.example/cb", "https://user@app.example/cb?code=x", true},

		{"another host", "https://app.example/cb", "https://evil.example/cb?code=x", false},
		{"a longer host", "https://app.example/cb", "https://app.example.evil/cb?code=x", false},
		{"a host in front", "https://app.example/cb", "https://xapp.example/cb?code=x", false},
		{"a host that only looks alike", "https://app.example/cb", "https://аpp.example/cb?code=x", false},
		{"a host with a final dot", "https://app.example/cb", "https://app.example./cb?code=x", false},
		{"the host as user information", "https://app.example/cb", "https://app.example@evil/cb?code=x", false},
		{"the host and port as user information", "https://app.example/cb", "https://app.example:443@evil/cb?code=x", false},
		{"another port", "https://app.example/cb", "https://app.example:8443/cb?code=x", false},
		{"the other scheme's port", "https://app.example/cb", "https://app.example:80/cb?code=x", false},
		{"another scheme", "https://app.example/cb", "http://app.example/cb?code=x", false},
		{"another path", "https://app.example/cb", "https://app.example/cb/?code=x", false},
		{"the path's case", "https://app.example/cb", "https://app.example/CB?code=x", false},
		{"a dot segment", "https://app.example/cb", "https://app.example/x/../cb?code=x", true},
		{"a backslash", "https://app.example/cb", `https://app.example\cb?code=x`, true},
		{"a backslash in front of the at sign", "https://app.example/cb", `https://evil.example\@app.example/cb?code=x`, false},
		{"backslashes for slashes", "https://app.example/cb", `https:\\app.example\cb?code=x`, true},
		{"no slashes", "https://app.example/cb", "https:app.example/cb?code=x", true},
		{"one slash", "https://app.example/cb", "https:/app.example/cb?code=x", true},
		{"three slashes", "https://app.example/cb", "https:///app.example/cb?code=x", true},
		{"a tab", "https://app.example/cb", "https://app.exa\tmple/c\tb?co\tde=x", true},
		{"blanks around it", "https://app.example/cb", " https://app.example/cb?code=x ", true},
		{"own pair missing", "https://app.example/cb?a=1", "https://app.example/cb?code=x", false},
		{"own pair changed", "https://app.example/cb?a=1", "https://app.example/cb?a=2&code=x", false},
		{"own pair once instead of twice", "https://app.example/cb?a=1&a=1", "https://app.example/cb?a=1&code=x", false},
		{"own pair in the fragment", "https://app.example/cb?a=1", "https://app.example/cb#a=1&code=x", false},
		{"own pair divided elsewhere", "https://app.example/cb?a=b%3Dc", "https://app.example/cb?a%3Db=c&code=x", false},
		{"a custom scheme's path as opaque", "com.example.app:/cb", "com.example.app:cb?code=x", false},
		{"a custom scheme with other text", "com.example.app:cb", "com.example.app:other?code=x", false},
		{"a longer custom scheme", "com.example.app:/cb", "com.example.app2:/cb?code=x", false},
		{"another loopback address", "http://127.0.0.1/cb", "http://[::1]/cb?code=x", false},
		{"a redirect_uri that is none", "://", "https://app.example/cb?code=x", false},
		{"a relative redirect_uri", "/cb", "https://app.example/cb?code=x", false},
		{"an empty redirect_uri", "", "https://app.example/?code=x", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, is := rewrite.ParseResponse(test.location)
			if got := is && r.LeadsTo(test.redirectURI); got != test.want {
				t.Errorf("%q leads to %q: %t, want %t", test.location, test.redirectURI, got, test.want)
			}
		})
	}
}

func TestWithIssuer(t *testing.T) {
	t.Parallel()
	const issuer = "https://as.example/t?a=1&b"
	const iss = "iss=https%3A%2F%2Fas.example%2Ft%3Fa%3D1%26b"
	for _, test := range []struct{ name, location, want string }{
		{"in the query", "https://app.example/cb?code=x&state=1", "https://app.example/cb?code=x&state=1&" + iss},
		{"beside an error", "https://app.example/cb?error=access_denied", "https://app.example/cb?error=access_denied&" + iss},
		{"in the fragment", "https://app.example/cb#access_token=x&state=1", "https://app.example/cb#access_token=x&state=1&" + iss},
		{"beside the redirect_uri's own pairs", "https://app.example/cb?x=%7E1&code=x", "https://app.example/cb?x=%7E1&code=x&" + iss},
		{"with own pairs and a fragment", "https://app.example/cb?x=1#code=x", "https://app.example/cb?x=1#code=x&" + iss},
		{"with an empty query and a fragment", "https://app.example/cb?#code=x", "https://app.example/cb?#code=x&" + iss},
		{"before a fragment that means nothing", "https://app.example/cb?code=x#_=_", "https://app.example/cb?code=x&" + iss + "#_=_"},
		{"before an empty fragment", "https://app.example/cb?code=x#", "https://app.example/cb?code=x&" + iss + "#"},
		{"behind a final separator", "https://app.example/cb?code=x&", "https://app.example/cb?code=x&" + iss},
		{"a custom scheme", "com.example.app:/cb?code=x", "com.example.app:/cb?code=x&" + iss},
		{"a question mark in the fragment", "https://app.example/cb#code=x?y", "https://app.example/cb#code=x?y&" + iss},
		{"a second question mark", "https://app.example/cb?u=a?b&code=x", "https://app.example/cb?u=a?b&code=x&" + iss},
		{"bad escapes stay", "https://app.example/cb?error=a&error_description=100%", "https://app.example/cb?error=a&error_description=100%&" + iss},
		{"one that is there stays alone", "https://app.example/cb?" + iss + "&code=x", "https://app.example/cb?" + iss + "&code=x"},
		{"in another encoding too", "https://app.example/cb?code=x&iss=https://as.example/t%3fa%3d1%26b", "https://app.example/cb?code=x&iss=https://as.example/t%3fa%3d1%26b"},
		{"one in the fragment stays alone", "https://app.example/cb#code=x&" + iss, "https://app.example/cb#code=x&" + iss},
		{"a signed response has it inside", "https://app.example/cb?response=ey.ey.ey&state=1", "https://app.example/cb?response=ey.ey.ey&state=1"},
		{"a signed response in the fragment", "https://app.example/cb#response=ey.ey.ey", "https://app.example/cb#response=ey.ey.ey"},
		{"a redirect_uri's own response is none that is signed", "https://app.example/cb?response=1&code=x", "https://app.example/cb?response=1&code=x&" + iss},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, is := rewrite.ParseResponse(test.location)
			if !is {
				t.Fatalf("ParseResponse(%q): no response", test.location)
			}
			got, err := r.WithIssuer(issuer)
			if err != nil || got != test.want {
				t.Errorf("WithIssuer in %q\n got %q, %v\nwant %q", test.location, got, err, test.want)
			}
		})
	}
}

func TestAnotherIssuerIsAnError(t *testing.T) {
	t.Parallel()
	const iss = "iss=https%3A%2F%2Fas.example"
	for _, test := range []struct{ name, location string }{
		{"another one", "https://app.example/cb?code=x&iss=https://evil.example"},
		{"an empty one", "https://app.example/cb?code=x&iss="},
		{"with a slash more", "https://app.example/cb?code=x&" + iss + "%2F"},
		{"behind the right one", "https://app.example/cb?code=x&" + iss + "&iss=https://evil.example"},
		{"before the right one", "https://app.example/cb?iss=https://evil.example&code=x&" + iss},
		{"in the fragment", "https://app.example/cb#code=x&iss=https://evil.example"},
		{"in an escaped name", "https://app.example/cb?code=x&%69ss=https://evil.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, _ := rewrite.ParseResponse(test.location)
			if got, err := r.WithIssuer("https://as.example"); !errors.Is(err, rewrite.ErrOtherIssuer) || got != "" {
				t.Errorf("WithIssuer in %q = %q, %v, want ErrOtherIssuer", test.location, got, err)
			}
		})
	}
}

// FuzzResponse: a location with iss leads where it led, with iss once and every other parameter; one that leads to a
// redirect_uri goes to its scheme, host, port and path, as net/url sees them.
func FuzzResponse(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://app.example/cb?code=x&state=1", "https://app.example/cb"}, {"https://app.example/cb?#code=x", "https://app.example/cb?"},
		{"https://app.example@evil/cb?code=x", "https://app.example/cb"}, {"com.example.app:/cb?code=x", "com.example.app:/cb"},
		{`https://evil\@app.example/cb?code=x`, "https://app.example/cb"}, {"https://APP.example:443?a=1&error=x#y", "https://app.example/?a=1"},
		{"https://app.example#error", "https://app.example/."}, {"https://app.example/cb?code=x&iss=https%3A%2F%2Fas.example&iss=", "x:"}, {"app:cb#code=1&", "app:cb"}, {"http://[::1%25lo]:80/cb#response=1", "http://[::1]/cb"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, location, redirectURI string) {
		if strings.ContainsAny(location, " \t\r\n\\") || strings.Contains(location, "/.") || strings.Contains(redirectURI, "/.") || httpWithoutHost.MatchString(location) {
			return // browsers read these otherwise than net/url; the table has them
		}
		r, is := rewrite.ParseResponse(location)
		if !is {
			return
		}
		checkLeadsTo(t, r, location, redirectURI)
		const issuer = "https://as.example"
		got, err := r.WithIssuer(issuer)
		if err != nil {
			if !strings.Contains(location, "iss") && !strings.Contains(location, "%") {
				t.Errorf("WithIssuer in %q: %v", location, err)
			}
			return
		}
		if again, is := rewrite.ParseResponse(got); !is || again.State != r.State || again.Error != r.Error {
			t.Errorf("WithIssuer in %q = %q, another response", location, got)
		} else if twice, err := again.WithIssuer(issuer); err != nil || twice != got {
			t.Errorf("WithIssuer in %q = %q, %v, want it unchanged", got, twice, err)
		} else {
			checkLeadsTo(t, again, got, redirectURI)
		}
		before, fragment, hasFragment := strings.Cut(location, "#")
		after, gotFragment, gotHasFragment := strings.Cut(got, "#")
		path, query, hasQuery := strings.Cut(before, "?")
		gotPath, gotQuery, gotHasQuery := strings.Cut(after, "?")
		if path != gotPath || hasQuery != gotHasQuery || hasFragment != gotHasFragment {
			t.Errorf("WithIssuer in %q = %q, which leads elsewhere", location, got)
		}
		if withoutIssuer(query) != withoutIssuer(gotQuery) || withoutIssuer(fragment) != withoutIssuer(gotFragment) {
			t.Errorf("WithIssuer in %q = %q, which has other parameters", location, got)
		}
	})
}

// httpWithoutHost has no host for net/url; browsers take one from what follows, whatever the number of slashes.
var httpWithoutHost = regexp.MustCompile(`(?i)^https?:(/?[^/]|///|/*$)`)

// withoutIssuer returns the pairs of a query but those called iss.
func withoutIssuer(query string) string {
	var raw []string
	for pair := range rewrite.StrictPairs(query) {
		if pair.Name != "iss" {
			raw = append(raw, pair.Raw)
		}
	}
	return strings.Join(raw, "&")
}

func checkLeadsTo(t *testing.T, r rewrite.Response, location, redirectURI string) {
	t.Helper()
	if !r.LeadsTo(redirectURI) {
		return
	}
	withoutFragment, _, _ := strings.Cut(location, "#")
	l, err := url.Parse(withoutFragment)
	if err != nil {
		t.Fatalf("%q leads to %q, but is none: %v", location, redirectURI, err)
	}
	u, err := url.Parse(redirectURI)
	if err != nil {
		t.Fatalf("%q leads to %q, which is none: %v", location, redirectURI, err)
	}
	if l.Scheme != u.Scheme || !strings.EqualFold(l.Hostname(), u.Hostname()) || l.Opaque != u.Opaque ||
		strings.TrimPrefix(l.Path, "/") != strings.TrimPrefix(u.Path, "/") {
		t.Errorf("%q leads to %q, but they are %+v and %+v", location, redirectURI, l, u)
	}
	if l.Port() != u.Port() && !slices.Contains([]string{"http80", "https443"}, l.Scheme+l.Port()+u.Port()) {
		t.Errorf("%q leads to %q, but the ports differ", location, redirectURI)
	}
	for name, values := range u.Query() {
		for _, value := range values {
			if !slices.Contains(l.Query()[name], value) {
				t.Errorf("%q leads to %q, but has no %s=%s", location, redirectURI, name, value)
			}
		}
	}
}
