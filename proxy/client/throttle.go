package client

import (
	"hash/maphash"
	"sync"
	"time"
)

// allowance is how many attempts to authenticate may fail in a row, and how soon one more may. What succeeds is given
// back.
type allowance struct {
	burst float64
	every time.Duration
}

// One address cannot use up what a client has in all: with the burst behind it, it gets a sixth of what comes back.
var (
	perClientAndSource = allowance{burst: 10, every: 6 * time.Second}
	perSource          = allowance{burst: 100, every: time.Second}
	perClient          = allowance{burst: 60, every: time.Second}
)

const maxAllowances = 1 << 16 // that are remembered of each kind

// throttle slows down who guesses credentials (RFC 6749 §2.3.1): each client at each address, each address, and each
// client. Names are counted whether they exist or not.
type throttle struct {
	seed maphash.Seed
	mu   sync.Mutex
	kind [3]buckets
}

// buckets hold what is left of one allowance; names for which there is no room share one.
type buckets struct {
	allowance
	left   map[uint64]*bucket
	shared bucket
	swept  time.Time
}

type bucket struct {
	tokens float64
	filled time.Time
}

func newThrottle() *throttle {
	t := &throttle{seed: maphash.MakeSeed()}
	for i, a := range []allowance{perClientAndSource, perSource, perClient} {
		t.kind[i] = buckets{allowance: a, left: map[uint64]*bucket{}, shared: bucket{tokens: a.burst}}
	}
	return t
}

// take counts an attempt. It returns how long to wait when there were too many, and otherwise what gives it back. known
// says that the client has lately come from there: then what others do in its name does not count.
func (t *throttle) take(client, source string, known bool, now time.Time) (giveBack func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := []string{client + "\x00" + source, source, client}
	if known {
		names = names[:2]
	}
	taken := make([]*bucket, len(names))
	for i, name := range names {
		b := &t.kind[i]
		taken[i] = b.bucket(maphash.String(t.seed, name), now)
		if missing := 1 - taken[i].tokens; missing > 0 {
			wait = max(wait, time.Duration(missing*float64(b.every)))
		}
	}
	if wait > 0 {
		return nil, wait
	}
	for _, b := range taken {
		b.tokens--
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i, b := range taken {
			b.tokens = min(b.tokens+1, t.kind[i].burst)
		}
	}, 0
}

// blocked returns how long to wait where too much has failed in a client's name that came from one address. Who comes from
// elsewhere is not stopped: nobody can lock a client out.
func (t *throttle) blocked(client, source string, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, name := range []string{client + "\x00" + source, source} {
		if missing := 1 - t.kind[i].bucket(maphash.String(t.seed, name), now).tokens; missing > 0 {
			wait = max(wait, time.Duration(missing*float64(t.kind[i].every)))
		}
	}
	return wait
}

// failed counts an attempt that has failed.
func (t *throttle) failed(client, source string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, name := range []string{client + "\x00" + source, source} {
		one := t.kind[i].bucket(maphash.String(t.seed, name), now)
		one.tokens = max(one.tokens-1, 0)
	}
}

// bucket returns the bucket of a name, filled with what has come back until now.
func (b *buckets) bucket(name uint64, now time.Time) *bucket {
	one := b.left[name]
	if one == nil {
		if len(b.left) >= maxAllowances && now.Sub(b.swept) > time.Second {
			b.sweep(now)
		}
		one = &b.shared
		if len(b.left) < maxAllowances {
			one = &bucket{tokens: b.burst}
			b.left[name] = one
		}
	}
	one.tokens = b.at(one, now)
	one.filled = now
	return one
}

func (b *buckets) at(one *bucket, now time.Time) float64 {
	return min(one.tokens+max(now.Sub(one.filled), 0).Seconds()/b.every.Seconds(), b.burst)
}

// sweep drops the buckets that are full again: a new one would be no different.
func (b *buckets) sweep(now time.Time) {
	b.swept = now
	for name, one := range b.left {
		if b.at(one, now) >= b.burst {
			delete(b.left, name)
		}
	}
}
