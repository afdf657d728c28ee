package client

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

func TestMemoryIsBoundedAndForgets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	m := newMemory[int, int](100)
	for n := range 10_000 {
		m.put(n, n, now, time.Minute)
		if v, ok := m.get(n, now); !ok || v != n || len(m.entries) > 100 {
			t.Fatalf("%d: %d, %t; %d entries", n, v, ok, len(m.entries))
		}
	}
	for n := range 100 { // what has expired makes room, not what has not
		m.put(-1-n, n, now.Add(time.Minute), time.Minute)
	}
	if !m.has(-100, now.Add(2*time.Minute-1)) || m.has(-100, now.Add(2*time.Minute)) {
		t.Error("not forgotten in time")
	}
}

func TestThrottleIsBoundedAndComesBack(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	th := newThrottle()
	for n := range maxAllowances + 1000 {
		th.take(fmt.Sprint(n), fmt.Sprint(n), false, now)
	}
	for _, b := range th.kind {
		if len(b.left) > maxAllowances {
			t.Errorf("%d buckets", len(b.left))
		}
	}
	now = now.Add(time.Hour)
	if _, wait := th.take("new", "new", false, now); wait > 0 || len(th.kind[0].left) != 1 {
		t.Errorf("full buckets are kept: %d; wait %s", len(th.kind[0].left), wait)
	}
	for range int(2 * perClientAndSource.burst) {
		giveBack, wait := th.take("c", "a", false, now)
		if wait > 0 {
			t.Fatal("what is given back is counted")
		}
		giveBack()
	}
	var wait time.Duration
	for wait == 0 {
		_, wait = th.take("c", "a", false, now)
	}
	if wait != perClientAndSource.every {
		t.Errorf("wait %s", wait)
	}
	if _, wait := th.take("c", "a", false, now.Add(wait)); wait > 0 {
		t.Errorf("waited, and has to wait %s", wait)
	}
}

func TestStrangersLookLikeClients(t *testing.T) {
	t.Parallel()
	const id = "0123abcd-1234-4abc-8def-0123456789ab"
	if got := strangeID(id); !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(got) || got == id {
		t.Error(got)
	}
	if a, b := strangeID("web"), strangeID("web"); a == b || len(a) < 20 {
		t.Error(a, b)
	}
}
