package rewrite_test

import (
	"slices"
	"strings"
	"testing"

	"pargate/proxy/oauth"
	"pargate/rewrite"
)

const ourPrefix = "urn:ietf:params:oauth:request_uri:"

// vocabulary is the one that the gateway has, with the resume keys of these tests.
var vocabulary = &rewrite.Vocabulary{
	Fold: oauth.Fold, IsAuthorization: oauth.IsAuthorizationRequestName, IsOwn: oauth.IsOwnName, IsResume: isResume,
	IsReference: func(value string) bool { return strings.HasPrefix(value, ourPrefix) },
}

const (
	pushedText = "response_type=code&client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid%20email%20a%2Bb&state=s%201&nonce=n%2B1" +
		"&code_challenge=c1&prompt=login&max_age=9&x_ticket=%C3%BC&resource=r1&resource=r2"
	core = "response_type client_id redirect_uri scope state nonce code_challenge x_ticket"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pushed, query string
		want          rewrite.Likeness
	}{
		{pushedText, pushedText, rewrite.Likeness{Equal: 3, Exact: true}},
		{pushedText, "client_id=web&state=s+1", rewrite.Likeness{Equal: 1, Exact: true}},
		{pushedText, "client_id=web&Nonce=n 1&State[]=s+1", rewrite.Likeness{Equal: 2, Exact: true}}, // re-encoded, respelt
		{pushedText, "client_id=web&state=s%201&nonce=other", rewrite.Likeness{Equal: 1}},
		{pushedText, "client_id=web&state=s%201&state=other", rewrite.Likeness{Equal: 1}},
		{pushedText, "client_id=web&client_id=other&state=s%201", rewrite.Likeness{Equal: 1}},
		{pushedText, "client_id=other&state=s%201&nonce=n%2B1", rewrite.Likeness{}},
		{pushedText, "state=s%201&nonce=n%2B1", rewrite.Likeness{}},
		{pushedText, "client_id=web", rewrite.Likeness{Exact: true}},
		{pushedText, "client_id=web&redirect_uri=https://app.example/cb", rewrite.Likeness{Exact: true}},
		{pushedText, "client_id=web&state=", rewrite.Likeness{Exact: true}},
		{"client_id=web&state=1", "client_id=web&state=1&nonce=2", rewrite.Likeness{Equal: 1}}, // a nonce was not pushed
		{"client_id=web&redirect_uri=https%3A%2F%2Fa", "client_id=web&redirect_uri=https://a", rewrite.Likeness{Equal: 1, Exact: true}},
		{"client_id=web&redirect_uri=https%3A%2F%2Fa", "client_id=web&redirect_uri=https://a&state=x", rewrite.Likeness{Equal: 1}},
		{"client_id=web&state=", "client_id=web&state=", rewrite.Likeness{Exact: true}},
		{"client_id=web", "client_id=web", rewrite.Likeness{Exact: true}},
		{"client_id=web&state=a%0Ab", "client_id=web&state=a%0D%0Ab", rewrite.Likeness{Equal: 1, Exact: true}},
	} {
		if got := vocabulary.Pushed(test.pushed).Compare(rewrite.Pairs(test.query)); got != test.want {
			t.Errorf("%q is like %q: %+v, want %+v", test.query, test.pushed, got, test.want)
		}
	}
}

func TestBindForm(t *testing.T) {
	t.Parallel()
	const pushed = "client_id=web&scope=openid%20email&state=1&nonce=2&prompt=login&resource=a&resource=b"
	for _, test := range []struct {
		form    string
		whole   bool
		want    string
		changed string
	}{
		{"username=u&password=p%E4ss;word&&csrf=%zz&", false, "username=u&password=p%E4ss;word&csrf=%zz", ""},
		{"username=u&password=p%E4ss&&csrf=%zz&", false, "username=u&password=p%E4ss&&csrf=%zz&", ""}, // not a byte
		{"", false, "", ""},
		{"_method=delete&client_id=web&state=1", false, "_method=delete&client_id=web&state=1&scope=openid%20email&nonce=2&prompt=login&resource=a&resource=b", "nonce prompt resource resource scope"},
		{"csrf=x&client_id=web", false, "csrf=x&client_id=web", ""}, // one alone is no request
		{"client_id=evil&state=evil&redirect_uri=evil&claims=x&y=2", false, "client_id=web&state=1&y=2&scope=openid%20email&nonce=2&prompt=login&resource=a&resource=b",
			"claims client_id nonce prompt redirect_uri resource resource scope state"},
		{"state=1&state=2&State=3&state[]=4", false, "state=1", "state state state"},
		{"resource=evil", false, "resource=a&resource=b", "resource"},
		{"resource=b&resource=a&resource=c", false, "resource=a&resource=b", "resource"},
		{"scope=openid", false, "scope=openid", ""},
		{"scope=openid+email", false, "scope=openid+email", ""},
		{"scope[]=openid", false, "scope=openid%20email", "scope"}, // which the server might not read
		{"SCOPE=openid", false, "scope=openid%20email", "scope"},
		{"scope=openid&scope=email", false, "scope=openid&scope=email", ""},
		{"scope=email", false, "scope=openid%20email", "scope"}, // not openid away
		{"scope=openid+admin", false, "scope=openid%20email", "scope"},
		{"scope=openid&scope=admin", false, "scope=openid%20email", "scope scope"},
		{"scope=", false, "scope=openid%20email", "scope"},
		{"a=1;scope=admin&b=2;c=3", false, "a=1%3Bscope=admin&b=2;c=3", ""},
		{"pargate_ticket=x&a=1", false, "a=1", "pargate_ticket"},
		{"allow=yes", true, "allow=yes&" + pushed, "client_id nonce prompt resource resource scope state"},
		{"prompt=none&display=page", false, "prompt=login", "display prompt"},
	} {
		got, changed := vocabulary.Pushed(pushed).BindForm(test.form, test.whole)
		slices.Sort(changed)
		if got != test.want || strings.Join(changed, " ") != test.changed {
			t.Errorf("BindForm(%q) = %q, changed %q\nwant %q, changed %q", test.form, got, changed, test.want, test.changed)
		}
	}
}

func TestOthersHoldNothingOfARequest(t *testing.T) {
	t.Parallel()
	p := vocabulary.Pushed("client_id=web&state=1&x_ticket=2")
	for query, want := range map[string]string{
		"lang=de&state=1&X_Ticket=3&nonce=4&pargate=1&b": "lang=de&b", "a=1;state=2&b=2;c": "a=1%3Bstate=2&b=2;c", "a[]=1&a[]=2&&": "a[]=1&a[]=2", "": "",
	} {
		if got := p.Others(query); got != want {
			t.Errorf("Others(%q) = %q, want %q", query, got, want)
		}
	}
}

func TestWithoutOpenIDPushedAnyScopeLessWillDo(t *testing.T) {
	t.Parallel()
	p := vocabulary.Pushed("client_id=web&scope=a%20b")
	for form, want := range map[string]string{"scope=b": "scope=b", "scope=": "scope=a%20b", "scope=c": "scope=a%20b"} {
		if got, _ := p.BindForm(form, false); got != want {
			t.Errorf("%q becomes %q, want %q", form, got, want)
		}
	}
	if got, _ := vocabulary.Pushed("client_id=web").BindForm("scope=a", false); got != "" {
		t.Errorf("a scope that was not pushed: %q", got)
	}
}

// FuzzBindForm: whatever a browser posts, no parser finds another value of a pushed name in it than the pushed one, but
// for less scope, nor an authorization request's name that was not pushed; and all other fields are there, byte for byte.
func FuzzBindForm(f *testing.F) {
	for _, seed := range []string{"", "a=1&b", pushedText, "State[]=2&scope=openid", "x=1;scope=admin;y", "%73cope=x&=&&", "scope=openid&scope=email", "%u0073tate=1"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	p := vocabulary.Pushed(pushedText)
	f.Fuzz(func(t *testing.T, form string, whole bool) {
		got, _ := p.BindForm(form, whole)
		wantOnlyPushed(t, got, true)
		left := slices.Collect(rewrite.StrictPairs(got))
		for pair := range rewrite.StrictPairs(form) {
			name := oauth.Fold(pair.Name)
			if oauth.IsAuthorizationRequestName(name) || oauth.IsOwnName(name) || name == "x_ticket" || strings.Contains(pair.Raw, ";") {
				continue
			}
			if !slices.Contains(left, pair) {
				t.Fatalf("%q becomes %q: %q is gone", form, got, pair.Raw)
			}
		}
	})
}

// wantOnlyPushed checks that every parameter of an authorization request in a query or form is the pushed one, or is
// prompt or max_age left out.
func wantOnlyPushed(t *testing.T, encoded string, mayNarrow bool) {
	t.Helper()
	pushed := map[string][]string{}
	for pair := range rewrite.StrictPairs(pushedText) {
		pushed[pair.Name] = append(pushed[pair.Name], pair.Value)
	}
	seen := map[string][]string{}
	for pair := range rewrite.Pairs(encoded) {
		if name := oauth.Fold(pair.Name); oauth.IsAuthorizationRequestName(name) || name == "x_ticket" {
			seen[name] = append(seen[name], pair.Value)
		}
	}
	for name, values := range seen {
		if name == "scope" && mayNarrow {
			for _, scope := range strings.Fields(strings.Join(values, " ")) {
				if !slices.Contains(strings.Fields(pushed["scope"][0]), scope) {
					t.Fatalf("scope %q in %q", scope, encoded)
				}
			}
			continue
		}
		if !slices.Equal(values, pushed[name]) {
			t.Fatalf("%s is %q in %q, want %q", name, values, encoded, pushed[name])
		}
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	const pushed = "client_id=web&state=1&prompt=login&max_age=9"
	everything := rewrite.Trust{Additions: true, Prompt: true}
	known := rewrite.Trust{Known: rewrite.ParseDifference("pargate_without=max_age&prompt=select_account&x=1")}
	for _, test := range []struct {
		query string
		trust rewrite.Trust
		want  string
	}{
		{pushed, everything, ""},
		{pushed + "&g_continue", rewrite.Trust{}, "g_continue"},
		{pushed + "&login_verifier=%zz&login_verifier=2", rewrite.Trust{}, "login_verifier=%25zz"},
		{pushed + "&x=1&claims=2", rewrite.Trust{}, ""},
		{pushed + "&x=1&x=2&claims=2&claims=3", rewrite.Trust{Additions: true}, "claims=2&x=1&x=2"},
		{"client_id=evil&state=evil&request_uri=x&request=y&pargate_without=state", everything, "pargate_without=max_age&pargate_without=prompt"},
		{"client_id=web&state=1", rewrite.Trust{}, ""},
		{"client_id=web&state=1&prompt=none", rewrite.Trust{Prompt: true}, "pargate_without=max_age&prompt=none"},
		{"client_id=web&state=1&max_age=0&prompt=login", rewrite.Trust{Prompt: true}, ""},
		{"client_id=web&state=1&prompt=none", rewrite.Trust{Additions: true}, ""},
		{"client_id=web&state=1&prompt=select_account&x=1", known, "pargate_without=max_age&prompt=select_account&x=1"},
		{"client_id=web&state=1&prompt=none&x=2&max_age=9", known, ""},
	} {
		got := vocabulary.Pushed(pushed).Difference(slices.Collect(rewrite.Pairs(test.query)), test.trust)
		if got.Encode() != test.want {
			t.Errorf("Difference(%q, %+v) = %q, want %q", test.query, test.trust, got.Encode(), test.want)
		}
		if again := rewrite.ParseDifference(got.Encode()); again.Encode() != got.Encode() {
			t.Errorf("%q is read as %q", got.Encode(), again.Encode())
		}
	}
	with := vocabulary.Pushed(pushed).With(rewrite.ParseDifference("pargate_without=max_age&prompt=none&x"))
	if got := with.Query(); got != "client_id=web&state=1&prompt=none&x" {
		t.Errorf("With: %q", got)
	}
}

// FuzzDifference: whatever strings a browser makes an upstream echo into an authorization address, the continuation made
// of it expands to what was pushed, in every parameter of an authorization request; and where the browser's own request
// had such a parameter, in prompt and max_age too.
func FuzzDifference(f *testing.F) {
	for _, seed := range []string{pushedText, "client_id=web&state=evil&nonce=n%2B1", "claims=1&prompt=none", "pargate_without=state", "scope;state=1", "%u0070rompt=x&Prompt[]=y"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	p := vocabulary.Pushed(pushedText)
	f.Fuzz(func(t *testing.T, echoed string, prompt bool) {
		text := p.Difference(slices.Collect(rewrite.Pairs(echoed)), rewrite.Trust{Prompt: prompt}).Encode()
		query := p.With(rewrite.ParseDifference(text)).Query()
		if !prompt {
			wantOnlyPushed(t, query, false)
			if n := len(slices.Collect(rewrite.StrictPairs(query))); n < len(slices.Collect(rewrite.StrictPairs(pushedText))) {
				t.Fatalf("%q makes %q", echoed, query)
			}
		}
		for _, name := range strings.Fields(core) {
			var got []string
			for pair := range rewrite.Pairs(query) {
				if oauth.Fold(pair.Name) == name {
					got = append(got, pair.Raw)
				}
			}
			if len(got) != 1 || !strings.Contains(pushedText, got[0]) {
				t.Fatalf("%q makes %s %q", echoed, name, got)
			}
		}
	})
}
