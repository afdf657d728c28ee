package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// trustedProxies is the set of peers whose forwarding headers are believed.
type trustedProxies struct {
	networks networks
	sockets  bool // whoever connects to a unix socket
}

type networks []netip.Prefix

func (n networks) contain(addr netip.Addr) bool {
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// origin is where a request comes from.
type origin struct {
	client  netip.Addr // the rightmost address that is not a trusted proxy's; invalid: a socket's peer, of whom nobody who is trusted says more
	chain   string     // X-Forwarded-For as it is sent on
	trusted bool       // the peer is one of the trusted proxies
}

// locate reads X-Forwarded-For from right to left, and only as far as trusted proxies have written it.
func (t trustedProxies) locate(r *http.Request) origin {
	peer, bySocket := peerOf(r)
	o := origin{client: peer, trusted: t.networks.contain(peer)}
	if bySocket {
		o.trusted = t.sockets
	}
	if peer.IsValid() {
		o.chain = peer.String()
	}
	if !o.trusted {
		return o
	}
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
		if !t.networks.contain(o.client) {
			break
		}
	}
	if peer.IsValid() {
		hops = append(hops, peer.String())
	}
	o.chain = strings.Join(hops, ", ")
	return o
}

// peerOf returns the address of who has opened the connection. Who comes through a socket has none: what stands in
// RemoteAddr then is the name of the peer's own socket, which the peer has chosen, and which may look like an address.
func peerOf(r *http.Request) (addr netip.Addr, bySocket bool) {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return netip.Addr{}, true
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap().WithZone(""), false
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

// String is the client for the log.
func (o origin) String() string {
	if !o.client.IsValid() {
		return "unix"
	}
	return o.client.String()
}

// network names the client's address for counting: one user has a whole /64 of IPv6. All who come through a socket and of
// whom no more is known are one.
func (o origin) network() string {
	if o.client.Is6() {
		if p, err := o.client.Prefix(64); err == nil {
			return p.String()
		}
	}
	return o.String()
}
