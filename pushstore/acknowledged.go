package pushstore

import "sync"

// acknowledged remembers claims that enough replicas have: nothing can take that back, so they are waited for once in
// every process and not with every request of a login. It is bounded; what it has forgotten is waited for again.
type acknowledged struct {
	mu          sync.Mutex
	now, before map[ownedPlace]struct{}
}

// ownedPlace is a flow and whose it is.
type ownedPlace struct {
	place place
	owner token
}

// maxAcknowledged bounds one of the two generations: 4 MiB or so.
const maxAcknowledged = 32 << 10

func (a *acknowledged) has(p place, owner token) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, now := a.now[ownedPlace{p, owner}]
	_, before := a.before[ownedPlace{p, owner}]
	return now || before
}

func (a *acknowledged) add(p place, owner token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now == nil || len(a.now) >= maxAcknowledged {
		a.now, a.before = map[ownedPlace]struct{}{}, a.now
	}
	a.now[ownedPlace{p, owner}] = struct{}{}
}
