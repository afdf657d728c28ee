package test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pargate/pushstore"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// brokenStore cannot answer while broken is set.
type brokenStore struct {
	pushstore.Store
	broken atomic.Bool
}

var errBroken = errors.New("the store does not answer")

func (s *brokenStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	if s.broken.Load() {
		return "", errBroken
	}
	return s.Store.Put(ctx, p, r, window)
}

func (s *brokenStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	if s.broken.Load() {
		return pushstore.Absent, errBroken
	}
	return s.Store.Look(ctx, p, ref)
}

func (s *brokenStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	if s.broken.Load() {
		return pushstore.Flow{}, errBroken
	}
	return s.Store.Open(ctx, p, ref, o)
}

func (s *brokenStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	if s.broken.Load() {
		return pushstore.Flow{}, errBroken
	}
	return s.Store.Flow(ctx, p, ref, o)
}

func (s *brokenStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	if s.broken.Load() {
		return false, errBroken
	}
	return s.Store.Finish(ctx, f, response)
}

func (s *brokenStore) Ping(ctx context.Context) error {
	if s.broken.Load() {
		return errBroken
	}
	return s.Store.Ping(ctx)
}
