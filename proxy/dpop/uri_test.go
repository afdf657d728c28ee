package dpop_test

import (
	"strings"
	"testing"

	"pargate/proxy/dpop"
	"pargate/test/harness"
)

func TestTargetsAreComparedAsURIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint, htu string
		same          bool
	}{
		{endpoint, endpoint, true},
		{endpoint, "HTTPS://AS.Example/par", true},
		{endpoint, "https://as.example:443/par", true},
		{endpoint, "https://as.example:/par", true},
		{endpoint, "https://as.example/par?a=b#c", true},
		{endpoint, "https://as.example/par#c?a", true},
		{endpoint, "https://as.example/p%61r", true},
		{endpoint, "https://%61s.example/par", true},
		{endpoint, "https://as.example/./x/../par", true},
		{endpoint, "https://as.example/%2e/par", true},
		{endpoint, "https://as.example/PAR", false},
		{endpoint, "https://as.example/par/", false},
		{endpoint, "https://as.example//par", false},
		{endpoint, "https://as.example/%2Fpar", false},
		{endpoint, "https://as.example/p%2561r", false},
		{endpoint, "https://as.example/par;x", false},
		{endpoint, "https://as.example:8443/par", false},
		{endpoint, "https://as.example:0443/par", false},
		{endpoint, "https://as.example.:443/par", false},
		{endpoint, "http://as.example/par", false},
		{endpoint, "http://as.example:443/par", false},
		{endpoint, "https://user@as.example/par", false},
		{endpoint, "https://as.example@evil.example/par", false},
		{endpoint, "https://evil.example/par?https://as.example/par", false},
		{endpoint, "//as.example/par", false},
		{endpoint, "/par", false},
		{endpoint, "https:as.example/par", false},
		{endpoint, "https:///as.example/par", false},
		{endpoint, "https://as.e\u017fample/par", false},
		{"https://k.example/par", "https://\u212a.example/par", false},
		{endpoint, " https://as.example/par", false},
		{endpoint, "https://as.example/par ", false},
		{endpoint, "https://as.example/par\x00", false},
		{endpoint, "https://as.example/par%", false},
		{endpoint, "https://as.example\\par", false},
		{endpoint, "https://as.example/par?" + strings.Repeat("a", 2<<10), false},
		{"http://127.0.0.1:8080/par", "http://127.0.0.1:8080/par", true},
		{"http://127.0.0.1:8080/par", "http://127.0.0.1/par", false},
		{"http://[::1]:80/par", "http://[::1]/par", true},
		{"https://as.example/a%2Fb", "https://as.example/a%2fb", true},
		{"https://as.example/a%2Fb", "https://as.example/a/b", false},
		{"https://as.example/~a", "https://as.example/%7Ea", true},
		{"https://as.example", "https://as.example/", true},
		{"https://as.example/", "https://as.example?x", true},
	} {
		r := request()
		r.URI = c.endpoint
		_, err := dpop.Verify([]string{es256.Prove(harness.ProofClaims(c.htu, now))}, r)
		if (err == nil) != c.same || err != nil && err.Error() != "has another htu than the endpoint's; use "+c.endpoint {
			t.Errorf("%s for %s: %v", c.htu, c.endpoint, err)
		}
	}
}
