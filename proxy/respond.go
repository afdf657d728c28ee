package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"pargate/proxy/oauth"
)

// handler answers a request or returns an error, in which case nothing has been written yet.
type handler func(http.ResponseWriter, *http.Request) error

// json serves programs: errors are JSON (RFC 6749 §5.2).
func (s *Server) json(w http.ResponseWriter, r *http.Request, h handler) {
	if err := h(w, r); err != nil {
		s.logRefusal(r, err)
		answerAtOnce(w, r)
		writeJSON(w, asOAuth(err))
	}
}

// answerAtOnce lets a refusal go out before the rest of the request has come in: net/http would wait for it. The
// connection ends with the answer, and what still comes is thrown away so that the client gets to read it.
func answerAtOnce(w http.ResponseWriter, r *http.Request) {
	if hasBody(r) && !exchangeOf(r).bodyArrived && r.ProtoMajor == 1 {
		_ = http.NewResponseController(w).EnableFullDuplex() // where that cannot be, the answer only comes later
		w.Header().Set("Connection", "close")
	}
}

// page serves people: errors are a page, or JSON where that is asked for.
func (s *Server) page(w http.ResponseWriter, r *http.Request, h handler) {
	if err := h(w, r); err != nil {
		s.writePage(w, r, err)
	}
}

func (s *Server) writePage(w http.ResponseWriter, r *http.Request, err error) {
	s.logRefusal(r, err)
	answerAtOnce(w, r)
	if wantsJSON(r) {
		writeJSON(w, asOAuth(err))
		return
	}
	var told *refusal
	if !errors.As(err, &told) {
		told = plainRefusal(asOAuth(err))
	}
	writeRefusal(w, exchangeOf(r).id, told)
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
	s.Log.Log(level, "refused", zap.String("request_id", x.id), zap.String("path", clip(x.path, 256)),
		zap.Int("status", told.Status), zap.String("reason", clip(err.Error(), 512)))
}

func methodNotSupported(allowed string) error {
	return &oauth.Error{Status: http.StatusMethodNotAllowed, Code: oauth.CodeInvalidRequest,
		Description: "the method is not supported", Header: http.Header{"Allow": {allowed}}}
}

func loopDetected() error {
	return &oauth.Error{Status: http.StatusLoopDetected, Code: oauth.CodeServerError, Description: "UPSTREAM_URL leads back to this gateway"}
}

func bodyTooLarge(limit int64) error {
	return oauth.TooLarge(fmt.Sprintf("the body has more than %d bytes", limit))
}

func bodyIncomplete(cause error) error {
	return oauth.InvalidRequest("the body could not be read").Because(cause)
}
