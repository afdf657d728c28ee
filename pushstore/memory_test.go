package pushstore_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
)

// clock is a clock that moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, flowTTL time.Duration) storetest.Subject {
		c := newClock()
		m := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: flowTTL, Now: c.Now})
		t.Cleanup(func() { m.Close() })
		return storetest.Subject{Store: m, Pass: c.Pass, Down: func() { m.Close() }}
	})
}

func testRequest() pushstore.Request {
	return pushstore.Request{Query: strings.Repeat("scope=openid&", 50), RedirectURI: "https://app.example/cb", State: "s-1"}
}

func client(n int) pushstore.Party {
	return pushstore.Party{Issuer: "https://as.example", ClientID: fmt.Sprint("client-", n)}
}

func TestMemoryRefusesWhenFullAndDropsNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: time.Hour, MaxBytes: 256 << 10, Now: c.Now})
	refs := map[pushstore.Reference]pushstore.Party{}
	fill := func(p pushstore.Party) int {
		for n := 0; ; n++ {
			ref, err := m.Put(t.Context(), p, testRequest(), time.Minute)
			if errors.Is(err, pushstore.ErrFull) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			refs[ref] = p
		}
	}
	first := fill(client(0))
	if first < 20 {
		t.Errorf("one client pushed %d requests into a quarter of the bound, want some more", first)
	}
	for n := 1; n < 4; n++ { // the one that is full leaves the others their quarters
		if got := fill(client(n)); got != first {
			t.Errorf("client %d pushed %d requests, want %d", n, got, first)
		}
	}
	if got := fill(client(4)); got > 4 {
		t.Errorf("a fifth client pushed %d requests into a full store", got)
	}
	for ref, p := range refs {
		if state, err := m.Look(t.Context(), p, ref); err != nil || state != pushstore.Pending {
			t.Fatalf("a live request is %v, %v", state, err)
		}
	}
	c.Pass(time.Minute)
	if got := fill(client(0)); got != first {
		t.Errorf("after everything has expired a client pushed %d requests, want %d", got, first)
	}
}

func TestMemoryBoundsMarksAndContinuations(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: time.Hour, MaxBytes: 128 << 10, Now: c.Now})
	n := 0
	for ; ; n++ {
		first, err := m.Mark(t.Context(), "holder", fmt.Sprint(n), time.Minute)
		if errors.Is(err, pushstore.ErrFull) {
			break
		}
		if err != nil || !first || n > 1000 {
			t.Fatalf("mark %d: %v, %v", n, first, err)
		}
	}
	if first, err := m.Mark(t.Context(), "holder", "0", time.Minute); err != nil || first {
		t.Errorf("a kept mark, once full: got %v, %v, want false", first, err)
	}
	c.Pass(time.Minute)
	if first, err := m.Mark(t.Context(), "holder", fmt.Sprint(n), time.Minute); err != nil || !first {
		t.Errorf("after the others have expired: got %v, %v, want true", first, err)
	}

	secret := []byte("secret")
	ref, err := m.Put(t.Context(), client(1), testRequest(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Open(t.Context(), client(1), ref, pushstore.OwnerOf(secret))
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for ; err == nil; kept++ {
		_, err = m.Continue(t.Context(), f, secret, fmt.Sprint(kept, strings.Repeat("x", 2000)))
	}
	if !errors.Is(err, pushstore.ErrFull) || kept > 20 {
		t.Errorf("%d continuations of 2 KB went into 32 KiB: %v", kept, err)
	}
}

// The README promises at most 2 KiB beyond the request itself per pending push.
func TestMemoryCostsLittleBesideTheRequest(t *testing.T) {
	const pushes = 20_000 // just after the map has grown, and with a client each: the dearest case
	m := pushstore.NewMemory(pushstore.MemoryOptions{MaxBytes: 1 << 40})
	r := testRequest()
	before := heapInUse()
	for n := range pushes {
		if _, err := m.Put(t.Context(), client(n), r, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	perPush := int64(heapInUse()-before) / pushes
	counted := m.Bytes() / pushes
	size := int64(len(r.Query) + len(r.RedirectURI) + len(r.State))
	t.Logf("a request of %d bytes costs %d on the heap and is counted as %d", size, perPush, counted)
	if perPush-size > 2<<10 {
		t.Errorf("a push of %d bytes costs %d on the heap, want at most 2 KiB more", size, perPush)
	}
	if perPush > counted {
		t.Errorf("a push costs %d on the heap but is counted as %d", perPush, counted)
	}
	runtime.KeepAlive(m)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
