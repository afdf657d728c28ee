package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// bodyTap remembers a form that streams upstream, up to a size. Whether the browser's request holds a parameter of an
// authorization request decides how far changes are believed that the upstream's answer makes to one.
type bodyTap struct {
	io.ReadCloser
	length int64 // of the body; -1: not known

	mu    sync.Mutex
	seen  []byte
	ended bool
}

// tapForm taps the form of a request that was not read, from a browser in a flow.
func (s *Server) tapForm(r *http.Request) {
	x := exchangeOf(r)
	if x.endpoints == nil || x.formState != formUnread || !hasBody(r) || !isForm(r.Header) || len(x.liveCookies()) == 0 {
		return
	}
	x.tap = &bodyTap{ReadCloser: r.Body, length: r.ContentLength}
	r.Body = x.tap
}

// Read implements io.Reader.
func (t *bodyTap) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.seen) <= maxFormBytes {
		t.seen = append(t.seen, b[:n]...)
	}
	if err == io.EOF {
		t.ended = true
	}
	return n, err
}

// text returns the form, and whether that is all of it.
func (t *bodyTap) text() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	complete := t.ended || int64(len(t.seen)) == t.length
	return string(t.seen), complete && len(t.seen) <= maxFormBytes
}

// mentionsRequest reports whether path, query, form or Referer of the browser's request hold a parameter of an
// authorization request, but for references of ours. Cookies may be the upstream's memory of the request itself. A body that is not known might hold anything.
func (s *Server) mentionsRequest(x *exchange, referer string) bool {
	form, known := x.form, x.bodyless || x.formState == formRead || x.formState == formAbsent
	if x.tap != nil {
		form, known = x.tap.text()
	}
	if !known {
		return true
	}
	return slices.ContainsFunc([]string{x.path, x.rawQuery, form, referer}, s.vocabulary.Mentions)
}

// valuesOf returns the values in Cookie headers. The names are the upstream's choice, and many call one state or nonce.
func valuesOf(cookies []string) (values []string) {
	for _, line := range cookies {
		for pair := range strings.SplitSeq(line, ";") {
			if _, value, found := strings.Cut(pair, "="); found {
				values = append(values, value)
			}
		}
	}
	return values
}
