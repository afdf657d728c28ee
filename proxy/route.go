package proxy

import (
	"net/http"
	"time"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// ServeHTTP answers or forwards one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.withExchange(http.HandlerFunc(s.route)).ServeHTTP(w, r)
}

// route finds out what a request is. The order is the policy: what is ours is answered here, what carries a
// reference of ours in its query (on a protected path also in its form) goes upstream as its flow or not at all, and
// what is left must be allowed to pass.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	answer := s.page
	if x.place == atPush {
		answer = s.json
	}
	leave, err := s.admit(x)
	if err == nil {
		defer leave()
		err = s.checkHead(r)
	}
	if err != nil {
		answer(w, r, func(http.ResponseWriter, *http.Request) error { return err })
		return
	}
	limitReading(w, r, s.BodyTimeout)
	switch x.place {
	case atPush:
		if !s.allowScripts(w, r) {
			s.json(w, r, s.countedPush)
		}
	case atOIDC, atOAuth:
		s.page(w, r, s.metadata)
	default:
		s.page(w, r, s.pass)
	}
}

// pass serves what is neither the push endpoint nor a document.
func (s *Server) pass(w http.ResponseWriter, r *http.Request) error {
	x := exchangeOf(r)
	ref, err := s.findReference(r)
	if err != nil {
		return err
	}
	ours := ref.found() && !x.passesNatively(ref)
	x.authorizes = ref.found()
	switch {
	case r.Method == http.MethodHead && (ref.found() || x.endpoints != nil && x.place.protected()):
		defer s.answerAtOnce(w, r)()
		if ref.found() {
			x.outcome = metrics.HeadAnswered
		}
		return s.head(w)
	case x.endpoints == nil && (ref.found() || s.mustPush()):
		return unavailable(oauth.TemporarilyUnavailable("the authorization server is not known yet"))
	case ours:
		return s.byReference(w, r, ref)
	}
	bound, err := s.bindNamed(r)
	if err != nil {
		return err
	}
	if !bound {
		if signed, err := s.signedRequest(w, r); signed || err != nil {
			return err
		}
		if err := s.checkPushed(r); err != nil {
			return err
		}
		s.notePassing(r, ref)
	}
	s.tapForm(r)
	return s.forward(w, r)
}

// limitReading gives the rest of the request that long to arrive. Once it has, net/http takes the deadline away.
func limitReading(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if !hasBody(r) {
		return
	}
	// Not every connection has deadlines; one that has none is bounded by what serves it.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
}

// head answers without asking anybody: two servers in use issue a code to a HEAD.
func (s *Server) head(w http.ResponseWriter) error {
	oauth.NoStore(w.Header())
	w.WriteHeader(http.StatusOK)
	return nil
}
