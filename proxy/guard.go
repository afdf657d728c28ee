package proxy

import (
	"errors"

	"pargate/proxy/metrics"
)

// guard is a second line behind the policy on the way in: where every client must push, no code and no token leaves
// that belongs to no live flow of this browser. It also ends replays of an upstream's last hop.
func (r *reply) guard() error {
	if !r.server.PARRequired || r.response != nil && (r.response.flow != nil || r.response.several) {
		return nil
	}
	for _, sent := range r.sent {
		if sent.Grants && !sent.OnOrigin(r.x.endpoints.public) {
			r.server.Metrics.Responses.Inc(metrics.ResponseStray)
			return changedBy(r.server.whoRequires(), notPushed(errors.New("the upstream sent an authorization response that belongs to no live flow of this browser")))
		}
	}
	return nil
}
