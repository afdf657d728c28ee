package oauth

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Error codes (RFC 6749 §4.1.2.1 and §5.2, RFC 8707 §2, RFC 9101 §7, RFC 9396 §5, RFC 9449 §5).
const (
	CodeInvalidAuthorizationDetails = "invalid_authorization_details"
	CodeInvalidClient               = "invalid_client"
	CodeInvalidDPoPProof            = "invalid_dpop_proof"
	CodeInvalidRequest              = "invalid_request"
	CodeInvalidRequestObject        = "invalid_request_object"
	CodeInvalidRequestURI           = "invalid_request_uri"
	CodeInvalidScope                = "invalid_scope"
	CodeInvalidTarget               = "invalid_target"
	CodeRequestNotSupported         = "request_not_supported"
	CodeServerError                 = "server_error"
	CodeTemporarilyUnavailable      = "temporarily_unavailable"
	CodeUnauthorizedClient          = "unauthorized_client"
	CodeUnsupportedResponseType     = "unsupported_response_type"
)

// Error is an error as it is told to a client. Description is for the client's developer: plain ASCII without
// quotation mark and backslash (RFC 6749 §5.2), and never a text that the client has sent.
type Error struct {
	Status      int    // HTTP status
	Code        string // the RFC's error code
	Description string
	RetryAfter  time.Duration // zero: no Retry-After
	Header      http.Header   // further response headers; nil: none
	Setting     string        // for the log alone: what the operator would change for another outcome; empty: nothing
	cause       error         // for the log alone
}

// Error returns code and description, and the cause where there is one. It is a text for the log.
func (e *Error) Error() string {
	text := e.Code + ": " + e.Description
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Because sets the cause, which is logged and never told.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// ChangedBy names what the operator would change for another outcome, for the log: a setting, or a member of a client in
// CLIENTS_FILE.
func (e *Error) ChangedBy(setting string) *Error {
	e.Setting = setting
	return e
}

func badRequest(code, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Description: description}
}

// InvalidRequest: the request is malformed, misses something or has it twice (RFC 6749 §5.2).
func InvalidRequest(description string) *Error { return badRequest(CodeInvalidRequest, description) }

// InvalidRequestURI: a request_uri that opens nothing. Unknown, expired, used and foreign ones are all told so.
func InvalidRequestURI() *Error {
	return badRequest(CodeInvalidRequestURI, "the request_uri is unknown, expired or already used")
}

// InvalidScope: more than the client may ask for.
func InvalidScope(description string) *Error { return badRequest(CodeInvalidScope, description) }

// InvalidTarget: a resource that is none (RFC 8707 §2).
func InvalidTarget(description string) *Error { return badRequest(CodeInvalidTarget, description) }

// InvalidAuthorizationDetails: broken authorization_details (RFC 9396 §5).
func InvalidAuthorizationDetails(description string) *Error {
	return badRequest(CodeInvalidAuthorizationDetails, description)
}

// InvalidDPoPProof: a DPoP proof that proves nothing, or is for another key than the request (RFC 9449 §5, §10.1).
func InvalidDPoPProof(description string) *Error {
	return badRequest(CodeInvalidDPoPProof, description)
}

// UnsupportedResponseType: a response_type that does not exist.
func UnsupportedResponseType(description string) *Error {
	return badRequest(CodeUnsupportedResponseType, description)
}

// UnauthorizedClient: a response_type that this client may not use.
func UnauthorizedClient(description string) *Error {
	return badRequest(CodeUnauthorizedClient, description)
}

// InvalidRequestObject: a request object that is malformed, not the client's, or for another time or place (RFC 9101 §7).
func InvalidRequestObject(description string) *Error {
	return badRequest(CodeInvalidRequestObject, description)
}

// RequestNotSupported: request objects of this client are not opened here (RFC 9101 §7).
func RequestNotSupported() *Error {
	return badRequest(CodeRequestNotSupported,
		"request objects are opened here for clients alone whose jwks or jwks_uri is registered at the gateway; push the parameters themselves")
}

// InvalidClient: client authentication failed (RFC 6749 §5.2). challenge says that the Authorization header was
// used, and that the answer therefore names the scheme (RFC 9110 §15.5.2).
func InvalidClient(description string, challenge bool) *Error {
	e := &Error{Status: http.StatusUnauthorized, Code: CodeInvalidClient, Description: description}
	if challenge {
		return e.Challenging()
	}
	return e
}

// Challenging returns e naming the scheme with which a client can authenticate (RFC 9110 §11.6.1).
func (e *Error) Challenging() *Error {
	e.Header = http.Header{"Www-Authenticate": {`Basic realm="pushed authorization requests", charset="UTF-8"`}}
	return e
}

// MethodNotAllowed: only POST pushes (RFC 9126 §2.3).
func MethodNotAllowed() *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: CodeInvalidRequest,
		Description: "push with POST", Header: http.Header{"Allow": {http.MethodPost}}}
}

// TooLarge: more than limit allows (RFC 9126 §2.3).
func TooLarge(description string) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: CodeInvalidRequest, Description: description}
}

// UnsupportedMediaType: not a form.
func UnsupportedMediaType(description string) *Error {
	return &Error{Status: http.StatusUnsupportedMediaType, Code: CodeInvalidRequest, Description: description}
}

// TooManyRequests: slow down (RFC 9126 §2.3).
func TooManyRequests(retryAfter time.Duration) *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: CodeTemporarilyUnavailable,
		Description: "too many pushes from this client", RetryAfter: retryAfter}
}

// TemporarilyUnavailable: something behind the gateway does not answer; the request itself may be right.
func TemporarilyUnavailable(description string) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeTemporarilyUnavailable,
		Description: description, RetryAfter: 2 * time.Second}
}

// ServerError: a mistake of the gateway's own.
func ServerError() *Error {
	return &Error{Status: http.StatusInternalServerError, Code: CodeServerError, Description: "internal error"}
}

// WriteHead sets the headers that every answer of the gateway's own carries when it tells e.
func (e *Error) WriteHead(h http.Header) {
	for name, values := range e.Header {
		h[name] = values
	}
	if e.RetryAfter > 0 {
		seconds := int((e.RetryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	NoStore(h)
}

// MarshalJSON returns the error's wire form (RFC 6749 §5.2).
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Description})
}

// NoStore forbids every cache to keep the answer (RFC 6749 §5.1, RFC 9126 §2.2).
func NoStore(h http.Header) {
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
}
