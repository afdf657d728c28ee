package proxy

import (
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const maxBuckets = 1 << 16 // one is about 100 bytes

// limiter slows each client at each address down (RFC 9126 §2.3). Its memory is bounded: clients for whom there is
// no room share one bucket.
type limiter struct {
	rate float64 // pushes per second; the burst is twice that
	now  func() time.Time
	seed maphash.Seed

	mu      sync.Mutex
	buckets map[uint64]*rate.Limiter
	shared  *rate.Limiter
	swept   time.Time
}

func newLimiter(perSecond float64, now func() time.Time) *limiter {
	l := &limiter{rate: perSecond, now: now, seed: maphash.MakeSeed(), buckets: map[uint64]*rate.Limiter{}}
	l.shared = l.newBucket()
	return l
}

func (l *limiter) newBucket() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(l.rate), max(1, int(2*l.rate)))
}

// allow reports whether client may push once more from addr, and else how long it should wait.
func (l *limiter) allow(client, addr string) (bool, time.Duration) {
	if l.rate <= 0 {
		return true, 0
	}
	now := l.now()
	reservation := l.bucket(maphash.String(l.seed, addr+"\x00"+client), now).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return true, 0
	}
	reservation.CancelAt(now)
	return false, wait
}

func (l *limiter) bucket(key uint64, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[key]; b != nil {
		return b
	}
	if len(l.buckets) >= maxBuckets && now.Sub(l.swept) > time.Second {
		l.sweep(now)
	}
	if len(l.buckets) >= maxBuckets {
		return l.shared
	}
	b := l.newBucket()
	l.buckets[key] = b
	return b
}

// sweep drops the buckets that are full again: a new one would be no different.
func (l *limiter) sweep(now time.Time) {
	l.swept = now
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(b.Burst()) {
			delete(l.buckets, key)
		}
	}
}
