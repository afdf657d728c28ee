package proxy

import (
	"context"
	"net/http"
	"time"

	"pargate/proxy/oauth"
)

// How many requests wait for the upstream at once. A legacy server answers with some dozens of workers, so that more
// in flight only wait there, where nobody can tell them so.
const (
	forwardSlots    = 256
	forwardQueue    = 256
	forwardPatience = time.Second // of one in the queue
	uploadSlots     = 64          // of forwardSlots, for requests whose body has not arrived
	probeSlots      = 64          // for questions about clients, beside those of forwardSlots
	probeQueue      = 64
	busyRetry       = 2 * time.Second
)

// bulkhead bounds how many requests wait for the upstream's answer. A slot is held until the header of the response is
// there: who reads a long answer slowly holds none. What finds no slot waits for a moment, and is then refused, so
// that an upstream that has stalled takes neither the memory nor the patience of everybody with it.
type bulkhead struct {
	next     http.RoundTripper
	slots    chan struct{}
	queue    chan struct{}
	patience time.Duration
	uploads  chan struct{} // nil: bodies are always there
}

func newBulkhead(next http.RoundTripper, slots, queue int) *bulkhead {
	return &bulkhead{next: next, slots: make(chan struct{}, slots), queue: make(chan struct{}, queue), patience: forwardPatience}
}

// withUploads keeps all but n slots for requests whose body is there already: who sends slowly cannot take them all.
func (b *bulkhead) withUploads(n int) *bulkhead {
	b.uploads = make(chan struct{}, n)
	return b
}

// RoundTrip implements http.RoundTripper.
func (b *bulkhead) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.uploads != nil && exchangeOf(r).upload != nil {
		select {
		case b.uploads <- struct{}{}:
			defer func() { <-b.uploads }()
		default:
			return nil, upstreamBusy()
		}
	}
	if err := b.enter(r.Context()); err != nil {
		return nil, err
	}
	defer func() { <-b.slots }()
	return b.next.RoundTrip(r)
}

// enter takes a slot, and waits for one if there is room to wait.
func (b *bulkhead) enter(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case b.queue <- struct{}{}:
		defer func() { <-b.queue }()
	default:
		return upstreamBusy()
	}
	patience := time.NewTimer(b.patience)
	defer patience.Stop()
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return upstreamBusy()
	}
}

// upstreamBusy: too many requests wait for the authorization server already.
func upstreamBusy() error {
	busy := oauth.TemporarilyUnavailable("the authorization server is busy")
	busy.RetryAfter = busyRetry
	return unavailable(busy)
}
