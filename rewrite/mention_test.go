package rewrite_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"pargate/rewrite"
)

// FuzzMentions: a parameter of an authorization request is found whatever stands around it and in whichever encoding.
func FuzzMentions(f *testing.F) {
	for _, seed := range []string{"", "a=1&", "/login?next=", `{"a":"b",`, "x;y&", "%zz&", "password=p%E4ss&", "=&", "\\u0061&", "client_id=web&"} {
		f.Add(seed, "&b=2")
		f.Add("&", seed)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if len(before)+len(after) > 4096 {
			return
		}
		const request = "/authorize?client_id=web&state=s3cret&nonce=1"
		for name, encoded := range map[string]string{
			"as it is": "state=s3cret", "in a URL": "next=" + url.QueryEscape(request), "in a URL in a URL": "next=" + url.QueryEscape("/login?next="+url.QueryEscape(request)),
			"in base64": "next=" + base64.RawURLEncoding.EncodeToString([]byte(request)), "in hex": "next=" + hex.EncodeToString([]byte(request)),
		} {
			text := strings.TrimRight(before, `=\"'`) + "&" + encoded + "&" + after
			if !vocabulary.Mentions(text) {
				t.Errorf("%s: it is not found in %q", name, text)
			}
		}
	})
}

// FuzzRefresh: the address in a refresh is a part of it, and of one that is made shorter nothing stays of what was
// taken away.
func FuzzRefresh(f *testing.F) {
	for _, seed := range []string{"0; url=/o/authorize?state=1", "5;URL='/x?state=1'", "0,/x?state=1", `1 url="https://as.example/x?state=1&a=b"`, "0;url = ", "url=/x", "0;url", ".5;/x?a=state%3D1", "0;url='/x?state=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		address, ok := rewrite.RefreshAddress(value)
		if ok != (address != "") || !strings.Contains(value, address) {
			t.Fatalf("the address in %q is %q", value, address)
		}
		shorter, changed := collapse().Refresh(value)
		if !changed {
			return
		}
		at, ok := rewrite.RefreshAddress(shorter)
		if _, again := collapse().URL(at); !ok || again {
			t.Errorf("%q becomes %q, which leads to %q", value, shorter, at)
		}
	})
}
