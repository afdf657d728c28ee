package proxy

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzRequestID: an id is one line of plain letters of bounded length, and a stranger's is never taken.
func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{"", "01JABCDEF-23", "short", "eight-ok", "a b c d e f g", "x\r\nSet-Cookie: a=b", strings.Repeat("a", 65), "{{7*7}}aaaa"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, given string, trusted bool) {
		id := requestID(&http.Request{Header: http.Header{"X-Request-Id": {given}}}, trusted)
		if strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "" || len(id) < 8 || len(id) > 64 {
			t.Errorf("%q becomes %q", given, id)
		}
		if id == given && !trusted {
			t.Errorf("a stranger's id is taken: %q", id)
		}
	})
}

// FuzzLoggedPath: of a path no more is logged than what stands before the first sign of parameters in it, and no more
// than 256 bytes.
func FuzzLoggedPath(f *testing.F) {
	for _, seed := range []string{"/", "/authorize;state=1", "/authorize%3Fstate=1", "/a%253Fstate=1", "/login/state=1", "/x%3dy", strings.Repeat("/a", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := loggedPath(path)
		kept := strings.TrimSuffix(got, "...")
		if len(got) > 256 || !strings.HasPrefix(path, kept) {
			t.Errorf("%q is logged as %q", path, got)
		}
		for _, sign := range []string{";", "=", "?", "%3f", "%3d", "%3b", "%25"} {
			if strings.Contains(strings.ToLower(kept), sign) {
				t.Errorf("%q is logged as %q, with %s", path, got, sign)
			}
		}
	})
}
