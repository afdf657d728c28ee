package test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
)

func TestBasicInBothOfItsEncodings(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Clients: `[
		{"client_id": "a b:c", "client_secret": "p+%41é"},
		{"client_id": "a b", "client_secret": "p+%41é"}]`})
	for _, c := range []struct {
		name, client, user, password string
		status                       int
	}{
		{"as RFC 6749 has it", "a b:c", url.QueryEscape("a b:c"), url.QueryEscape("p+%41é"), 201},
		{"the same without client_id in the form", "", url.QueryEscape("a b:c"), url.QueryEscape("p+%41é"), 201},
		{"as it stands", "a b", "a b", "p+%41é", 201},
		{"decoded once too often", "a b", "a b", "p Aé", 401},
		{"encoded twice", "a b", url.QueryEscape(url.QueryEscape("a b")), url.QueryEscape(url.QueryEscape("p+%41é")), 400},
		{"another client in the form", "a b", url.QueryEscape("a b:c"), url.QueryEscape("p+%41é"), 400},
	} {
		res := pushOf(t, g, harness.Form("client_id", c.client).Encode(), basic(c.user, c.password))
		if res.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, res.Status, res.Body, c.status)
		}
	}
}

func TestAMalformedAssertionAuthenticatesNobody(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	form := harness.Form("client_assertion", "a.b.c", "client_assertion_type", jwtBearer).Encode()
	wantPushError(t, pushOf(t, g, form), 401, "invalid_client")
	wantPushError(t, pushOf(t, g, form, asWeb), 400, "invalid_request")
	form = harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb", "client_assertion", "a.b.c").Encode()
	wantPushError(t, pushOf(t, g, form), 401, "invalid_client")
}

func TestTheRequestIDOfAStrangerIsNotTaken(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	const given = "0123456789abcdef"
	res := harness.NewBrowser(g.URL).Get(t, "/page", setHeader("X-Request-Id", given))
	id := res.Header.Get("X-Request-Id")
	if id == given || len(id) < 16 || g.Upstream.Last().Header.Get("X-Request-Id") != id {
		t.Errorf("X-Request-Id is %q in the response and %q upstream", id, g.Upstream.Last().Header.Get("X-Request-Id"))
	}
}

func TestTheRateIsOfAClientAtAnAddress(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
		o.PushRate, o.TrustedProxies = 1, append(o.TrustedProxies, loopback)
		o.Now = func() time.Time { return time.Unix(1e9, 0) }
	}})
	push := func(name, secret, address string) int {
		return pushOf(t, g, harness.Form("client_id", name).Encode(), basic(name, secret), setHeader("X-Forwarded-For", address)).Status
	}
	for i, want := range []int{401, 401, 429, 429} { // names that do not exist share one bucket
		if got := push(fmt.Sprintf("made-up-%d", i), "x", "198.51.100.7"); got != want {
			t.Errorf("made-up name %d: %d, want %d", i, got, want)
		}
	}
	if got := push("made-up", "x", "198.51.100.8"); got != 401 {
		t.Errorf("from another address: %d", got)
	}
	for _, want := range []int{201, 201, 429} {
		if got := push("web", "s3cret", "198.51.100.7"); got != want {
			t.Errorf("a client that exists: %d, want %d", got, want)
		}
	}
	if got := push("web", "s3cret", "198.51.100.8"); got != 201 {
		t.Errorf("the same from another address: %d", got)
	}
	// A network of IPv6 is one user's, and what the caller writes in front of its own address is nobody's.
	for i, want := range []int{201, 201, 429} {
		if got := push("web", "s3cret", fmt.Sprintf("203.0.113.%d, 2001:db8::%d", i, i+1)); got != want {
			t.Errorf("push %d from one /64: %d, want %d", i, got, want)
		}
	}
}
