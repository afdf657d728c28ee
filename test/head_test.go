package test

import (
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
)

func TestHEADIsAnsweredHereWhereAnAuthorizationCouldBegin(t *testing.T) {
	t.Parallel()
	full := "?" + harness.Form().Encode()
	const uri = "?client_id=web&request_uri=urn:ietf:params:oauth:request_uri:x"
	for _, required := range []bool{false, true} {
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = required }})
		b := harness.NewBrowser(g.URL)
		for _, target := range []string{"/authorize" + full, "/authorize", "//Authorize" + full, "/authorize/x", "/authorize/x" + full, "/authorize.json" + full, "/else" + uri, "/token" + uri} {
			res := b.Do(t, "HEAD", target, nil)
			if res.Status != 200 || res.Body != "" || res.Location != "" || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("required %t, HEAD %s: %d %v", required, target, res.Status, res.Header)
			}
		}
		wantUntouched(t, g)
		if b.Do(t, "HEAD", "/else", nil); g.Upstream.Last().Method != "HEAD" {
			t.Errorf("required %t: a HEAD of something else did not reach the upstream", required)
		}
	}
}
