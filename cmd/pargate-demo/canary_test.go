package main

import (
	"encoding/base64"
	"html"
	"net/url"
	"testing"
)

func TestSightings(t *testing.T) {
	pushed := params{{"state", "st4te"}, {"claims", `{"a":"1 + 1 & ä 19 %"}`}}
	once := url.QueryEscape(pushed.get("claims"))
	tests := []struct{ name, text, want string }{
		{"nothing", "/auth?client_id=a", ""},
		{"plain", "/x?s=st4te", "state"},
		{"encoded", "/x?c=" + once, "claims"},
		{"a URL in a URL in a URL", "/x?next=" + url.QueryEscape("/y?c="+url.QueryEscape(once)), "claims"},
		{"path escape", "/x/" + url.PathEscape(pushed.get("claims")), "claims"},
		{"HTML", `<a href="` + html.EscapeString("/x?s=st4te&c="+pushed.get("claims")) + `">`, "state, claims"},
		{"behind a broken escape", "/x?a=%zz%&s=%73t4te", "state"},
		{"not what is said to be looked for", base64.StdEncoding.EncodeToString([]byte("st4te")), ""},
	}
	for _, test := range tests {
		if got := sightings(pushed, test.text); got != test.want {
			t.Errorf("%s: %q in %q, want %q", test.name, got, test.text, test.want)
		}
	}
}
