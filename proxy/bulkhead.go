package proxy

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"time"

	"pargate/proxy/metrics"
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

// maxResponses bounds the responses of the upstream that are on their way. Each holds a connection, and so a descriptor,
// until it has been read, however slowly a client does that.
const maxResponses = 2048

// bulkhead bounds how many requests wait for the upstream's answer. A slot is held until the header of the response is
// there: who reads a long answer slowly holds none. What finds no slot waits for a moment, and is then refused, so
// that an upstream that has stalled takes neither the memory nor the patience of everybody with it.
type bulkhead struct {
	next     http.RoundTripper
	kind     metrics.Slot
	metrics  *metrics.Metrics
	slots    chan struct{}
	queue    chan struct{}
	patience time.Duration
	uploads  *Shares // of the slots, for bodies that have not arrived; nil: they are always there
	streams  *Shares // of the responses on their way; nil: they are short
}

func newBulkhead(next http.RoundTripper, kind metrics.Slot, slots, queue int, m *metrics.Metrics) *bulkhead {
	return &bulkhead{next: next, kind: kind, metrics: m, slots: make(chan struct{}, slots), queue: make(chan struct{}, queue), patience: forwardPatience}
}

// withUploads keeps all but most slots for requests whose body is there already: who sends slowly cannot take them all,
// and one network at most a quarter of the others'.
func (b *bulkhead) withUploads(most int, free []netip.Prefix) *bulkhead {
	b.uploads = &Shares{Total: most, Each: most / 4, Free: free}
	return b
}

// withStreams bounds the responses that are on their way, and gives one network at most a quarter.
func (b *bulkhead) withStreams(most int, free []netip.Prefix) *bulkhead {
	b.streams = &Shares{Total: most, Each: most / 4, Free: free}
	return b
}

// RoundTrip implements http.RoundTripper.
func (b *bulkhead) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.uploads != nil && exchangeOf(r).upload != nil {
		giveBack, denied := b.uploads.Take(exchangeOf(r).origin.client)
		if denied != Granted {
			return nil, b.busy(metrics.SlotUpload)
		}
		defer giveBack()
	}
	if err := b.enter(r.Context()); err != nil {
		return nil, err
	}
	defer func() { <-b.slots }()
	if b.streams == nil {
		return b.next.RoundTrip(r)
	}
	giveBack, denied := b.streams.Take(exchangeOf(r).origin.client)
	if denied != Granted {
		return nil, b.busy(metrics.SlotResponse)
	}
	res, err := b.next.RoundTrip(r)
	if err != nil {
		giveBack()
		return nil, err
	}
	if len(exchangeOf(r).flows) > 0 {
		res = withoutTrailer(res)
	}
	res.Body = &held{res.Body, giveBack}
	return res, nil
}

// withoutTrailer returns the response to a browser in a flow, without the fields behind its body, which nobody looks at. The
// transport writes them into its own response when it has read the body.
func withoutTrailer(res *http.Response) *http.Response {
	copied := *res
	copied.Trailer = nil
	copied.Header.Del("Trailer")
	return &copied
}

// held is the body of a response on its way.
type held struct {
	io.ReadCloser
	giveBack func()
}

// Close implements io.Closer.
func (h *held) Close() error {
	defer h.giveBack()
	return h.ReadCloser.Close()
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
		return b.busy(b.kind)
	}
	patience := time.NewTimer(b.patience)
	defer patience.Stop()
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return b.busy(b.kind)
	}
}

// busy counts a request for which there is no room.
func (b *bulkhead) busy(kind metrics.Slot) error {
	b.metrics.UpstreamRefused.Inc(kind)
	return upstreamBusy()
}

// upstreamBusy: too many requests wait for the authorization server already.
func upstreamBusy() error {
	busy := oauth.TemporarilyUnavailable("the authorization server is busy")
	busy.RetryAfter = busyRetry
	return unavailable(busy)
}
