package proxy

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// observedStore measures every operation of the store, makes a span of it where it belongs to a request that is traced, and
// marks its errors as the store's.
type observedStore struct {
	pushstore.Store
	metrics *metrics.Metrics
	tracer  trace.Tracer // nil: there are no spans
}

// storeError means that the store could not answer, or has no room. The sentinels that are answers are none.
type storeError struct{ error }

// Unwrap returns the store's own error.
func (e storeError) Unwrap() error { return e.error }

func isStoreError(err error) bool {
	var failed storeError
	return errors.As(err, &failed)
}

// operation is one that has begun.
type operation struct {
	op    metrics.Op
	start time.Time
	span  trace.Span // nil: there is none
}

// storeSpans name the spans of the operations.
var storeSpans = [...]string{metrics.OpPut: "store put", metrics.OpLook: "store look", metrics.OpOpen: "store open", metrics.OpFlow: "store flow",
	metrics.OpContinue: "store continue", metrics.OpFinish: "store finish", metrics.OpMark: "store mark", metrics.OpPing: "store ping"}

func (o observedStore) begin(ctx context.Context, op metrics.Op) (context.Context, operation) {
	begun := operation{op: op, start: time.Now()}
	if o.tracer != nil && trace.SpanFromContext(ctx).IsRecording() {
		ctx, begun.span = o.tracer.Start(ctx, storeSpans[op])
	}
	return ctx, begun
}

// end counts an operation, and returns its error.
func (o observedStore) end(begun operation, err error) error {
	result, word := metrics.StoredOK, "ok" // the error's own text is for the log
	switch {
	case err == nil:
	case errors.Is(err, pushstore.ErrNotFound):
		result, word = metrics.StoredNo, "not found"
	case errors.Is(err, pushstore.ErrTaken):
		result, word = metrics.StoredNo, "taken"
	case errors.Is(err, pushstore.ErrFull):
		result, word, err = metrics.StoredFull, "full", storeError{err}
	default:
		result, word, err = metrics.StoredError, "error", storeError{err}
	}
	o.metrics.StoreTimes.Observe(begun.op, result, time.Since(begun.start))
	if begun.span == nil {
		return err
	}
	begun.span.SetAttributes(attrResult.String(word))
	if isStoreError(err) {
		begun.span.SetStatus(codes.Error, "")
	}
	begun.span.End()
	return err
}

// Put implements pushstore.Store.
func (o observedStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	ctx, begun := o.begin(ctx, metrics.OpPut)
	ref, err := o.Store.Put(ctx, p, r, window)
	return ref, o.end(begun, err)
}

// Look implements pushstore.Store.
func (o observedStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	ctx, begun := o.begin(ctx, metrics.OpLook)
	state, err := o.Store.Look(ctx, p, ref)
	return state, o.end(begun, err)
}

// Open implements pushstore.Store.
func (o observedStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	ctx, begun := o.begin(ctx, metrics.OpOpen)
	flow, err := o.Store.Open(ctx, p, ref, owner)
	return flow, o.end(begun, err)
}

// Flow implements pushstore.Store.
func (o observedStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	ctx, begun := o.begin(ctx, metrics.OpFlow)
	flow, err := o.Store.Flow(ctx, p, ref, owner)
	return flow, o.end(begun, err)
}

// Continue implements pushstore.Store.
func (o observedStore) Continue(ctx context.Context, f pushstore.Flow, secret []byte, difference string) (pushstore.Reference, error) {
	ctx, begun := o.begin(ctx, metrics.OpContinue)
	ref, err := o.Store.Continue(ctx, f, secret, difference)
	return ref, o.end(begun, err)
}

// Finish implements pushstore.Store.
func (o observedStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	ctx, begun := o.begin(ctx, metrics.OpFinish)
	won, err := o.Store.Finish(ctx, f, response)
	return won, o.end(begun, err)
}

// Mark implements pushstore.Store.
func (o observedStore) Mark(ctx context.Context, holder, id string, life time.Duration) (bool, error) {
	ctx, begun := o.begin(ctx, metrics.OpMark)
	first, err := o.Store.Mark(ctx, holder, id, life)
	return first, o.end(begun, err)
}

// Ping implements pushstore.Store.
func (o observedStore) Ping(ctx context.Context) error {
	ctx, begun := o.begin(ctx, metrics.OpPing)
	return o.end(begun, o.Store.Ping(ctx))
}
