package proxy

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"pargate/pushstore"
)

// tracedStore makes a span of every operation that belongs to a request which is traced.
type tracedStore struct {
	pushstore.Store
	tracer trace.Tracer
}

// begin begins the span of an operation, and returns what ends it.
func (t tracedStore) begin(ctx context.Context, name string) (context.Context, func(error)) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(err error) {
		result := storeResult(err)
		span.SetAttributes(attrResult.String(result))
		if result == "error" || result == "full" {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// storeResult says in a word what an operation has led to. The error's own text is for the log.
func storeResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, pushstore.ErrNotFound):
		return "not found"
	case errors.Is(err, pushstore.ErrTaken):
		return "taken"
	case errors.Is(err, pushstore.ErrFull):
		return "full"
	}
	return "error"
}

// Put implements pushstore.Store.
func (t tracedStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	ctx, end := t.begin(ctx, "store put")
	ref, err := t.Store.Put(ctx, p, r, window)
	end(err)
	return ref, err
}

// Look implements pushstore.Store.
func (t tracedStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	ctx, end := t.begin(ctx, "store look")
	state, err := t.Store.Look(ctx, p, ref)
	end(err)
	return state, err
}

// Open implements pushstore.Store.
func (t tracedStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	ctx, end := t.begin(ctx, "store open")
	flow, err := t.Store.Open(ctx, p, ref, owner)
	end(err)
	return flow, err
}

// Flow implements pushstore.Store.
func (t tracedStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	ctx, end := t.begin(ctx, "store flow")
	flow, err := t.Store.Flow(ctx, p, ref, owner)
	end(err)
	return flow, err
}

// Continue implements pushstore.Store.
func (t tracedStore) Continue(ctx context.Context, f pushstore.Flow, secret []byte, difference string) (pushstore.Reference, error) {
	ctx, end := t.begin(ctx, "store continue")
	ref, err := t.Store.Continue(ctx, f, secret, difference)
	end(err)
	return ref, err
}

// Finish implements pushstore.Store.
func (t tracedStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	ctx, end := t.begin(ctx, "store finish")
	won, err := t.Store.Finish(ctx, f, response)
	end(err)
	return won, err
}

// Mark implements pushstore.Store.
func (t tracedStore) Mark(ctx context.Context, holder, id string, life time.Duration) (bool, error) {
	ctx, end := t.begin(ctx, "store mark")
	first, err := t.Store.Mark(ctx, holder, id, life)
	end(err)
	return first, err
}
