package proxy

import (
	"net/netip"
	"sync"
)

// Shares bounds how much of something there may be at once, and how much of it one network may have. A network is what
// one party commonly has: a /24 of IPv4, a /56 of IPv6. The zero value bounds nothing.
type Shares struct {
	Total int            // zero: no bound
	Each  int            // of one network; zero: no bound
	Free  []netip.Prefix // networks that stand for others, and are bounded by Total alone: trusted proxies

	mu    sync.Mutex
	taken int
	by    map[netip.Prefix]int
}

// Denied is why there is no share.
type Denied string

const (
	Granted      Denied = ""
	TooManyInAll Denied = "too many in all"
	TooManyOfOne Denied = "too many from one network"
)

// Take takes one share for addr. What it returns gives the share back, and is nil when there is none.
func (s *Shares) Take(addr netip.Addr) (giveBack func(), denied Denied) {
	network, counted := s.networkOf(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.Total > 0 && s.taken >= s.Total:
		return nil, TooManyInAll
	case counted && s.by[network] >= s.Each:
		return nil, TooManyOfOne
	}
	s.taken++
	if counted {
		if s.by == nil {
			s.by = map[netip.Prefix]int{}
		}
		s.by[network]++
	}
	return sync.OnceFunc(func() { s.giveBack(network, counted) }), Granted
}

// Taken returns how many shares there are at the moment.
func (s *Shares) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *Shares) giveBack(network netip.Prefix, counted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if !counted {
		return
	}
	if s.by[network]--; s.by[network] == 0 {
		delete(s.by, network)
	}
}

// networkOf returns the network of addr, and whether it has a bound of its own. Addresses of private networks have
// none: behind one of them there may be everybody, when a balancer or the host itself translates addresses. Nor has who
// comes through a socket, without an address.
func (s *Shares) networkOf(addr netip.Addr) (network netip.Prefix, counted bool) {
	addr = addr.Unmap().WithZone("")
	if s.Each == 0 || !addr.IsValid() || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || sharedSpace.Contains(addr) ||
		networks(s.Free).contain(addr) {
		return network, false
	}
	bits := 24
	if addr.Is6() {
		bits = 56
	}
	network, err := addr.Prefix(bits)
	return network, err == nil
}

// sharedSpace is what carriers and clouds translate addresses with (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
