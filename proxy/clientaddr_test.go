package proxy

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestForwardedForIsBelievedFromTheRightAndOnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	proxies := trustedProxies{networks: networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for _, c := range []struct {
		peer          string
		header        []string
		client, chain string
	}{
		{"192.0.2.1:1", nil, "192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:1", []string{"1.1.1.1"}, "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7", "198.51.100.7, 10.0.0.1"},
		{"10.0.0.1:1", []string{"1.1.1.1, 198.51.100.7", "10.0.0.2"}, "198.51.100.7", "1.1.1.1, 198.51.100.7, 10.0.0.2, 10.0.0.1"},
		{"10.0.0.1:1", []string{"10.0.0.3"}, "10.0.0.3", "10.0.0.3, 10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, rubbish"}, "10.0.0.1", "198.51.100.7, rubbish, 10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", []string{"2001:db8::7"}, "2001:db8::7", "2001:db8::7, 10.0.0.1"},
		{"[fd00::1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7", "::ffff:198.51.100.7, fd00::1"},
		{"[fd00::1%eth0]:1", []string{"2001:db8::7"}, "2001:db8::7", "2001:db8::7, fd00::1"},
		// As proxies in use write addresses.
		{"10.0.0.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7", "198.51.100.7:4711, 10.0.0.1"},
		{"10.0.0.1:1", []string{"[2001:db8::7]:4711"}, "2001:db8::7", "[2001:db8::7]:4711, 10.0.0.1"},
		{"10.0.0.1:1", []string{"[2001:db8::7]"}, "2001:db8::7", "[2001:db8::7], 10.0.0.1"},
		{"10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::1", "fe80::1%eth0, 10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, 10.0.0.2:80, [fd00::2]:80"}, "198.51.100.7", "198.51.100.7, 10.0.0.2:80, [fd00::2]:80, 10.0.0.1"},
		// Several fields are one list, and what is empty in it is nothing.
		{"10.0.0.1:1", []string{"1.1.1.1", "", "198.51.100.7", " , 10.0.0.2 ,"}, "198.51.100.7", "1.1.1.1, 198.51.100.7, 10.0.0.2, 10.0.0.1"},
		// What is no address ends the walk: behind it anything may stand.
		{"10.0.0.1:1", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2", "198.51.100.7, unknown, 10.0.0.2, 10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, [2001:db8::7"}, "10.0.0.1", "198.51.100.7, [2001:db8::7, 10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, 10.0.0.2]"}, "10.0.0.1", "198.51.100.7, 10.0.0.2], 10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, 1.2.3"}, "10.0.0.1", "198.51.100.7, 1.2.3, 10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, 010.0.0.2"}, "10.0.0.1", "198.51.100.7, 010.0.0.2, 10.0.0.1"},
		{"10.0.0.1:1", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2", "10.0.0.2, 10.0.0.3, 10.0.0.1"},
	} {
		got := proxies.locate(&http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.header}})
		if got.client.String() != c.client || got.chain != c.chain {
			t.Errorf("%s %q: client %s, chain %q; want %s, %q", c.peer, c.header, got.client, got.chain, c.client, c.chain)
		}
	}
}

// The name of a peer's own socket is the peer's to choose.
func TestAPeerOfASocketHasNoAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		remote, header string
		trusted        bool
		client, chain  string
	}{
		{"@", "198.51.100.7", false, "unix", ""},
		{"", "198.51.100.7", false, "unix", ""},
		{"10.0.0.1:1", "198.51.100.7", false, "unix", ""},
		{"10.0.0.1:1", "", true, "unix", ""},
		{"@", "", true, "unix", ""},
		{"@", "198.51.100.7", true, "198.51.100.7", "198.51.100.7"},
		{"@", "1.1.1.1, 198.51.100.7, 10.0.0.2", true, "198.51.100.7", "1.1.1.1, 198.51.100.7, 10.0.0.2"},
		{"@", "198.51.100.7, rubbish", true, "unix", "198.51.100.7, rubbish"},
	} {
		proxies := trustedProxies{networks: networks{netip.MustParsePrefix("10.0.0.0/8")}, sockets: c.trusted}
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.header != "" {
			r.Header.Set("X-Forwarded-For", c.header)
		}
		r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/x", Net: "unix"}))
		got := proxies.locate(r)
		if got.String() != c.client || got.chain != c.chain || got.trusted != c.trusted {
			t.Errorf("%+v: client %s, chain %q, trusted %t", c, got, got.chain, got.trusted)
		}
		if !got.client.IsValid() && got.network() != "unix" {
			t.Errorf("%+v: counted as %s", c, got.network())
		}
	}
}

func TestOneUserHasAWholeNetworkOfIPv6(t *testing.T) {
	t.Parallel()
	a, b := origin{client: netip.MustParseAddr("2001:db8::1")}, origin{client: netip.MustParseAddr("2001:db8::ffff:2")}
	if a.network() != b.network() || a.network() == (origin{client: netip.MustParseAddr("2001:db8:0:1::1")}).network() {
		t.Errorf("%s, %s", a.network(), b.network())
	}
}

func TestTheLimiterIsBoundedAndFair(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(1, func() time.Time { return now })
	take := func(client string) bool { ok, _ := l.allow(client, "192.0.2.1"); return ok }
	for i, want := range []bool{true, true, false} {
		if got := take("a"); got != want {
			t.Errorf("push %d of a burst: %t", i+1, got)
		}
	}
	if !take("b") {
		t.Error("one client slows another down")
	}
	if _, wait := l.allow("a", "192.0.2.1"); wait <= 0 || wait > time.Second {
		t.Errorf("wait = %s", wait)
	}
	now = now.Add(time.Second)
	if !take("a") || take("a") {
		t.Error("one more after a second")
	}
	for i := range maxBuckets + 100 {
		l.allow("x", time.Duration(i).String())
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
	now = now.Add(time.Minute)
	if l.allow("y", "fresh"); len(l.buckets) != 1 {
		t.Errorf("%d buckets after the sweep", len(l.buckets))
	}
	if ok, _ := newLimiter(0, time.Now).allow("a", "b"); !ok {
		t.Error("no limit, and refused")
	}
}
