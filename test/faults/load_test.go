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

// steadily calls do perSecond times a second until quit, whether or not the last calls have returned, and then waits for
// them. Each call gets a caller of its own while it runs, and when it should have begun, which is what its time counts from.
func steadily(quit <-chan struct{}, perSecond int, addr string, do func(at *caller, n int, due time.Time)) {
	free := make(chan *caller, 4096)
	var running sync.WaitGroup
	began := time.Now()
	for n := 0; ; n++ {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		if !sleepUntil(due, quit) {
			break
		}
		var at *caller
		select {
		case at = <-free:
		default:
			at = &caller{addr: addr}
		}
		running.Go(func() {
			do(at, n, due)
			select {
			case free <- at:
			default:
				at.close()
			}
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
