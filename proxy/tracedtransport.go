package proxy

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The spans of what the gateway asks others.
const (
	spanUpstream = "upstream" // a request that is forwarded, until the header of the response is there
	spanProbe    = "probe"    // a question of the gateway's own: about a client, or whether a request would be taken
	spanDocument = "fetch metadata"
	spanKeySet   = "fetch key set"
)

// tracedTransport makes a span of every request that it sends.
type tracedTransport struct {
	next   http.RoundTripper
	tracer trace.Tracer
	name   string
	server string // the upstream's host, which is told whose trace its request belongs to; empty: another's, which is not
}

// traced returns the transport to the upstream with spans, or as it is when there are none.
func (o *Options) traced(next http.RoundTripper, name string) http.RoundTripper {
	if o.Tracer == nil {
		return next
	}
	return tracedTransport{next, o.Tracer, name, o.Issuer.UpstreamURL.Hostname()}
}

// tracedKeySets makes spans of what is asked of clients' own servers. They are told nothing of them. Nil: there are none.
func (o *Options) tracedKeySets() func(http.RoundTripper) http.RoundTripper {
	if o.Tracer == nil {
		return nil
	}
	return func(next http.RoundTripper) http.RoundTripper { return tracedTransport{next, o.Tracer, spanKeySet, ""} }
}

// RoundTrip implements http.RoundTripper.
func (t tracedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.Start(r.Context(), t.name, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	out := r.WithContext(ctx)
	if t.server != "" {
		out.Header = r.Header.Clone()
		t.tell(ctx, out.Header)
	}
	res, err := t.next.RoundTrip(out)
	if err == nil {
		res.Request = r // whatever the response leads to belongs to the request's own span
	}
	if span.IsRecording() {
		t.describe(span, r, res, err)
	}
	return res, err
}

// tell names the span to the upstream, in place of what the client's headers say of a trace. Baggage of theirs goes with it
// only where a trusted proxy has looked at it.
func (t tracedTransport) tell(ctx context.Context, h http.Header) {
	h.Del("Traceparent")
	h.Del("Tracestate")
	if !exchangeIn(ctx).origin.trusted {
		h.Del("Baggage")
	}
	propagator.Inject(ctx, propagation.HeaderCarrier(h))
}

// describe says what came of it. A refusal is no failure: to a probe it is the answer that was hoped for.
func (t tracedTransport) describe(span trace.Span, r *http.Request, res *http.Response, err error) {
	span.SetAttributes(attrMethod.String(knownMethod(r.Method)))
	if t.server != "" {
		span.SetAttributes(attrServer.String(t.server))
	}
	if err != nil {
		span.SetAttributes(attrError.String(troubleOf(err)))
		span.SetStatus(codes.Error, "")
		return
	}
	span.SetAttributes(attrStatus.Int(res.StatusCode))
	if res.StatusCode >= 500 {
		span.SetStatus(codes.Error, "")
	}
}

// troubleOf says in a word why there is no answer. The error's own text may repeat what was sent.
func troubleOf(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isTimeout(err):
		return "timeout"
	}
	return "no answer"
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t tracedTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
