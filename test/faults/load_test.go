package faults

import (
	"slices"
	"sync"
	"time"
)

// timing is how long answers took.
type timing struct {
	mu    sync.Mutex
	times []time.Duration
}

func (l *timing) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, d)
}

// at is the time within which that share of the answers came; 1 is the longest.
func (l *timing) at(share float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.times))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// mostAtOnce is far more than a machine needs that keeps up, and less than what a gateway or HAProxy refuses.
const mostAtOnce = 100

// steadily calls do perSecond times a second until quit, whether or not the last calls have returned, and then waits for
// them. Each call gets a caller of its own while it runs, and when it should have begun, which is what its time counts
// from: a machine that does not keep up is asked less often.
func steadily(quit <-chan struct{}, perSecond int, addr string, do func(at *caller, n int, due time.Time)) {
	free := make(chan *caller, mostAtOnce)
	for range mostAtOnce {
		free <- &caller{addr: addr}
	}
	var running sync.WaitGroup
	began := time.Now()
	for n := 0; ; n++ {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		if !sleepUntil(due, quit) {
			break
		}
		at := <-free
		running.Go(func() {
			do(at, n, due)
			free <- at
		})
	}
	running.Wait()
	close(free)
	for at := range free {
		at.close()
	}
}

func sleepUntil(due time.Time, quit <-chan struct{}) bool {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-quit:
		return false
	case <-t.C:
		return true
	}
}
