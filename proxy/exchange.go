package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"regexp"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// exchange is what the gateway knows of one request while it is served. It stands in the request's context.
type exchange struct {
	id          string     // in the log, upstream, on the response and on pages
	endpoints   *endpoints // nil: not known yet
	place       place
	path        string // as in the request line
	origin      origin
	formState   formState
	form        string // of a request to a protected path or in a flow, once it was read
	bodyless    bool   // the request has no body
	redirectURI string // of a push
	bodyArrived bool   // all of the body is here, or none will come

	authorizes bool              // it is an authorization request, whatever comes of it
	outcome    metrics.Authorize // what has come of it; metrics.NoAuthorization: nothing yet, or it is none

	// for the forwarded request and its response
	jar      *cookieJar           // nil: not known yet
	flows    []flowCookie         // the browser's flows
	cookies  []string             // its other cookies
	known    map[string]*openFlow // by cookie: the flows that the store was asked for; nil: it has none of that cookie
	flow     *openFlow            // the flow that the request is bound to; nil: none
	out      *outgoing            // how it goes upstream then
	tap      *bodyTap             // of a form that streams through; nil: there is none
	upload   *upload              // a body that goes upstream while it arrives; nil: there is none, or all of it is here
	rawQuery string               // as in the request line

	// for the log and traces
	joined   pushstore.Reference // whose flowID it is
	flowID   string              // the flow that the request belongs to; empty: none, as far as is known
	clientID string              // of its client, which is registered or was authenticated; empty: not known
	told     string              // the error code with which the request was refused; empty: it was not
	span     trace.Span          // nil: there are no traces
	whole    bool                // all of the answer was written
}

// liveCookies returns the cookies of the browser's live flows, no more than it may have: a header can hold any
// number, and of too many the newest count.
func (x *exchange) liveCookies() []flowCookie {
	var live []flowCookie
	for _, c := range x.flows {
		if !c.finished {
			live = append(live, c)
		}
	}
	if len(live) <= maxLiveFlows {
		return live
	}
	slices.SortStableFunc(live, func(a, b flowCookie) int { return cmp.Compare(b.minute, a.minute) })
	// The flow of this very request is one of them.
	if x.flow != nil {
		own := slices.IndexFunc(live, func(c flowCookie) bool { return c.name == x.flow.cookie.name })
		live[0], live[own] = live[own], live[0]
	}
	return live[:maxLiveFlows]
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

// withExchange makes the exchange, gives the response its request id, drops the upstream's 1xx responses, and counts
// and logs the request when it has been served. No query is ever logged.
func (s *Server) withExchange(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{endpoints: s.upstream.known(), path: rawPath(r), rawQuery: r.URL.RawQuery, origin: s.proxies.locate(r), place: unknownPlace, bodyless: !hasBody(r),
			outcome: metrics.NoAuthorization}
		x.id = requestID(r, x.origin.trusted)
		s.tellOfProxy(r, x)
		if x.endpoints != nil {
			x.place = x.endpoints.places.classify(x.path)
			x.jar = s.cookieJarOf(x.endpoints)
			x.flows, x.cookies = x.jar.read(r.Header["Cookie"])
		} else {
			// Which cookies are ours depends on the public scheme, which is not known either.
			_, x.cookies = s.cookieJars["https"].read(r.Header["Cookie"])
			_, x.cookies = s.cookieJars["http"].read(x.cookies)
			if x.path == s.Issuer.guessPushPath() {
				x.place = atPush
			}
		}
		recorder := &recorder{ResponseWriter: w, id: x.id, patience: s.WriteTimeout, pausing: r.ProtoMajor > 1}
		start := s.Now()
		defer func() {
			took := s.Now().Sub(start)
			s.countExchange(r, x, recorder.status, took)
			s.logExchange(r, x, recorder, took)
		}()
		defer recorder.limitWriting() // what is left to write is written behind all this
		ctx := context.WithValue(r.Context(), exchangeKey{}, x)
		if s.Tracer != nil {
			ctx = s.startSpan(ctx, r, x)
			defer func() { x.endSpan(recorder.status) }()
		}
		next.ServeHTTP(recorder, r.WithContext(ctx)) // which panics where there is no answer, or not all of it
		x.whole = true
	})
}

// tellOfProxy says once that a proxy seems to stand in front which is not named: to the gateway all that comes through it is
// from one client, and the upstream sees its address for everybody's.
func (s *Server) tellOfProxy(r *http.Request, x *exchange) {
	if len(s.TrustedProxies) > 0 || s.TrustSockets || r.Header["X-Forwarded-For"] == nil {
		return
	}
	s.toldOfProxy.Do(func() {
		s.Log.Warn("requests come with X-Forwarded-For, and nobody is believed about that; if a proxy stands in front, name it",
			zap.String("setting", "TRUSTED_PROXIES"), zap.Stringer("from", x.origin))
	})
}

// logExchange writes one line per request; those that pass through are many, and written at debug.
func (s *Server) logExchange(r *http.Request, x *exchange, rec *recorder, took time.Duration) {
	level := zap.InfoLevel
	if x.place == elsewhere || x.place == atExempt {
		level = zap.DebugLevel
	}
	pushed := s.pushedFields(r, x)
	if len(pushed) > 0 {
		level = zap.InfoLevel
	}
	line := s.Log.Check(level, "request")
	if line == nil {
		return
	}
	fields := []zap.Field{zap.Inline(x), zap.String("method", clip(r.Method, 16)), zap.String("path", loggedPath(x.path)),
		zap.Int("status", rec.status), zap.Duration("took", took), zap.Stringer("client", x.origin)}
	if !x.whole {
		fields = append(fields, zap.Bool("aborted", true))
	}
	line.Write(append(fields, pushed...)...)
}

// loggedPath is a path as it may be logged: some servers put an address with its query into it.
func loggedPath(path string) string {
	if at := parametersInPath.FindStringIndex(path); at != nil {
		const cut = "..."
		return clip(path[:at[0]], 256-len(cut)) + cut
	}
	return clip(path, 256)
}

var parametersInPath = regexp.MustCompile(`(?s)[;=?]|%3|%25`)

func clip(s string, n int) string { return s[:min(len(s), n)] }

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID returns the id that a trusted proxy has given the request, or a new one.
func requestID(r *http.Request, trusted bool) string {
	if given := r.Header.Get("X-Request-Id"); trusted && requestIDPattern.MatchString(given) {
		return given
	}
	return rand.Text()[:16]
}

// recorder notes the status, and lets no 1xx response of the upstream through: those would carry headers that
// nobody has looked at. A client that does not read is cut off.
type recorder struct {
	http.ResponseWriter
	id       string
	status   int
	patience time.Duration // with a client that does not read
	pausing  bool          // the deadline of a write would count on behind it: HTTP/2 ends a stream then
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if status < 200 {
		return
	}
	if w.status == 0 {
		w.status = status
		h := w.Header()
		h["X-Request-Id"] = []string{w.id}
		if _, typed := h["Content-Type"]; !typed {
			h["Content-Type"] = nil // or net/http would guess one that the upstream has not sent
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.limitWriting()
	defer w.paused()
	return w.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController flushes with.
func (w *recorder) FlushError() error {
	w.limitWriting()
	defer w.paused()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// limitWriting gives what is written next its time.
func (w *recorder) limitWriting() {
	// Not every connection has deadlines; one that has none is bounded by what serves it.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.patience))
}

// paused takes the limit away until there is more to write, where it would count on.
func (w *recorder) paused() {
	if w.pausing {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Time{})
	}
}

// Unwrap is for http.ResponseController, which sets deadlines through it.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
