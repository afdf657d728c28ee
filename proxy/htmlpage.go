package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"pargate/rewrite"
)

const (
	maxPageBytes = 1 << 20         // of a page that is read
	pagePatience = 3 * time.Second // for a page of unknown length to come to its end
)

// htmlPage is a page of the upstream's that was read before anything of it goes out.
type htmlPage struct {
	text    []byte
	changed bool
	forms   []rewrite.Form
	broken  error // how it ended before its end; nil: it did not
}

// readPage reads the page, if it is one that has to be looked at: for a browser in a flow, and where every client must push
// for any browser at a protected path. One that is too long, or does not come to its end, stays what it is.
func (r *reply) readPage() error {
	if !r.mustReadPage() {
		return nil
	}
	if err := r.decompress(); err != nil {
		return err
	}
	read, rest, err := gather(r.Body, r.ContentLength, r.hasResponseForm)
	if rest != nil {
		r.server.Log.Warn("a page is too long or too slow to be looked at, and passes as it is", zap.String("request_id", r.x.id),
			zap.String("path", clip(r.x.path, 256)), zap.Int("read", len(read)))
		r.Body = readCloser{io.MultiReader(bytes.NewReader(read), rest), rest}
		return nil
	}
	r.page = &htmlPage{text: read, broken: err}
	if !isUTF16(read) {
		r.page.forms = rewrite.Forms(read)
	}
	return nil
}

// mustReadPage reports whether the response is a page that has to be looked at.
func (r *reply) mustReadPage() bool {
	isRedirect := r.StatusCode >= 300 && r.StatusCode < 400 && r.Header.Get("Location") != ""
	isEmpty := r.Request.Method == http.MethodHead || r.StatusCode == http.StatusNoContent || r.StatusCode == http.StatusNotModified || r.ContentLength == 0
	return r.server.readsPages(r.x) && !isRedirect && !isEmpty && isPage(r.Header)
}

// readsPages reports whether a page in answer to this request is looked at: of a browser in a flow; and where every client
// must push, for a response that belongs to none, at a protected path and of a browser whose flow has ended.
func (s *Server) readsPages(x *exchange) bool {
	if x.endpoints == nil {
		return false
	}
	return len(x.liveCookies()) > 0 || s.PARRequired && (x.place.protected() || len(x.flows) > 0)
}

// askReadable asks the upstream for something that can be read, if it is a page. What the browser does not show as one may
// be compressed, in the one way that can be undone: should it be a page all the same, it is read.
func askReadable(r *http.Request) {
	accepted := "identity"
	if isAsset(r) && strings.Contains(strings.ToLower(r.Header.Get("Accept-Encoding")), "gzip") {
		accepted = "gzip"
	}
	r.Header["Accept-Encoding"] = []string{accepted}
	if !isAsset(r) {
		r.Header.Del("Range")
		r.Header.Del("If-Range")
	}
}

// isPage reports whether a response is one that browsers show as HTML, in a charset in which ASCII is ASCII. One without
// a type is a page if it looks like one.
func isPage(h http.Header) bool {
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return true
	}
	mediaType, params, _ := mime.ParseMediaType(contentType) // of a broken parameter the type is kept
	return (mediaType == "text/html" || mediaType == "application/xhtml+xml") && isASCIICompatible(params["charset"])
}

// isUTF16 reports whether a page begins with the mark of an encoding in which ASCII is not ASCII, which counts more than
// what its type says.
func isUTF16(page []byte) bool {
	return bytes.HasPrefix(page, []byte("\xff\xfe")) || bytes.HasPrefix(page, []byte("\xfe\xff"))
}

// isAsset reports whether the browser loads something that it does not show as a page.
func isAsset(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame", "embed", "object", "empty", "fencedframe":
		return false
	}
	return true
}

// decompress undoes a compression that was not asked for: no page passes unread.
func (r *reply) decompress() error {
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			return badGateway(http.StatusBadGateway, errors.New("the page is not the gzip that it says it is"))
		}
		r.Body = readCloser{body, r.Body}
		r.ContentLength = -1
		r.Header.Del("Content-Length")
		r.Header.Del("Content-Encoding")
		dropDigests(r.Header)
		return nil
	default:
		return badGateway(http.StatusBadGateway, fmt.Errorf("the page is compressed (%s), which was not asked for", clip(encoding, 32)))
	}
}

// sendPage puts the page back into the response, with whatever was changed.
func (r *reply) sendPage() error {
	if r.page == nil {
		return nil
	}
	text := io.Reader(bytes.NewReader(r.page.text))
	if r.page.broken != nil {
		text = io.MultiReader(text, brokenReader{r.page.broken})
	}
	r.Body = readCloser{text, r.Body}
	if !r.page.changed {
		return nil
	}
	dropDigests(r.Header)
	r.Header.Del("Content-Length")
	if r.ContentLength = int64(len(r.page.text)); r.page.broken != nil {
		r.ContentLength = -1
	}
	return nil
}

// dropDigests removes what was said about bytes that are no longer sent.
func dropDigests(h http.Header) {
	for _, name := range []string{"Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		h.Del(name)
	}
}

// readCloser reads from one and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

// brokenReader ends a body as the upstream's ended.
type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// gather reads a body to its end, and what broke it off if something did. Of one that is longer than maxPageBytes, or
// whose length is not known and that is not at its end after pagePatience, the rest is left; unless isAwaited reports
// that what has come must be seen to its end.
func gather(body io.ReadCloser, length int64, isAwaited func([]byte) bool) (read []byte, rest io.ReadCloser, broken error) {
	if length > maxPageBytes {
		return nil, body, nil
	}
	if length >= 0 {
		read, broken = io.ReadAll(body)
		return read, nil, broken
	}
	stream := newStream(body)
	patience := time.NewTimer(pagePatience)
	defer patience.Stop()
	for len(read) <= maxPageBytes {
		select {
		case chunk := <-stream.chunks:
			read = append(read, chunk.bytes...)
			switch {
			case chunk.err == io.EOF:
				return read, nil, nil
			case chunk.err != nil:
				return read, nil, chunk.err
			}
		case <-patience.C:
			if !isAwaited(read) {
				return read, stream, nil
			}
			patience.Reset(pagePatience)
		}
	}
	return read, stream, nil
}
