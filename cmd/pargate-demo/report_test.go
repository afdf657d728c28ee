package main

import (
	"strings"
	"testing"
)

func TestMismatchShowsBothValues(t *testing.T) {
	long := strings.Repeat("ä", 500)
	tests := []struct{ name, want, got, expected, seen string }{
		{"short", "201", "400", "201", "400"},
		{"nothing", "", "x", "(nothing)", "x"},
		{"far behind", long + "amount=1", long + "amount=2", "…" + strings.Repeat("ä", 13) + "amount=1", "…" + strings.Repeat("ä", 13) + "amount=2"},
		{"cut off", "abc", "ab", "abc", "ab"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			r := report{out: &out}
			if r.same("it is so", test.want, test.got) || !r.failed {
				t.Error("not noticed")
			}
			want := "    ✗ it is so\n      expected  " + test.expected + "\n      seen      " + test.seen + "\n"
			if out.String() != want {
				t.Errorf("got\n%swant\n%s", out.String(), want)
			}
		})
	}
}

func TestMaskShowsLittle(t *testing.T) {
	for secret, want := range map[string]string{
		"": "… (0 characters)", "verysecure": "… (10 characters)", "abcdefghijklmnopqrst": "abcd… (20 characters)",
	} {
		if got := mask(secret); got != want {
			t.Errorf("mask(%q) = %q, want %q", secret, got, want)
		}
	}
}
