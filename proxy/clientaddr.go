package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// trustedProxies is the set of peers whose forwarding headers are believed.
type trustedProxies []netip.Prefix

func (t trustedProxies) contains(addr netip.Addr) bool {
	return slices.ContainsFunc(t, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// origin is where a request comes from.
type origin struct {
	client  netip.Addr // the rightmost address that is not a trusted proxy's
	chain   string     // X-Forwarded-For as it is sent on
	trusted bool       // the peer is one of the trusted proxies
}

// locate reads X-Forwarded-For from right to left, and only as far as trusted proxies have written it.
func (t trustedProxies) locate(r *http.Request) origin {
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	peer := addr.Addr().Unmap().WithZone("")
	o := origin{client: peer, chain: peer.String()}
	if !peer.IsValid() { // a unix socket has no address
		o.chain = ""
	}
	if !t.contains(peer) {
		return o
	}
	o.trusted = true
	var hops []string
	for _, value := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(value, ",") {
			if hop = strings.TrimSpace(hop); hop != "" {
				hops = append(hops, hop)
			}
		}
	}
	for _, hop := range slices.Backward(hops) {
		addr, ok := parseHop(hop)
		if !ok {
			break // who wrote that is the last one who is known
		}
		o.client = addr
		if !t.contains(o.client) {
			break
		}
	}
	o.chain = strings.Join(append(hops, peer.String()), ", ")
	return o
}

// parseHop reads an address as proxies write it: some with a port, and of IPv6 with brackets (RFC 7239 §6).
func parseHop(hop string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(hop)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(hop)
		addr = withPort.Addr()
	}
	if inner, bracketed := strings.CutPrefix(hop, "["); err != nil && bracketed && strings.HasSuffix(inner, "]") {
		addr, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
	}
	return addr.Unmap().WithZone(""), err == nil
}

// network names the client's address for counting: one user has a whole /64 of IPv6.
func (o origin) network() string {
	if o.client.Is6() {
		if p, err := o.client.Prefix(64); err == nil {
			return p.String()
		}
	}
	return o.client.String()
}
