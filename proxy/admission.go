package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pargate/proxy/oauth"
)

// How many requests are served at once, whatever they wait for. One takes some tens of KiB. The first is more than
// there are connections, so that with one request on each there is room; it bounds what HTTP/2 makes of them.
const (
	maxRequests      = 20_000
	maxRequestsOfOne = 1024 // of one network
	admissionRetry   = 5 * time.Second
)

// maxHeaderFields is how many names of header fields a request may have; browsers send some twenty.
const maxHeaderFields = 256

// admit takes the place of one request, before anything is done for it.
func (s *Server) admit(x *exchange) (leave func(), err error) {
	leave, denied := s.admission.Take(x.origin.client)
	if denied == Granted {
		return leave, nil
	}
	s.Metrics.RequestsRefused.Inc(denied.Crowd())
	crowded := oauth.TemporarilyUnavailable("too many requests at once").Because(fmt.Errorf("requests: %s", denied))
	crowded.RetryAfter = admissionRetry
	if denied == TooManyOfOne { // or it is a proxy, behind which there is everybody
		crowded.Setting = "TRUSTED_PROXIES"
	}
	return nil, unavailable(crowded)
}

// checkHead refuses a request that is not even looked at.
func (s *Server) checkHead(r *http.Request) error {
	switch {
	case !isToken(r.Method) || strings.Contains(r.RequestURI, " "):
		return oauth.InvalidRequest("the method or the address is none of HTTP")
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace || r.Method == "PRI": // the last begins an HTTP/2 that nobody has agreed on
		return methodNotSupported("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	case len(r.Header) > maxHeaderFields:
		return &oauth.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Code: oauth.CodeInvalidRequest,
			Description: fmt.Sprintf("more than %d header fields", maxHeaderFields)}
	case !namesHopsOnly(r.Header):
		return oauth.InvalidRequest("the Connection header names a field that is not about the connection")
	case r.Header.Get(hopHeader) == s.hop:
		return loopDetected()
	}
	return nil
}

// isToken reports whether text is a token (RFC 9110 §5.6.2), as every method is. Of HTTP/2 net/http takes others, too.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// aboutTheConnection are the options that a Connection header may have (RFC 9110 §7.6.1): those that exist, and the
// fields that proxies and clients in use list there.
var aboutTheConnection = []string{"close", "keep-alive", "upgrade", "te", "trailer", "trailers", "transfer-encoding", "http2-settings",
	"proxy-connection", "proxy-authenticate", "proxy-authorization"}

// namesHopsOnly reports whether the Connection header leaves all other fields alone. To list a field there is to have it
// dropped on the way: the upstream would decide without what the gateway has decided by.
func namesHopsOnly(h http.Header) bool {
	for _, value := range h["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			option = strings.ToLower(strings.TrimSpace(option))
			if option != "" && !slices.Contains(aboutTheConnection, option) {
				return false
			}
		}
	}
	return true
}
