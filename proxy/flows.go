package proxy

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// openFlow is a flow of this browser, with the cookie that says so.
type openFlow struct {
	pushstore.Flow
	cookie flowCookie
	pushed rewrite.Pushed // the pushed request; empty when the flow is finished
}

func (s *Server) openFlow(flow pushstore.Flow, cookie flowCookie) *openFlow {
	return &openFlow{Flow: flow, cookie: cookie, pushed: s.vocabulary.Pushed(flow.Request.Query)}
}

// difference is what the continuation that led to the flow adds to it.
func (f *openFlow) difference() rewrite.Difference { return rewrite.ParseDifference(f.Difference) }

// newVocabulary tells package rewrite what the parameters' names mean.
func newVocabulary(resume map[string]bool) *rewrite.Vocabulary {
	return &rewrite.Vocabulary{
		Fold:            oauth.Fold,
		IsAuthorization: oauth.IsAuthorizationRequestName,
		IsOwn:           oauth.IsOwnName,
		IsResume:        func(name string) bool { return resume[name] },
		IsReference:     hasURIPrefix,
	}
}

// flowOf returns the flow that a cookie of the browser's stands for; nil when it has ended, or is another browser's
// after all. The store is asked once per request.
func (s *Server) flowOf(r *http.Request, cookie flowCookie) (*openFlow, error) {
	x := exchangeOf(r)
	if flow, known := x.known[cookie.name]; known {
		return flow, nil
	}
	party := pushstore.Party{Issuer: x.endpoints.issuer, ClientID: cookie.clientID}
	flow, err := s.Store.Flow(detached(r), party, cookie.reference, cookie.owner())
	switch {
	case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken),
		err == nil && flow.Reference != cookie.reference: // a continuation has no cookie of its own
		if errors.Is(err, pushstore.ErrNotFound) && !cookie.finished {
			s.Metrics.Flows.Inc(metrics.FlowGone)
		}
		x.remember(cookie, nil)
		return nil, nil
	case err != nil:
		return nil, err
	}
	found := s.openFlow(flow, cookie)
	x.remember(cookie, found)
	return found, nil
}

func (x *exchange) remember(cookie flowCookie, flow *openFlow) {
	if x.known == nil {
		x.known = map[string]*openFlow{}
	}
	x.known[cookie.name] = flow
}

// identify returns the live flow of this browser that pairs, a query or form or both, name; nil when they name none. It
// has their client_id, and of several the one that is most like them, then the newest. Where the client need not push,
// nothing may differ: a client with a constant state would be bound to the wrong request.
//
// A browser without a live flow of that client costs no store operation.
func (s *Server) identify(r *http.Request, pairs []rewrite.Pair) (best *openFlow, err error) {
	equal := 0
	for _, cookie := range newestFirst(exchangeOf(r).liveCookies()) {
		if !hasClient(pairs, cookie.clientID) {
			continue
		}
		flow, err := s.flowOf(r, cookie)
		if err != nil {
			return nil, err
		}
		if flow == nil || flow.Finished {
			continue
		}
		likeness := flow.pushed.Compare(slices.Values(pairs))
		if likeness.Equal > equal && (likeness.Exact || s.requiresPush(cookie.clientID)) {
			best, equal = flow, likeness.Equal
		}
	}
	return best, nil
}

// newestFirst sorts cookies by their minute; of one minute those that stand behind are newer (RFC 6265 §5.4).
func newestFirst(cookies []flowCookie) []flowCookie {
	sorted := slices.Clone(cookies)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, func(a, b flowCookie) int { return cmp.Compare(b.minute, a.minute) })
	return sorted
}

func hasClient(pairs []rewrite.Pair, id string) bool {
	return slices.ContainsFunc(pairs, func(pair rewrite.Pair) bool {
		return pair.Value == id && oauth.Fold(pair.Name) == oauth.ParamClientID
	})
}

// requiresPush reports whether the client's requests must be pushed, or signed.
func (s *Server) requiresPush(clientID string) bool {
	c := s.Clients.Lookup(clientID)
	return s.PARRequired || c != nil && c.RefusesPlain()
}

// continuation returns the flow of this browser that a continuation leads to, with its difference; nil when ref is
// none, or none of this browser's.
func (s *Server) continuation(r *http.Request, short shortRequest) (*openFlow, error) {
	x := exchangeOf(r)
	party := pushstore.Party{Issuer: x.endpoints.issuer, ClientID: short.clientID}
	for _, cookie := range newestFirst(x.liveCookies()) {
		if cookie.clientID != short.clientID {
			continue
		}
		flow, err := s.Store.Flow(r.Context(), party, short.ref, cookie.owner())
		switch {
		case errors.Is(err, pushstore.ErrNotFound), errors.Is(err, pushstore.ErrTaken):
		case err != nil:
			return nil, storeTrouble(err, x.shortURL(short))
		case flow.Reference == cookie.reference && short.ref != cookie.reference:
			found := s.openFlow(flow, cookie)
			x.remember(cookie, found)
			return found, nil
		}
	}
	return nil, nil
}
