package proxy

import (
	"errors"
	"net/http"
	"strings"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
)

// marker says that a request is the second one of a first visit. It is constant, so there is nothing to steal.
const marker = "pargate=1"

// bounce answers a browser's first visit with its cookie and a redirect to the same request (303, so that a form
// becomes a GET). The reference is claimed by the second request, which has the cookie: so previews, mail scanners
// and prefetches, which keep none, burn nothing.
func (s *Server) bounce(w http.ResponseWriter, r *http.Request, short shortRequest, found presented) error {
	x := exchangeOf(r)
	_, hasCookie := x.cookieOf(short)
	again := x.shortURL(short)
	switch {
	case !isNavigation(r):
		return deadLink(errors.New("not a navigation"))
	case r.Method != http.MethodGet && !found.body:
		return deadLink(errors.New("a form was posted to the reference by a browser without its cookie"))
	case !found.body && hasMarker(r.URL.RawQuery):
		return needsCookies(again)
	}
	party := pushstore.Party{Issuer: x.endpoints.issuer, ClientID: short.clientID}
	state, err := s.Store.Look(r.Context(), party, short.ref)
	switch {
	case err != nil:
		return storeTrouble(err, again)
	case hasCookie:
		// It is this browser's, or will be found not to be.
	case state == pushstore.Absent:
		return changedBy("PAR_TTL", deadLink(errors.New("the reference is unknown or expired")))
	case state != pushstore.Pending:
		return deadLink(errors.New("the reference is " + stateNames[state]))
	case x.wouldEvict(r):
		return deadLink(errFrameEvicts)
	default:
		for range x.evictions() {
			s.Metrics.Flows.Inc(metrics.FlowEvicted)
		}
		for _, line := range x.jar.evict(x.flows) {
			w.Header().Add("Set-Cookie", line)
		}
		w.Header().Add("Set-Cookie", x.jar.set(x.jar.mint(short.ref, short.clientID)))
	}
	x.outcome = metrics.Bounced
	oauth.NoStore(w.Header())
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", again+"&"+marker)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// evictions is how many live flows end for one more.
func (x *exchange) evictions() int {
	live := 0
	for _, c := range x.flows {
		if !c.finished {
			live++
		}
	}
	return min(max(0, live-maxLiveFlows+1), maxEvicted)
}

// wouldEvict reports whether the request is a frame's, for which another flow would have to end: other people's pages have
// frames, and end no login with them.
func (x *exchange) wouldEvict(r *http.Request) bool {
	return isFrame(r) && len(x.liveCookies()) == maxLiveFlows
}

var errFrameEvicts = errors.New("a frame, and the browser has all the flows that it may have")

var stateNames = map[pushstore.State]string{
	pushstore.Taken: "another browser's", pushstore.Finished: "used",
	pushstore.Continuation: "a continuation of a flow of another browser",
}

func hasMarker(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		if pair == marker {
			return true
		}
	}
	return false
}
