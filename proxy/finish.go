package proxy

import (
	"errors"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// finish ends the flow: this response passes, a second one does not.
func (r *reply) finish() error {
	switch {
	case r.response == nil:
		return nil
	case r.response.flow == nil:
		r.server.Metrics.Responses.Inc(metrics.ResponseUnassigned)
		return nil
	}
	flow := r.response.flow
	won, err := r.server.Store.Finish(detached(r.Request), flow.Flow, r.response.id)
	r.x.joinsFlow(flow) // it may be another tab's, and the response is what counts
	log := r.server.Log.With(zap.Inline(r.x), zap.String("client_id", clip(flow.Party.ClientID, 128)))
	switch {
	case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken):
		r.server.Metrics.Responses.Inc(metrics.ResponseTooLate)
		return deadLink(err) // it ended while the upstream was answering
	case err != nil:
		r.server.Metrics.Responses.Inc(metrics.ResponseStoreError)
		return r.withhold(err)
	case !won:
		r.server.Metrics.Responses.Inc(metrics.ResponseSecond)
		log.Warn("a second authorization response was withheld")
		return deadLink(errors.New("the flow already had its authorization response"))
	}
	r.server.Metrics.Flows.Inc(metrics.FlowFinished)
	log.Info("authorization response passed", zap.Bool("error", r.response.Error))
	r.Header.Add("Set-Cookie", r.x.jar.finish(flow.cookie))
	return nil
}

// countPassed counts a response of a flow's that nothing has withheld.
func (r *reply) countPassed() error {
	switch {
	case r.response == nil || r.response.flow == nil:
	case r.response.Error:
		r.server.Metrics.Responses.Inc(metrics.ResponseError)
	default:
		r.server.Metrics.Responses.Inc(metrics.ResponsePassed)
	}
	return nil
}

// withhold replaces a response that is safe only if the store knows of it. The page leads to the same request, as far as
// that can be told.
func (r *reply) withhold(cause error) error {
	switch {
	case r.response != nil && r.response.flow != nil:
		return storeTrouble(cause, r.x.retryURL(r.response.flow.cookie))
	case r.x.flow != nil:
		return storeTrouble(cause, r.x.retryURL(r.x.flow.cookie))
	case len(r.cookies) == 1:
		return storeTrouble(cause, r.x.retryURL(r.cookies[0]))
	}
	return storeTrouble(cause, "")
}
