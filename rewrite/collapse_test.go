package rewrite_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// collapse returns rules for a server at https://as.example that is behind http://10.0.0.1:9000. An address is shortened
// when it has state=1.
func collapse() *rewrite.Collapse {
	parse := func(s string) *url.URL { u, _ := url.Parse(s); return u }
	return &rewrite.Collapse{
		Origins: []*url.URL{parse("https://as.example"), parse("http://10.0.0.1:9000"), parse("https://issuer.example")},
		Path:    "/o/authorize",
		Shorten: func(a rewrite.Address) (string, bool) {
			for _, pair := range a.Pairs {
				if oauth.Fold(pair.Name) == "state" && pair.Value == "1" {
					return "ref=" + strings.ReplaceAll(a.Path, "/", "."), true
				}
			}
			return "", false
		},
	}
}

func TestCollapseURL(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		// where they lead
		"/o/authorize?state=1&b=2":                       "/o/authorize?ref=.o.authorize",
		"https://as.example/o/authorize?state=1":         "https://as.example/o/authorize?ref=.o.authorize",
		"http://AS.example:80/x?state=1":                 "http://AS.example:80/x?ref=.x",
		"https://as.example:443/x?state=1":               "https://as.example:443/x?ref=.x",
		"//as.example/x?state=1":                         "//as.example/x?ref=.x",
		"https://issuer.example/x?state=1":               "https://as.example/x?ref=.x", // moved to where browsers are
		"http://10.0.0.1:9000/x%20y?state=1#f":           "https://as.example/x%20y?ref=.x%20y#f",
		"?state=1":                                       "?ref=.o.authorize",
		"login?state=1":                                  "login?ref=.o.login",
		`\x?state=1`:                                     `\x?ref=.x`,
		" /x?sta\tte=1\n":                                "/x?ref=.x",
		"/x?STATE[]=%31;x#frag?ment":                     "/x?ref=.x#frag?ment",
		"https://app.example/cb?state=1":                 "",
		"https://as.example.evil.example/?state=1":       "",
		"https://as.example@evil.example/?state=1":       "",
		"http://10.0.0.1:9001/?state=1":                  "",
		"//evil.example/?state=1":                        "",
		"javascript:go('?state=1')":                      "",
		"javascript:go('?a=%2Fx%3Fstate%3D1')":           "",
		"mailto:a@as.example?state=1":                    "",
		"data:text/html,<a href='/x?state=1'>":           "",
		"/x?nothing=1":                                   "",
		"/x":                                             "",
		"":                                               "",
		"?":                                              "",
		"/%zz?state=1":                                   "",
		"https://app.example/?next=%2Fo%2Fx%3Fstate%3D1": "https://app.example/?next=%2Fo%2Fx%3Fref%3D.o.x", // anybody's may carry one
		// how deep
		"/login?a=%00&next=/o/x%3Fstate%3D1&b=%zz":                  "/login?a=%00&next=%2Fo%2Fx%3Fref%3D.o.x&b=%zz",
		"/login?next=%252Fx%253Fstate%253D1":                        "/login?next=%252Fx%253Fref%253D.x",
		"/login?next=%2Flogin%3Fnext%3D%252Fx%253Fstate%253D1":      "/login?next=%2Flogin%3Fnext%3D%252Fx%253Fref%253D.x",
		"/login?next=https%3A%2F%2Fas.example%2Fx%3Fstate%3D1":      "/login?next=https%3A%2F%2Fas.example%2Fx%3Fref%3D.x",
		"/login?next=https%3A%2F%2Fapp.example%2Fx%3Fstate%3D1":     "",
		"/login?url=" + base64Of("https://as.example/x?state=1"):    "/login?url=" + base64Of("https://as.example/x?ref=.x"),
		"/login?url=" + base64Of("/xyzxyzxyz?state=1"):              "/login?url=" + base64Of("/xyzxyzxyz?ref=.xyzxyzxyz"),
		"/login?url=" + base64Of("xyzxyzxyz?state=1"):               "", // no address
		"/login?url=" + rawBase64Of("https://as.example/x?state=1"): "/login?url=" + rawBase64Of("https://as.example/x?ref=.x"),
		"/#/login?next=%2Fx%3Fstate%3D1":                            "/#/login?next=%2Fx%3Fref%3D.x",
		"/#next=%2Fx%3Fstate%3D1":                                   "/#next=%2Fx%3Fref%3D.x",
		nest("/x?state=1", 3):                                       nest("/x?ref=.x", 3),
		nest("/x?state=1", 4):                                       "",
	} {
		got, changed := collapse().URL(address)
		if changed != (want != "") || changed && got != want {
			t.Errorf("URL(%q) = %q, want %q", address, got, want)
		}
	}
}

func base64Of(s string) string { return url.QueryEscape(base64.URLEncoding.EncodeToString([]byte(s))) }

func rawBase64Of(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func nest(address string, layers int) string {
	for range layers {
		address = "/login?next=" + url.QueryEscape(address)
	}
	return address
}

func TestCollapseHonoursBase(t *testing.T) {
	t.Parallel()
	for base, wants := range map[string][3]string{
		"":                       {"x?ref=.o.x", "/x?ref=.x", "?ref=.o.authorize"},
		"/a/b/":                  {"x?ref=.a.b.x", "/x?ref=.x", "?ref=.a.b."},
		"../b?c":                 {"x?ref=.o....x", "/x?ref=.x", "?ref=.o....b"},
		"https://app.example/":   {},
		"https://issuer.example": {"https://as.example/x?ref=.x", "https://as.example/x?ref=.x", "https://as.example/?ref=."},
	} {
		for i, address := range []string{"x?state=1", "/x?state=1", "?state=1"} {
			rules := collapse()
			rules.Base = base
			got, changed := rules.URL(address)
			if changed != (wants[i] != "") || changed && got != wants[i] {
				t.Errorf("URL(%q) on a page with base %q = %q, want %q", address, base, got, wants[i])
			}
		}
	}
}

func TestCollapseValue(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"/x?state=1": "/x?ref=.x", "https://as.example/x?state=1": "https://as.example/x?ref=.x", "%2Fx%3Fstate%3D1": "%2Fx%3Fref%3D.x",
		"state=1": "", "Deny": "", "50%": "", "a=%2Fx%3Fstate%3D1": "a=%2Fx%3Fref%3D.x", "https://app.example/?state=1": "",
		base64.StdEncoding.EncodeToString([]byte("https://as.example/x?state=1")): base64.StdEncoding.EncodeToString([]byte("https://as.example/x?ref=.x")),
	} {
		got, changed := collapse().Value(value)
		if changed != (want != "") || changed && got != want {
			t.Errorf("Value(%q) = %q, want %q", value, got, want)
		}
	}
}

func TestCollapseRefresh(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"0;url=/x?state=1": "0;url=/x?ref=.x", "5; URL = '/x?state=1'": "5; URL = '/x?ref=.x'", `1,"/x?state=1"`: `1,"/x?ref=.x"`, "0; /x?state=1": "0; /x?ref=.x",
		"0;url=/x": "", "5": "", "text/html; charset=utf-8": "", "0;url=https://app.example/?state=1": "", "0;url": "", ";": "", "0;'": "",
	} {
		got, changed := collapse().Refresh(value)
		if changed != (want != "") || changed && got != want {
			t.Errorf("Refresh(%q) = %q, want %q", value, got, want)
		}
	}
}

// FuzzCollapse: an address is only shortened when a browser that follows it stays at the server, or when one nested in it
// does; it leads to the same host afterwards, or to the public one, and nothing is left to shorten.
func FuzzCollapse(f *testing.F) {
	for _, seed := range []string{"/x?state=1", "https://as.example@evil.example/?state=1", "//evil.example/?state=1", `/\evil.example?state=1`, "?state=1#x",
		"https:as.example/?state=1", "http:///as.example?state=1", "login?next=%2Fx%3Fstate%3D1", nest("/x?state=1", 2), "/x?url=" + base64Of("/authorize?state=1")} {
		f.Add(seed, "")
		f.Add(seed, "//evil.example")
	}
	f.Fuzz(func(t *testing.T, address, base string) {
		rules := collapse()
		rules.Base = base
		got, changed := rules.URL(address)
		if !changed {
			return
		}
		page, _ := url.Parse("https://as.example/o/authorize")
		if b, err := page.Parse(base); err == nil {
			page = b
		}
		after, err := page.Parse(got)
		if err != nil {
			return // no browser goes there
		}
		before, err := page.Parse(strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' || r == '\r' {
				return -1
			}
			return r
		}, strings.Trim(address, " \t\r\n")))
		if err == nil && after.Host != before.Host && after.Host != "as.example" {
			t.Fatalf("%q becomes %q", address, got)
		}
		if again, changed := rules.URL(got); changed {
			t.Fatalf("%q becomes %q, and that %q", address, got, again)
		}
	})
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "/login": false, "/login/state/scope": false, "/o/authorize/": false,
		"username=u&password=state": false, "password=a%3Db%26c": false, "return_to=%2Fo%2Fauthorize%2F": false,
		"client_id=web&request_uri=" + url.QueryEscape(ourPrefix+"x"):                                         false,
		"next=" + url.QueryEscape("/o/authorize?client_id=web&request_uri="+url.QueryEscape(ourPrefix+"x")):   false,
		"https://as.example/login?next=" + url.QueryEscape("/authorize?client_id=web&request_uri="+ourPrefix): false,
		"client_id=web": false, "pargate=1": false, "state=": false, "g_continue": false,
		"state=1": true, "Prompt[]=none": true, "next=/authorize?scope=x": true, "next=%2Fauthorize%3Fscope%3Dx": true,
		"next=%252Fauthorize%253Fscope%253Dx": true, "a;nonce=1": true, "request_uri=https://evil.example": true, "request=x": true,
		"/login/next=%2Fauthorize%3Fscope%3Dx": true, "url=" + base64Of("/authorize?state=1&x=123"): true, "#a=1&display=2": true,
		nest("/authorize?client_id=web&state=1", 5): true, // nobody looks that deep
		`{"username":"u","password":"p"}`:           false, `{"next":"/authorize?scope=x"}`: true, `{"prompt": "none"}`: true, `"{\"prompt\":\"none\"}"`: true, `{"next":"/a?prompt\u003dnone"}`: true,
		"next=" + hex.EncodeToString([]byte("/authorize?state=1")): true, "next=" + base64Of("authorize?state=1&x=123"): true,
		"next=" + base64Of(`{"a":{"scope":"x"}}`): true, "csrf=" + base64Of("\x01\x02 state=1 \x9f"): false, "token=0123456789abcdef0123456789abcdef": false,
	} {
		if got := vocabulary.Mentions(text); got != want {
			t.Errorf("Mentions(%q) = %t", text, got)
		}
	}
}

// What is sent to a server may be long, and is looked through in its time.
// threadTime is the time that f computes, however busy the machine is.
func threadTime(t *testing.T, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	start := now()
	f()
	return now() - start
}

func TestMentionsTakesTimeInProportion(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"a=", "a=a&", "%25253D=", "request_uri=urn", "[a].", "{\"a\":", "a.b|", "AAAA", "\\u0061"} {
		text := strings.Repeat(part, 64<<10/len(part))
		if took := threadTime(t, func() { vocabulary.Mentions(text) }); took > 5*time.Second { // it is milliseconds, and was minutes
			t.Errorf("%q: %v", part, took)
		}
	}
}
