package proxy

import (
	"context"
	"errors"
	"time"

	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// observedStore measures every operation of the store, and marks its errors as the store's.
type observedStore struct {
	pushstore.Store
	metrics *metrics.Metrics
}

// storeError means that the store could not answer, or has no room. The sentinels that are answers are none.
type storeError struct{ error }

// Unwrap returns the store's own error.
func (e storeError) Unwrap() error { return e.error }

func isStoreError(err error) bool {
	var failed storeError
	return errors.As(err, &failed)
}

// done counts an operation that began at start, and returns its error.
func (o observedStore) done(op metrics.Op, start time.Time, err error) error {
	result := metrics.StoredOK
	switch {
	case err == nil:
	case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken):
		result = metrics.StoredNo
	case errors.Is(err, pushstore.ErrFull):
		result, err = metrics.StoredFull, storeError{err}
	default:
		result, err = metrics.StoredError, storeError{err}
	}
	o.metrics.StoreTimes.Observe(op, result, time.Since(start))
	return err
}

// Put implements pushstore.Store.
func (o observedStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	start := time.Now()
	ref, err := o.Store.Put(ctx, p, r, window)
	return ref, o.done(metrics.OpPut, start, err)
}

// Look implements pushstore.Store.
func (o observedStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	start := time.Now()
	state, err := o.Store.Look(ctx, p, ref)
	return state, o.done(metrics.OpLook, start, err)
}

// Open implements pushstore.Store.
func (o observedStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	start := time.Now()
	flow, err := o.Store.Open(ctx, p, ref, owner)
	return flow, o.done(metrics.OpOpen, start, err)
}

// Flow implements pushstore.Store.
func (o observedStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	start := time.Now()
	flow, err := o.Store.Flow(ctx, p, ref, owner)
	return flow, o.done(metrics.OpFlow, start, err)
}

// Continue implements pushstore.Store.
func (o observedStore) Continue(ctx context.Context, f pushstore.Flow, secret []byte, difference string) (pushstore.Reference, error) {
	start := time.Now()
	ref, err := o.Store.Continue(ctx, f, secret, difference)
	return ref, o.done(metrics.OpContinue, start, err)
}

// Finish implements pushstore.Store.
func (o observedStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	start := time.Now()
	won, err := o.Store.Finish(ctx, f, response)
	return won, o.done(metrics.OpFinish, start, err)
}

// Mark implements pushstore.Store.
func (o observedStore) Mark(ctx context.Context, holder, id string, life time.Duration) (bool, error) {
	start := time.Now()
	first, err := o.Store.Mark(ctx, holder, id, life)
	return first, o.done(metrics.OpMark, start, err)
}

// Ping implements pushstore.Store.
func (o observedStore) Ping(ctx context.Context) error {
	start := time.Now()
	return o.done(metrics.OpPing, start, o.Store.Ping(ctx))
}
