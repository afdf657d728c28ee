package proxy

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of the gateway's own. The others are those of the semantic conventions for HTTP. Each value is one of a
// few, a number, or made here: nothing that a client or a browser has written stands in a span.
const (
	attrRequestID = attribute.Key("pargate.request_id")
	attrFlow      = attribute.Key("pargate.flow")
	attrClientID  = attribute.Key("pargate.client_id") // of a client that is registered or was authenticated
	attrOutcome   = attribute.Key("pargate.outcome")   // the error code that was told, outcomeOK or outcomeAborted
	attrResult    = attribute.Key("pargate.store.result")

	attrMethod = attribute.Key("http.request.method")
	attrStatus = attribute.Key("http.response.status_code")
	attrPath   = attribute.Key("url.path")
	attrError  = attribute.Key("error.type")
	attrServer = attribute.Key("server.address")
)

const (
	outcomeOK      = "ok"      // nothing was refused
	outcomeAborted = "aborted" // the client has gone away, or the response broke off
)

// propagator reads and writes traceparent and tracestate (W3C Trace Context).
var propagator propagation.TraceContext

// startSpan begins the span of a request. It belongs to the trace that a trusted proxy names; what anybody else says of a
// trace is hearsay, and a new one begins.
func (s *Server) startSpan(ctx context.Context, r *http.Request, x *exchange) context.Context {
	if x.origin.trusted && len(r.Header["Traceparent"]) == 1 {
		ctx = propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	attributes := []attribute.KeyValue{attrMethod.String(knownMethod(r.Method))}
	if x.place.exact() { // of any other the path is the upstream's, and may hold what opens somebody's session
		attributes = append(attributes, attrPath.String(loggedPath(x.path)))
	}
	ctx, x.span = s.Tracer.Start(ctx, x.place.spanName(), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	return ctx
}

// endSpan ends the span of a request that has been served. No status: nothing was answered.
func (x *exchange) endSpan(status int) {
	defer x.span.End()
	if !x.span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{attrRequestID.String(x.id)}
	if x.flowID != "" {
		attributes = append(attributes, attrFlow.String(x.flowID))
	}
	if x.clientID != "" {
		attributes = append(attributes, attrClientID.String(clip(x.clientID, 128)))
	}
	outcome := outcomeOK
	switch {
	case x.told != "":
		outcome = x.told
	case !x.whole:
		outcome = outcomeAborted
	}
	attributes = append(attributes, attrOutcome.String(outcome))
	if status != 0 {
		attributes = append(attributes, attrStatus.Int(status))
	}
	x.span.SetAttributes(attributes...)
	if status >= 500 {
		x.span.SetStatus(codes.Error, "")
	}
}

// exact reports whether the place has one path, which the metadata or the settings name.
func (p place) exact() bool {
	return p == atPush || p == atAuthorize || p == atExempt || p == atOIDC || p == atOAuth
}

// spanName names the place as the span of its requests.
func (p place) spanName() string {
	switch p {
	case atPush:
		return "push"
	case atAuthorize:
		return "authorize"
	case nearMiss, below:
		return "below"
	case atExempt:
		return "token"
	case atOIDC, atOAuth:
		return "metadata"
	}
	return "other"
}

var knownMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// knownMethod returns the method, or what the semantic conventions have for one that anybody may have made up.
func knownMethod(method string) string {
	if slices.Contains(knownMethods, method) {
		return method
	}
	return "_OTHER"
}
