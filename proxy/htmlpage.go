package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"pargate/rewrite"
)

// htmlPage is a page of the upstream's that was read before anything of it goes out.
type htmlPage struct {
	raw     []byte // as it came
	text    []byte // the same without its compression
	changed bool   // text is not what came
	sealed  bool   // text is not all of raw, and cannot take its place
	forms   []rewrite.Form

	refreshes []rewrite.Refresh
	broken    error         // how it ended before its end; nil: it did not
	rest      io.ReadCloser // what was not read of one that is too long or too slow, and passes as it is; nil: there is none
}

// readPage reads the page, if it is one that has to be looked at. Of one that is too long, or does not come to its end,
// only the beginning is.
func (r *reply) readPage() error {
	if !r.mustReadPage() {
		return nil
	}
	if r.StatusCode == http.StatusPartialContent {
		return badGateway(http.StatusBadGateway, errors.New("a part of a page, which was not asked for"))
	}
	raw, rest, err := gather(r.Body, r.ContentLength, r.hasResponseForm)
	r.page = &htmlPage{raw: raw, broken: err, rest: rest}
	if rest != nil {
		r.Body = rest // which whoever closes the body must end
		r.server.Log.Warn("a page is too long or too slow to be looked at as a whole", zap.Inline(r.x),
			zap.String("path", loggedPath(r.x.path)), zap.Int("read", len(raw)))
	}
	if r.page.text, err = r.decompress(raw); err != nil {
		return err
	}
	if !isUTF16(r.page.text) {
		r.page.forms, r.page.refreshes = rewrite.Forms(r.page.text), rewrite.Refreshes(r.page.text)
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
// must push of any browser, since a response with a code belongs to none.
func (s *Server) readsPages(x *exchange) bool {
	return x.endpoints != nil && (len(x.liveCookies()) > 0 || s.PARRequired)
}

// askReadable asks the upstream for something that can be read, if it is a page: in a flow for one that can be changed as
// well. What the browser does not show as a page is left to it.
func (x *exchange) askReadable(r *http.Request) {
	if isAsset(r) {
		return
	}
	inFlow := len(x.liveCookies()) > 0
	accepted := "identity"
	if !inFlow && acceptsGzip(r.Header) {
		accepted = "gzip"
	}
	r.Header["Accept-Encoding"] = []string{accepted}
	if inFlow || x.place.protected() {
		r.Header.Del("Range")
		r.Header.Del("If-Range")
	}
}

// acceptsGzip reports whether gzip is among the encodings that a browser takes (RFC 9110 §12.5.3).
func acceptsGzip(h http.Header) bool {
	for encoding := range strings.SplitSeq(strings.ToLower(strings.Join(h["Accept-Encoding"], ",")), ",") {
		name, weight, _ := strings.Cut(encoding, ";")
		if strings.TrimSpace(name) == "gzip" {
			weight = strings.TrimPrefix(strings.TrimSpace(weight), "q=")
			return strings.Trim(weight, "0.") != "" || weight == ""
		}
	}
	return false
}

// isPage reports whether a response is one that browsers show as HTML, in a charset in which ASCII is ASCII. One without
// a type, or with one that is none, is a page if it looks like one to them.
func isPage(h http.Header) bool {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && mediaType == "" {
		return true
	}
	return (mediaType == "text/html" || mediaType == "application/xhtml+xml") && !slices.Contains(otherThanASCII, strings.ToLower(strings.TrimSpace(params["charset"])))
}

// otherThanASCII are the names of charsets to browsers in which the bytes of a tag are not those of ASCII: UTF-16's, and
// those that they do not show at all (WHATWG Encoding §4.2).
var otherThanASCII = []string{"utf-16", "utf-16le", "utf-16be", "unicode", "unicodefeff", "unicodefffe", "csunicode", "ucs-2", "iso-10646-ucs-2",
	"replacement", "csiso2022kr", "hz-gb-2312", "iso-2022-cn", "iso-2022-cn-ext", "iso-2022-kr"}

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

// decompress returns a page without its compression: none passes unread. One that cannot be undone was not asked for.
func (r *reply) decompress(raw []byte) ([]byte, error) {
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header["Content-Encoding"], ",")))
	switch encoding {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		if len(raw) == 0 {
			return raw, nil
		}
		plain, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, badGateway(http.StatusBadGateway, errors.New("the page is not the gzip that it says it is"))
		}
		text, err := io.ReadAll(io.LimitReader(plain, maxPageBytes+1))
		if len(text) > maxPageBytes || err != nil || r.page.rest != nil { // it is not the whole page, and cannot be changed
			r.page.sealed = true
		}
		return text, nil
	}
	if isAsset(r.Request) && r.StatusCode >= http.StatusBadRequest {
		return nil, nil // what a browser gets in place of a picture, which it does not show
	}
	return nil, badGateway(http.StatusBadGateway, fmt.Errorf("the page is compressed (%s), which was not asked for", clip(encoding, 32)))
}

// sendPage puts the page back into the response, with whatever was changed.
func (r *reply) sendPage() error {
	if r.page == nil {
		return nil
	}
	text := r.page.raw
	if r.page.changed {
		if r.page.sealed {
			return badGateway(http.StatusBadGateway, errors.New("a compressed page, which was not asked for, is too long to be changed"))
		}
		text = r.page.text
		dropDigests(r.Header)
		r.Header.Del("Content-Length")
		r.Header.Del("Content-Encoding")
		if r.ContentLength = int64(len(text)); r.page.broken != nil || r.page.rest != nil {
			r.ContentLength = -1
		}
	}
	body := io.Reader(bytes.NewReader(text))
	switch {
	case r.page.rest != nil:
		r.Body = readCloser{io.MultiReader(body, r.page.rest), r.page.rest}
		return nil
	case r.page.broken != nil:
		body = io.MultiReader(body, brokenReader{r.page.broken})
	}
	r.Body = readCloser{body, r.Body}
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
