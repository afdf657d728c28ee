package rewrite_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/rewrite"
)

func TestPairsDividesAndDecodesLeniently(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, in string
		want     []rewrite.Pair
	}{
		{"nothing", "", nil},
		{"separators alone", "&;&&;", nil},
		{"both separators", "a=1&b=2;c=3", []rewrite.Pair{{"a=1", "a", "1"}, {"b=2", "b", "2"}, {"c=3", "c", "3"}}},
		{"a bare name", "a&b=", []rewrite.Pair{{"a", "a", ""}, {"b=", "b", ""}}},
		{"no name", "=x", []rewrite.Pair{{"=x", "", "x"}}},
		{"the first equals sign divides", "a=b=c", []rewrite.Pair{{"a=b=c", "a", "b=c"}}},
		{"escapes and blanks", "a%62=%C3%BC+x", []rewrite.Pair{{"a%62=%C3%BC+x", "ab", "ü x"}}},
		{"a bad escape hides no other one", "%zz%73tate=%+%41%4", []rewrite.Pair{{"%zz%73tate=%+%41%4", "%zzstate", "% A%4"}}},
		{"a bad escape hides no other pair", "%=1&state=2", []rewrite.Pair{{"%=1", "%", "1"}, {"state=2", "state", "2"}}},
		{"an escape is decoded once", "%2573tate=1", []rewrite.Pair{{"%2573tate=1", "%73tate", "1"}}},
		{"a cut-off escape", "a%2", []rewrite.Pair{{"a%2", "a%2", ""}}},
		{"lower-case and mixed hexadecimal digits", "%zz%c3%Bc=%aF%fA", []rewrite.Pair{{"%zz%c3%Bc=%aF%fA", "%zzü", "\xaf\xfa"}}},
		{"invalid UTF-8 is kept", "a=\xff%fe", []rewrite.Pair{{"a=\xff%fe", "a", "\xff\xfe"}}},
		{"escaped separators divide nothing", "a=1%26b%3D2%3Bc", []rewrite.Pair{{"a=1%26b%3D2%3Bc", "a", "1&b=2;c"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := slices.Collect(rewrite.Pairs(test.in)); !slices.Equal(got, test.want) {
				t.Errorf("Pairs(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestStrictPairsKeepsSemicolonsInValues(t *testing.T) {
	t.Parallel()
	got := slices.Collect(rewrite.StrictPairs("a=1;b=2&&c"))
	if want := []rewrite.Pair{{"a=1;b=2", "a", "1;b=2"}, {"c", "c", ""}}; !slices.Equal(got, want) {
		t.Errorf("StrictPairs = %q, want %q", got, want)
	}
}

func TestPairsCanBeLeftEarly(t *testing.T) {
	t.Parallel()
	for range rewrite.Pairs("a&b") {
		break // an iterator that goes on after this panics
	}
}

func TestUnescapePathLeavesWhatIsNoEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                "",
		"/authorize":      "/authorize",
		"/%61uthorize":    "/authorize",
		"/a+b":            "/a+b",
		"/a+%62":          "/a+b",
		"/%2561":          "/%61",
		"/%":              "/%",
		"/%6":             "/%6",
		"/%zz%61":         "/%zza",
		"/%%36%31":        "/%61",
		"/%2F%2e%2E%3b%5": "//..;%5",
		"/%00%ff":         "/\x00\xff",
	} {
		if got := rewrite.UnescapePath(in); got != want {
			t.Errorf("UnescapePath(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzPairs: no byte but separators is lost, and what net/url can decode is decoded alike.
func FuzzPairs(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2;c", "&&=;", "%zz=%41+", "a=b=c", "%", "\xff=%ff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var raw strings.Builder
		for pair := range rewrite.Pairs(in) {
			raw.WriteString(pair.Raw)
			name, value, _ := strings.Cut(pair.Raw, "=")
			if want, err := url.QueryUnescape(name); err == nil && pair.Name != want {
				t.Errorf("Pairs(%q): name %q, want %q", in, pair.Name, want)
			}
			if want, err := url.QueryUnescape(value); err == nil && pair.Value != want {
				t.Errorf("Pairs(%q): value %q, want %q", in, pair.Value, want)
			}
		}
		if want := strings.NewReplacer("&", "", ";", "").Replace(in); raw.String() != want {
			t.Errorf("Pairs(%q) has %q, want %q", in, raw.String(), want)
		}
		var strict []string
		for pair := range rewrite.StrictPairs(in) {
			strict = append(strict, pair.Raw)
		}
		want := slices.DeleteFunc(strings.Split(in, "&"), func(s string) bool { return s == "" })
		if !slices.Equal(strict, want) {
			t.Errorf("StrictPairs(%q) has %q, want %q", in, strict, want)
		}
	})
}

// FuzzUnescapePath: it decodes what net/url decodes to the same, never makes a path longer, and leaves nothing
// undone that escaping would bring back.
func FuzzUnescapePath(f *testing.F) {
	for _, seed := range []string{"", "/%61", "/%%36%31", "/a+b%20", "%zz", "%4", "/%E2%98%83"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := rewrite.UnescapePath(path)
		if want, err := url.PathUnescape(path); err == nil && got != want {
			t.Errorf("UnescapePath(%q) = %q, net/url says %q", path, got, want)
		}
		if len(got) > len(path) {
			t.Errorf("UnescapePath(%q) = %q, which is longer", path, got)
		}
		if escaped := url.PathEscape(path); rewrite.UnescapePath(escaped) != path {
			t.Errorf("UnescapePath(%q) = %q, want %q", escaped, rewrite.UnescapePath(escaped), path)
		}
	})
}
