package proxy

import (
	"net/http"
	"strconv"
	"strings"
)

// metadata serves the upstream's metadata with the push endpoint in it (RFC 8414 §3.2). It is public: any origin may
// read it, and it is not kept longer than it is held here, so that a change back is soon seen.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) error {
	x := exchangeOf(r)
	doc := x.endpoints.oidc
	if x.place == atOAuth {
		doc = x.endpoints.oauth
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return s.pass(w, r) // a preflight, say
	}
	defer s.answerAtOnce(w, r)()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("ETag", doc.etag)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.Contains(r.Header.Get("If-None-Match"), doc.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(doc.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		w.Write(doc.body)
	}
	return nil
}
