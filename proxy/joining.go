package proxy

import (
	"go.uber.org/zap/zapcore"

	"pargate/pushstore"
)

// joins notes which flow the request belongs to. Its digest is the one name under which the push, the requests of the
// login and the authorization response stand in the log and in traces; of the reference itself it tells nothing. A
// reference that is not known, or no longer, has a digest too, so that a link that came too late is found.
func (x *exchange) joins(ref pushstore.Reference) {
	if x.joined != ref {
		x.joined, x.flowID = ref, pushstore.Digest(ref)
	}
}

// joinsFlow does so for a flow that is there, whose client is known.
func (x *exchange) joinsFlow(flow *openFlow) {
	x.joins(flow.Reference)
	x.clientID = flow.Party.ClientID
}

// MarshalLogObject adds what joins the lines about one request, and those about one flow. It implements
// zapcore.ObjectMarshaler, for zap.Inline.
func (x *exchange) MarshalLogObject(line zapcore.ObjectEncoder) error {
	return lineOf{x, x.flowID}.MarshalLogObject(line)
}

// lineOf is a line about another flow than the request's own.
type lineOf struct {
	x      *exchange
	flowID string // empty: about none
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (l lineOf) MarshalLogObject(line zapcore.ObjectEncoder) error {
	line.AddString("request_id", l.x.id)
	if l.flowID != "" {
		line.AddString("flow", l.flowID)
	}
	if l.x.span != nil {
		at := l.x.span.SpanContext()
		line.AddString("trace_id", at.TraceID().String())
		line.AddString("span_id", at.SpanID().String())
	}
	return nil
}
