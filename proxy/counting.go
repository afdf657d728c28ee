package proxy

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
)

// countExchange counts a request that has been served; status zero: without an answer.
func (s *Server) countExchange(r *http.Request, x *exchange, status int, took time.Duration) {
	route, code := x.place.route(), metrics.CodeOf(status)
	s.Metrics.Requests.Inc(route, metrics.MethodOf(r.Method), code)
	s.Metrics.RequestTimes.Observe(route, code, took)
	if x.outcome != metrics.NoAuthorization {
		s.Metrics.Authorizations.Inc(x.outcome)
	}
}

// route is what a place is called in the metrics.
func (p place) route() metrics.Route {
	switch p {
	case atPush:
		return metrics.RoutePush
	case atAuthorize:
		return metrics.RouteAuthorize
	case nearMiss, below:
		return metrics.RouteBelow
	case atExempt:
		return metrics.RouteToken
	case atOIDC, atOAuth:
		return metrics.RouteMetadata
	}
	return metrics.RouteOther
}

// notePassing notes what is passed on without a flow. presented is the reference that it has.
func (s *Server) notePassing(r *http.Request, ref presented) {
	switch x := exchangeOf(r); {
	case ref.found():
		x.outcome = metrics.PassedNative
	case s.startsUnpushed(r, x):
		x.outcome = metrics.PassedUnpushed
	}
}

// startsUnpushed reports whether a request starts an authorization that was not pushed: on a protected path by its query or
// form, elsewhere by a whole request in its query, as PAR_REQUIRED would refuse it.
func (s *Server) startsUnpushed(r *http.Request, x *exchange) bool {
	switch {
	case x.endpoints == nil || x.place == atExempt:
		return false
	case x.place.protected():
		query := r.URL.RawQuery + hiddenQuery(x.path)
		return startsAuthorization(x.place, query, x.form) != nil && !s.hasReference(x, query, x.form)
	}
	// In its own spelling: this is to find honest clients, and costs those who do something else nothing.
	return strings.Contains(r.URL.RawQuery, oauth.ParamClientID+"=") && startsAuthorization(x.place, r.URL.RawQuery, "") != nil
}

// noteRefusal notes why an authorization request is refused. One that has gone upstream already is not.
func (x *exchange) noteRefusal(err error) {
	var told *refusal
	switch {
	case x.outcome != metrics.NoAuthorization:
	case errors.As(err, &told) && told.outcome != metrics.AuthorizeRefused:
		x.outcome = told.outcome
	case x.authorizes && isStoreError(err):
		x.outcome = metrics.StoreError
	case x.authorizes:
		x.outcome = metrics.AuthorizeRefused
	}
}

// pushOutcome is what a push that ended with err counts as.
func pushOutcome(r *http.Request, err error) metrics.Push {
	switch {
	case err == nil:
		return metrics.PushCreated
	case wentAway(r, err):
		return metrics.PushAborted
	}
	told := asOAuth(err)
	switch {
	case errors.Is(err, pushstore.ErrFull):
		return metrics.PushStoreFull
	case isStoreError(err):
		return metrics.PushStoreError
	case errors.Is(err, errWouldRefuse):
		return metrics.PushRefusedByDryRun
	case told.Code == oauth.CodeInvalidClient:
		return metrics.PushInvalidClient
	case told.Code == oauth.CodeInvalidDPoPProof:
		return metrics.PushInvalidProof
	case told.Status == http.StatusRequestEntityTooLarge:
		return metrics.PushTooLarge
	case told.Status == http.StatusTooManyRequests:
		return metrics.PushRateLimited
	case told.Status == http.StatusServiceUnavailable:
		return metrics.PushUnavailable
	case told.Status >= 500:
		return metrics.PushServerError
	}
	return metrics.PushInvalidRequest
}

// crowds are the metrics' words for why there is no share.
var crowds = map[Denied]metrics.Crowd{TooManyInAll: metrics.CrowdInAll, TooManyOfOne: metrics.CrowdFromOne}

// Crowd is d in the metrics. Granted has none.
func (d Denied) Crowd() metrics.Crowd { return crowds[d] }

// readings says where the metrics read what is only known when they are asked.
func (s *Server) readings(forward, probes *bulkhead) {
	m := s.Metrics
	m.ReadRequests(s.admission.Taken)
	m.ReadClients(s.Clients.Len)
	m.ReadStore(s.Store.Ping)
	m.ReadSlots(metrics.SlotForward, func() int { return len(forward.slots) }, cap(forward.slots))
	m.ReadSlots(metrics.SlotUpload, forward.uploads.Taken, forward.uploads.Total)
	m.ReadSlots(metrics.SlotProbe, func() int { return len(probes.slots) }, cap(probes.slots))
	m.ReadSlots(metrics.SlotResponse, forward.streams.Taken, forward.streams.Total)
}
