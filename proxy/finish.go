package proxy

import (
	"errors"

	"go.uber.org/zap"

	"pargate/pushstore"
)

// finish ends the flow: this response passes, a second one does not.
func (r *reply) finish() error {
	if r.response == nil || r.response.flow == nil {
		return nil
	}
	flow := r.response.flow
	won, err := r.server.Store.Finish(detached(r.Request), flow.Flow, r.response.id)
	log := r.server.Log.With(zap.String("request_id", r.x.id), zap.String("flow", pushstore.Digest(flow.Reference)),
		zap.String("client_id", clip(flow.Party.ClientID, 128)))
	switch {
	case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken):
		return deadLink(err) // it ended while the upstream was answering
	case err != nil:
		return r.withhold(err)
	case !won:
		log.Warn("a second authorization response was withheld")
		return deadLink(errors.New("the flow already had its authorization response"))
	}
	log.Info("authorization response passed", zap.Bool("error", r.response.Error))
	r.Header.Add("Set-Cookie", r.x.jar.finish(flow.cookie))
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
