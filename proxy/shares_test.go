package proxy

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

func TestOneNetworkHasItsShareAndNoMore(t *testing.T) {
	t.Parallel()
	s := &Shares{Total: 8, Each: 2, Free: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}}
	var back []func()
	for i, step := range []struct {
		addr string
		want Denied
	}{
		{"198.51.100.1", Granted}, {"198.51.100.2", Granted}, {"198.51.100.255", TooManyOfOne}, {"::ffff:198.51.100.9", TooManyOfOne},
		{"198.51.101.1", Granted},
		{"2001:db8:0:1::1", Granted}, {"2001:db8:0:2::1", Granted}, {"2001:db8:0:ff::1", TooManyOfOne}, // one /56
		{"2001:db8:0:100::1", Granted},
		{"203.0.113.1", Granted}, {"203.0.113.1", Granted}, {"203.0.113.1", TooManyInAll}, // a trusted proxy has no share of its own
		{"192.0.2.1", TooManyInAll}, {"127.0.0.1", TooManyInAll},
	} {
		giveBack, got := s.Take(netip.MustParseAddr(step.addr))
		if got != step.want || (giveBack == nil) != (got != Granted) {
			t.Errorf("step %d, %s: %q, want %q", i, step.addr, got, step.want)
		}
		if giveBack != nil {
			back = append(back, giveBack)
		}
	}
	back[0]()
	back[0]() // twice is once
	if _, got := s.Take(netip.MustParseAddr("198.51.100.9")); got != Granted {
		t.Errorf("after one was given back: %q", got)
	}
	if _, got := s.Take(netip.MustParseAddr("192.0.2.1")); got != TooManyInAll {
		t.Errorf("and another: %q", got)
	}
}

func TestAddressesThatHideOthersHaveNoShareOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := &Shares{Each: 1}
	for _, addr := range []string{"127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "fe80::1%eth0", "169.254.1.1"} {
		for range 3 {
			if _, got := s.Take(netip.MustParseAddr(addr)); got != Granted {
				t.Errorf("%s: %q", addr, got)
			}
		}
	}
	if _, got := s.Take(netip.Addr{}); got != Granted {
		t.Errorf("a socket: %q", got)
	}
}

func TestNothingIsKeptOfSharesThatWereGivenBack(t *testing.T) {
	t.Parallel()
	s := &Shares{Total: 100, Each: 2}
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			for j := range 200 {
				if giveBack, _ := s.Take(netip.MustParseAddr(fmt.Sprintf("198.51.%d.%d", i, j))); giveBack != nil {
					giveBack()
				}
			}
		})
	}
	wait.Wait()
	if s.taken != 0 || len(s.by) != 0 {
		t.Errorf("%d taken, %d networks", s.taken, len(s.by))
	}
}
