package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"pargate/proxy/oauth"
)

// handler answers a request or returns an error, in which case nothing has been written yet.
type handler func(http.ResponseWriter, *http.Request) error

// json serves programs: errors are JSON (RFC 6749 §5.2).
func (s *Server) json(w http.ResponseWriter, r *http.Request, h handler) {
	switch err := h(w, r); {
	case wentAway(r, err):
		s.abandon(r)
	case err != nil:
		s.logRefusal(r, err)
		defer s.answerAtOnce(w, r)()
		writeJSON(w, asOAuth(err))
	}
}

// wentAway reports whether err means only that the client has gone away while something was asked for it: nobody has failed
// then.
func wentAway(r *http.Request, err error) bool {
	return err != nil && asOAuth(err).Status > http.StatusInternalServerError && errors.Is(r.Context().Err(), context.Canceled)
}

// abandon ends a request for whose answer nobody waits.
func (s *Server) abandon(r *http.Request) {
	s.Log.Debug("client went away", zap.Inline(exchangeOf(r)))
	panic(http.ErrAbortHandler)
}

// maxDiscarded is how much of a request is thrown away that comes after its answer, in bytes.
const maxDiscarded = 256 << 10

// answerAtOnce lets an answer of the gateway's own go out before the rest of the request has come in: net/http would
// wait for it. What it returns is to be called behind the answer. The connection ends then, and what still comes is
// thrown away first, since a client that is cut off while it sends does not get to read the answer.
func (s *Server) answerAtOnce(w http.ResponseWriter, r *http.Request) (afterwards func()) {
	if x := exchangeOf(r); x.bodyless || x.bodyArrived || r.ProtoMajor != 1 {
		return func() {}
	}
	limitReading(w, r, s.BodyTimeout)
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // where that cannot be, the answer only comes later
	w.Header().Set("Connection", "close")
	return func() {
		if control.Flush() == nil && r.Header.Get("Expect") == "" { // who waits for a word before sending sends nothing
			io.CopyN(io.Discard, r.Body, maxDiscarded) // as far as it goes
		}
	}
}

// page serves people: errors are a page, or JSON where that is asked for.
func (s *Server) page(w http.ResponseWriter, r *http.Request, h handler) {
	switch err := h(w, r); {
	case wentAway(r, err):
		s.abandon(r)
	case err != nil:
		exchangeOf(r).noteRefusal(err)
		s.writePage(w, r, err)
	}
}

func (s *Server) writePage(w http.ResponseWriter, r *http.Request, err error) {
	s.logRefusal(r, err)
	defer s.answerAtOnce(w, r)()
	if wantsJSON(r) {
		writeJSON(w, asOAuth(err))
		return
	}
	var told *refusal
	if !errors.As(err, &told) {
		told = plainRefusal(asOAuth(err))
	}
	writeRefusal(w, exchangeOf(r).id, languageFor(r, languages), told)
}

func writeJSON(w http.ResponseWriter, err *oauth.Error) {
	body, _ := json.Marshal(err) // two strings
	err.WriteHead(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(err.Status)
	w.Write(body)
}

// asOAuth returns what is told of err. An error that is not made for telling is a mistake of ours.
func asOAuth(err error) *oauth.Error {
	var told *oauth.Error
	if errors.As(err, &told) {
		return told
	}
	return oauth.ServerError().Because(err)
}

// logRefusal logs an answer that is an error, with the reason that is not told.
func (s *Server) logRefusal(r *http.Request, err error) {
	x, told := exchangeOf(r), asOAuth(err)
	level := zap.InfoLevel
	if told.Status >= 500 {
		level = zap.WarnLevel
	}
	x.told = told.Code
	fields := []zap.Field{zap.Inline(x), zap.String("path", loggedPath(x.path)),
		zap.Int("status", told.Status), zap.String("reason", clip(err.Error(), 512))}
	if told.Setting != "" {
		fields = append(fields, zap.String("setting", told.Setting))
	}
	s.Log.Log(level, "refused", fields...)
}

// changedBy names in an error what the operator would change for another outcome, as oauth.Error.ChangedBy does.
func changedBy(setting string, err error) error {
	asOAuth(err).Setting = setting
	return err
}

// itIs says what a request has, for the log. It is for values that are no secrets and come from a small vocabulary in
// honest requests.
func itIs(value string) error { return fmt.Errorf("it is %q", clip(value, 64)) }

// itIsOfType says the media type of a request, without its parameters, for the log.
func itIsOfType(h http.Header) error {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return itIs(mediaType)
}

func methodNotSupported(allowed string) error {
	return &oauth.Error{Status: http.StatusMethodNotAllowed, Code: oauth.CodeInvalidRequest,
		Description: "the method is not supported", Header: http.Header{"Allow": {allowed}}}
}

func loopDetected() error {
	return &oauth.Error{Status: http.StatusLoopDetected, Code: oauth.CodeServerError, Description: "UPSTREAM_URL leads back to this gateway", Setting: "UPSTREAM_URL"}
}

func bodyTooLarge(limit int64) *oauth.Error {
	return oauth.TooLarge(fmt.Sprintf("the body has more than %d bytes", limit))
}

func bodyIncomplete(cause error) error {
	return oauth.InvalidRequest("the body could not be read").Because(cause)
}
