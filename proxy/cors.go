package proxy

import (
	"net/http"
	"slices"
)

// allowScripts lets scripts of the origins in CORSOrigins read the push endpoint's answers, as applications that run in a
// browser need it, and answers the question that a browser asks first (Fetch, CORS protocol). It reports whether the
// request was that question. No cookie is ever asked for.
func (s *Server) allowScripts(w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(s.CORSOrigins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if len(r.Header["Origin"]) != 1 || !slices.Contains(s.CORSOrigins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", "DPoP-Nonce, Retry-After, WWW-Authenticate")
		return false
	}
	h.Set("Access-Control-Allow-Methods", http.MethodPost)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
