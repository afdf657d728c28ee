package client_test

import (
	"testing"

	"pargate/proxy/client"
)

func TestARedirectURIIsRegisteredExactly(t *testing.T) {
	t.Parallel()
	c := &client.Client{RedirectURIs: []string{
		"https://app.example/cb", "https://app.example/q?a=1&b=2", "com.example.app:/cb",
		"http://127.0.0.1/cb", "http://127.0.0.1:8080/port?x=1", "http://[::1]/cb", "http://[::1]:1/one",
		"http://localhost/cb", "https://127.0.0.1/tls", "http://127.0.0.2/two",
		"http://x@127.0.0.1/user",
	}}
	for _, test := range []struct {
		name, uri string
		want      bool
	}{
		{"the same", "https://app.example/cb", true},
		{"the same with a query", "https://app.example/q?a=1&b=2", true},
		{"a custom scheme", "com.example.app:/cb", true},
		{"any port of IPv4 loopback", "http://127.0.0.1:49152/cb", true},
		{"no port of IPv4 loopback", "http://127.0.0.1/cb", true},
		{"another port than the registered one", "http://127.0.0.1:1/port?x=1", true},
		{"no port instead of the registered one", "http://127.0.0.1/port?x=1", true},
		{"any port of IPv6 loopback", "http://[::1]:49152/cb", true},
		{"port 1, which looks like a part of the address", "http://[::1]:1/cb", true},
		{"another port than port 1", "http://[::1]:2/one", true},
		{"localhost exactly", "http://localhost/cb", true},
		{"loopback by TLS exactly", "https://127.0.0.1/tls", true},

		{"nothing", "", false},
		{"a final slash", "https://app.example/cb/", false},
		{"no path", "https://app.example", false},
		{"a query more", "https://app.example/cb?x=1", false},
		{"an empty query more", "https://app.example/cb?", false},
		{"a fragment more", "https://app.example/cb#x", false},
		{"the query in another order", "https://app.example/q?b=2&a=1", false},
		{"the query cut off", "https://app.example/q?a=1", false},
		{"the host's case", "https://APP.example/cb", false},
		{"the scheme's case", "HTTPS://app.example/cb", false},
		{"the default port", "https://app.example:443/cb", false},
		{"an escape", "https://app.example/c%62", false},
		{"a dot segment", "https://app.example/x/../cb", false},
		{"user information", "https://x@app.example/cb", false},
		{"a blank", "https://app.example/cb ", false},
		{"another custom scheme", "com.example.app2:/cb", false},
		{"a port of localhost", "http://localhost:49152/cb", false},
		{"a port of loopback by TLS", "https://127.0.0.1:49152/tls", false},
		{"a port of another loopback address", "http://127.0.0.2:49152/two", false},
		{"another path on loopback", "http://127.0.0.1:49152/other", false},
		{"a query more on loopback", "http://127.0.0.1:49152/cb?x=1", false},
		{"another query on loopback", "http://127.0.0.1:49152/port?x=2", false},
		{"a fragment on loopback", "http://127.0.0.1:49152/cb#x", false},
		{"user information on loopback", "http://x@127.0.0.1:49152/cb", false},
		{"a port where user information is registered", "http://x@127.0.0.1:49152/user", false},
		{"loopback as user information", "http://127.0.0.1:80@evil.example/cb", false},
		{"a host that begins with loopback", "http://127.0.0.1.evil.example:80/cb", false},
		{"a port that is none", "http://127.0.0.1:x/cb", false},
		{"a port in the path", "http://127.0.0.1/:80cb", false},
		{"two ports", "http://127.0.0.1:80:80/cb", false},
		{"loopback in another notation", "http://127.1:80/cb", false},
		{"IPv6 loopback at length", "http://[0:0:0:0:0:0:0:1]:80/cb", false},
		{"IPv6 with a zone", "http://[::1%25lo]:80/cb", false},
		{"IPv4 for IPv6", "http://127.0.0.1:80/one", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := c.HasRedirectURI(test.uri); got != test.want {
				t.Errorf("HasRedirectURI(%q) = %t, want %t", test.uri, got, test.want)
			}
		})
	}
	if new(client.Client).HasRedirectURI("https://app.example/cb") {
		t.Error("a client without redirect_uris has one")
	}
}
