package rewrite_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/rewrite"
)

// resumes are the keys with which servers resume a login.
var resumes = []string{"login_verifier", "g_continue"}

func isResume(name string) bool { return slices.Contains(resumes, name) }

func TestExpand(t *testing.T) {
	t.Parallel()
	const pushed = "client_id=web&scope=openid%20email&state=1"
	for _, test := range []struct {
		name, endpoint, pushed, beside string
		want, dropped                  string
	}{
		{"a push alone goes out as it was pushed", "", pushed, "", pushed, ""},
		{"order and bytes of the push are kept", "", "b=%7E&a=%C3%BC&b2=+&flag&e=", "", "b=%7E&a=%C3%BC&b2=+&flag&e=", ""},
		{"resource repeats", "", "resource=b&x=1&resource=a", "", "resource=b&x=1&resource=a", ""},
		{"the endpoint's own query stays in front", "tenant=7&v=%32", pushed, "", "tenant=7&v=%32&" + pushed, ""},
		{"the endpoint's own query is not overridden", "tenant=7", "tenant=8&a=1", "", "tenant=7&a=1", "tenant"},
		{"not in another case either", "tenant=7", "Tenant=8&TENANT=9&a=1", "", "tenant=7&a=1", "Tenant TENANT"},
		{"nor escaped", "tenant=7", "%74enant=8&a=1", "", "tenant=7&a=1", "tenant"},
		{"nor by a resume key", "g_continue=7", "a=1", "g_continue=8", "g_continue=7&a=1", "g_continue"},
		{"an endpoint may repeat itself", "a=1&a=2", "b=3", "", "a=1&a=2&b=3", ""},
		{"the reference and the client are known already", "", pushed, "client_id=web&request_uri=urn:x", pushed, "client_id request_uri"},
		{"what stands beside is dropped", "", pushed, "scope=admin&prompt=none&evil", pushed, "scope prompt evil"},
		{"a resume key is kept", "", "a=1", "login_verifier=x", "a=1&login_verifier=x", ""},
		{"a bare resume key stays bare", "", "a=1", "g_continue&x", "a=1&g_continue", "x"},
		{"an empty one stays empty", "", "a=1", "g_continue=", "a=1&g_continue=", ""},
		{"a resume key goes out once", "", "a=1", "g_continue=x&g_continue=y&%67_continue=z", "a=1&g_continue=x", "g_continue g_continue"},
		{"a resume key that was pushed is not overridden", "", "g_continue=x", "g_continue=y", "g_continue=x", "g_continue"},
		{"not in another case either", "", "G_Continue=x", "g_continue=y", "G_Continue=x", "g_continue"},
		{"a resume key in another case is none", "", "a=1", "G_Continue=x&g_continue[]=y&g.continue=z", "a=1", "G_Continue g_continue[] g.continue"},
		{"a resume key is encoded anew", "", "a=1", "%67_continue=%41+%26scope%3Dadmin%3Bx%3D%23", "a=1&g_continue=A%20%26scope%3Dadmin%3Bx%3D%23", ""},
		{"a bad escape becomes a good one", "", "a=1", "g_continue=100%", "a=1&g_continue=100%25", ""},
		{"invalid UTF-8 is dropped", "", "a=1", "g_continue=%FF&g_continue=x", "a=1&g_continue=x", "g_continue"},
		{"a semicolon divides", "", "a=1", "x=1;g_continue=2;scope=admin", "a=1&g_continue=2", "x scope"},
		{"a semicolon smuggles nothing in a value", "", "a=1", "g_continue=x;scope=admin", "a=1&g_continue=x", "scope"},
		{"a fragment's sign stays escaped", "", "a=1", "g_continue=%23%0d%0a", "a=1&g_continue=%23%0D%0A", ""},
		{"nothing at all", "", "", "", "", ""},
		{"only what stands beside", "", "", "g_continue=1", "g_continue=1", ""},
		{"empty pairs", "&a=1&", "&b=2&&", "&&;g_continue=3;", "a=1&b=2&g_continue=3", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, dropped := rewrite.Expand(test.endpoint, test.pushed, test.beside, isResume)
			if got != test.want {
				t.Errorf("Expand(%q, %q, %q) = %q, want %q", test.endpoint, test.pushed, test.beside, got, test.want)
			}
			if got := strings.Join(dropped, " "); got != test.dropped {
				t.Errorf("Expand(%q, %q, %q) drops %q, want %q", test.endpoint, test.pushed, test.beside, got, test.dropped)
			}
		})
	}
}

// A browser may write anything beside a reference, in any encoding (RFC 9101 §6.3); the upstream sees the push.
func TestNothingBesideAReferenceReachesTheUpstream(t *testing.T) {
	t.Parallel()
	const pushed = "client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid&g_continue=1"
	evil := []string{"redirect_uri=https://evil.example", "%72edirect_uri=evil", "redirect_uri[]=evil", "redirect.uri=evil",
		"Redirect_URI=evil", "redirect_uri%00=evil", "scope=admin", "client_id=x", "request_uri=y", "request=jwt",
		"prompt=none", "%zz=1", "=", "%", "\xff=\xff", "g_continue=2", "a=b;scope=admin", "scope=admin#", "scope"}
	for _, separator := range []string{"&", ";", "&&", "&;"} {
		beside := strings.Join(evil, separator)
		if got, _ := rewrite.Expand("", pushed, beside, isResume); got != pushed {
			t.Errorf("Expand beside %q = %q, want the push alone", beside, got)
		}
	}
	many := strings.Repeat("scope=admin&", 10_001)
	if got, dropped := rewrite.Expand("", pushed, many, isResume); got != pushed || len(dropped) != 10_001 {
		t.Errorf("Expand beside 10001 parameters = %q, %d dropped", got, len(dropped))
	}
}

// FuzzExpand: what the expanded query decodes to is exactly the endpoint's query, the push without names of the
// endpoint, and resume keys that neither has, once each, whatever stands beside; in this order. It has no byte that
// would end a query or divide a line.
func FuzzExpand(f *testing.F) {
	for _, seed := range [][3]string{
		{"", "client_id=web&state=1", "client_id=web&request_uri=urn:x"},
		{"tenant=7", "tenant=8&resource=a&resource=b", "g_continue=1&login_verifier=%zz;scope=admin"},
		{"a", "b&c=", "g_continue&g_continue="}, {"", "", "%67_continue=%26x%3d"}, {"G_Continue=1", "x=+", "g_continue=2"},
		{"", "a=1", "g_continue=%ff"}, {"K=1", "k=2", "g_continue=\n"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, endpoint, pushed, beside string) {
		if !canonical(endpoint) || !canonical(pushed) {
			t.Skip("never stored")
		}
		query, dropped := rewrite.Expand(endpoint, pushed, beside, isResume)

		var want []rewrite.Pair
		var wantDropped int
		taken := map[string]bool{}
		for pair := range rewrite.StrictPairs(endpoint) {
			want = append(want, pair)
			taken[strings.ToLower(pair.Name)] = true
		}
		ofPush := map[string]bool{}
		for pair := range rewrite.StrictPairs(pushed) {
			if taken[strings.ToLower(pair.Name)] {
				wantDropped++
				continue
			}
			want = append(want, pair)
			ofPush[strings.ToLower(pair.Name)] = true
		}
		got := slices.Collect(rewrite.StrictPairs(query))
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Fatalf("Expand(%q, %q, %q) = %q, want %q in front", endpoint, pushed, beside, query, want)
		}
		kept := got[len(want):]
		seen := map[string]bool{}
		for _, pair := range kept {
			if !isResume(pair.Name) || taken[pair.Name] || ofPush[pair.Name] || seen[pair.Name] {
				t.Errorf("Expand(%q, %q, %q) = %q: %q is not a resume key of its own", endpoint, pushed, beside, query, pair.Name)
			}
			seen[pair.Name] = true
			first := slices.IndexFunc(slices.Collect(rewrite.Pairs(beside)), func(p rewrite.Pair) bool { return p.Name == pair.Name && p.Value == pair.Value })
			if first < 0 {
				t.Errorf("Expand(%q, %q, %q) = %q: nobody has sent %q", endpoint, pushed, beside, query, pair)
			}
		}
		if all := len(slices.Collect(rewrite.Pairs(beside))); len(dropped) != wantDropped+all-len(kept) {
			t.Errorf("Expand(%q, %q, %q) = %q drops %q, but keeps %d of %d", endpoint, pushed, beside, query, dropped, len(kept), all)
		}
		// Every parser finds the same pairs: those that divide at ";" too, and net/url.
		if lenient := slices.Collect(rewrite.Pairs(query)); !slices.Equal(lenient, got) {
			t.Errorf("Expand(%q, %q, %q) = %q is read in two ways", endpoint, pushed, beside, query)
		}
		if _, err := url.ParseQuery(query); err != nil {
			t.Errorf("Expand(%q, %q, %q) = %q: %v", endpoint, pushed, beside, query, err)
		}
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f }) {
			t.Errorf("Expand(%q, %q, %q) = %q is no query", endpoint, pushed, beside, query)
		}
	})
}

// canonical reports whether query can be an endpoint's own query or a stored push: properly encoded pairs.
func canonical(query string) bool {
	_, err := url.ParseQuery(query)
	return err == nil && !strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' || r == ';' })
}
