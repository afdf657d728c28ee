package oauth_test

import (
	"slices"
	"strings"
	"testing"

	"pargate/proxy/oauth"
)

func TestFoldReadsANameAsTheMostGenerousParserDoes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"an ordinary name stays", "redirect_uri", "redirect_uri"},
		{"nothing stays nothing", "", ""},
		{"PHP arrays", "redirect_uri[]", "redirect_uri"},
		{"PHP arrays with a key", "redirect_uri[a][b]", "redirect_uri"},
		{"an array after a blank", "scope []", "scope"},
		{"an array after a tab", "scope\t[a]", "scope"},
		{"PHP takes a dot for an underscore", "redirect.uri", "redirect_uri"},
		{"PHP takes a blank for an underscore", "redirect uri", "redirect_uri"},
		{"PHP takes a bracket that never closes for an underscore", "redirect[uri", "redirect_uri"},
		{"Rack takes it for the end of the name", "scope[uri", "scope"},
		{"PHP drops leading blanks", "  scope", "scope"},
		{"Rack drops brackets around a name", "[scope]", "scope"},
		{"Rack drops a bracket that never opened", "scope]", "scope"},
		{"Rack drops brackets in front", "][scope", "scope"},
		{"Rack drops what follows a bracket", "scope]x", "scope"},
		{"ASP.NET ignores case", "Redirect_URI", "redirect_uri"},
		{"the dotless i", "redırect_uri", "redirect_uri"},
		{"the dotted capital I", "redİrect_uri", "redirect_uri"},
		{"the long s", "ſcope", "scope"},
		{"the Kelvin sign", "dpop_j\u212at", "dpop_jkt"},
		{"C ends at NUL", "scope\x00x", "scope"},
		{"C ends at NUL, and blanks go", "scope \x00x", "scope"},
		{"Java trims control characters", "\x01scope\x1f", "scope"},
		{"Java trims a NUL in front", "\x00scope", "scope"},
		{"trailing line end", "scope\r\n", "scope"},
		{"a no-break space", "\u00a0scope\u00a0", "scope"},
		{"a byte order mark", "\ufeffscope", "scope"},
		{"full-width letters, of which Windows makes narrow ones", "\uff53cope", "scope"},
		{"a full-width bracket", "scope\uff3b0]", "scope"},
		{"another name stays another", "scopes", "scopes"},
		{"what stands in front counts", "xscope", "xscope"},
		{"invalid UTF-8 is no name of ours", "scope\xff", "scope\ufffd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := oauth.Fold(test.in); got != test.want {
				t.Errorf("Fold(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestFoldOfEveryRuneIsFinal(t *testing.T) {
	t.Parallel()
	for r := range rune(0x20000) { // the planes behind have neither case nor blanks
		for _, name := range []string{string(r), "a" + string(r) + "[x]", "[" + string(r) + "a"} {
			once := oauth.Fold(name)
			if twice := oauth.Fold(once); twice != once {
				t.Errorf("Fold(%q) = %q, but Fold of that = %q", name, once, twice)
			}
		}
	}
}

func TestNamesAreKnownExactly(t *testing.T) {
	t.Parallel()
	for _, name := range requestNames {
		if !oauth.IsAuthorizationRequestName(name) || oauth.IsNeverKept(name) || oauth.IsCredentialName(name) {
			t.Errorf("%s: want an authorization request's name and nothing else", name)
		}
	}
	for _, name := range neverKeptNames {
		if !oauth.IsNeverKept(name) || oauth.IsAuthorizationRequestName(name) {
			t.Errorf("%s: want a name that is never kept and nothing else", name)
		}
		if got, want := oauth.IsCredentialName(name), strings.HasPrefix(name, "client_"); got != want {
			t.Errorf("IsCredentialName(%s) = %t", name, got)
		}
	}
	// Login forms have these; a request is not one because of them.
	for _, name := range []string{"error", "username", "password", "iss", "id_token", "access_token", "Scope", "scope[]", ""} {
		if oauth.IsAuthorizationRequestName(name) || oauth.IsNeverKept(name) || oauth.IsCredentialName(name) {
			t.Errorf("%q is taken for a parameter of ours", name)
		}
	}
}

func TestOwnNamesBeginWithPargate(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"pargate": true, "pargate_ticket": true, "xpargate": false, "par": false, "": false} {
		if got := oauth.IsOwnName(name); got != want {
			t.Errorf("IsOwnName(%q) = %t, want %t", name, got, want)
		}
	}
}

// FuzzFold: folding a folded name changes nothing, and every foreign parser's reading of a name folds alike when it
// is a known one.
func FuzzFold(f *testing.F) {
	for _, seed := range []string{"", "scope", "Scope[]", "redirect.uri", "a\u00a0[x]", " [scope]", "scope\x00", "ß", "İ", "ǅ", "a]b[c", "[[]", "\xff[", "\ufeff ."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once := oauth.Fold(name)
		if twice := oauth.Fold(once); twice != once {
			t.Errorf("Fold(%q) = %q, but Fold of that = %q", name, once, twice)
		}
		for _, parser := range foreignParsers {
			read := parser.read(name)
			if slices.Contains(requestNames, read) && once != read {
				t.Errorf("%s reads %q as %s, Fold says %q", parser.name, name, read, once)
			}
		}
	})
}
