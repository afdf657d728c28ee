package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzLocate: whoever writes X-Forwarded-For, the client is the peer unless the peer is trusted, and then an address of
// the header or the peer; what is sent on ends with the peer, so that nobody's words stand last.
func FuzzLocate(f *testing.F) {
	for _, seed := range []string{"", "203.0.113.7", "10.0.0.1, 203.0.113.7", "203.0.113.7:1234", "[2001:db8::1]", "::ffff:10.0.0.2", "unknown", ",,10.0.0.1", "fe80::1%eth0"} {
		f.Add("10.0.0.9:80", seed)
		f.Add("192.0.2.1:80", seed)
	}
	trusted := trustedProxies{networks: networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	f.Fuzz(func(t *testing.T, remote, header string) {
		o := trusted.locate(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {header}}})
		addr, _ := netip.ParseAddrPort(remote)
		peer := addr.Addr().Unmap().WithZone("")
		if o.trusted != trusted.networks.contain(peer) {
			t.Fatalf("%s: trusted = %t", remote, o.trusted)
		}
		if o.trusted && !strings.HasSuffix(o.chain, peer.String()) || !o.trusted && peer.IsValid() && o.chain != peer.String() {
			t.Errorf("%s with %q: the chain is %q", remote, header, o.chain)
		}
		if o.client == peer {
			return
		}
		found := false
		for hop := range strings.SplitSeq(header, ",") {
			hop = strings.TrimSpace(hop)
			withPort, _ := netip.ParseAddrPort(hop)
			alone, _ := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
			for _, addr := range []netip.Addr{withPort.Addr(), alone} {
				found = found || addr.Unmap().WithZone("") == o.client
			}
		}
		if !o.trusted || !found {
			t.Errorf("%s with %q: the client is %s", remote, header, o.client)
		}
	})
}
