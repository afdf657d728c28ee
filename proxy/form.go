package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"pargate/proxy/oauth"
)

const (
	formType     = "application/x-www-form-urlencoded"
	maxFormBytes = 64 << 10 // of a form on a protected path
	maxLoginForm = 1 << 20  // of one on another path, in a flow: a response of a brokered login may be large
)

// formState is what is known of a request's body on a protected path, or in a flow.
type formState int

const (
	formUnread    formState = iota // nobody has looked yet
	formAbsent                     // there is no body
	formRead                       // it is a form, and in exchange.form
	formTooLong                    // longer than formLimit; what was read is put back
	formNotJudged                  // something else: another media type, charset or a content encoding
)

// readForm looks at the body of a request to a protected path or in a flow, and leaves the request with the same body to be sent
// on. Only a form of bearable size is read.
func readForm(r *http.Request) error {
	x := exchangeOf(r)
	if x.formState != formUnread {
		return nil
	}
	switch {
	case !hasBody(r):
		x.formState = formAbsent
	case !isForm(r.Header):
		return x.judgeOther(r)
	case r.ContentLength > x.formLimit():
		x.formState = formTooLong
	default:
		return x.readForm(r)
	}
	return nil
}

// formLimit is how long a form may be that is read, in bytes.
func (x *exchange) formLimit() int64 {
	if x.place.protected() {
		return maxFormBytes
	}
	return maxLoginForm
}

func (x *exchange) readForm(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, x.formLimit()+1))
	if err != nil {
		return bodyIncomplete(err)
	}
	if int64(len(body)) > x.formLimit() {
		x.formState = formTooLong
		putBack(r, body)
		return nil
	}
	x.formState, x.form, x.bodyArrived = formRead, string(body), true
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	return nil
}

// judgeOther finds out whether a body of unknown length, which cannot be judged as a form, is one at all.
func (x *exchange) judgeOther(r *http.Request) error {
	x.formState = formNotJudged
	if r.ContentLength >= 0 {
		return nil
	}
	first := make([]byte, 1)
	switch n, err := io.ReadFull(r.Body, first); {
	case n == 1:
		putBack(r, first)
	case err == io.EOF:
		x.formState, x.bodyArrived = formAbsent, true
		r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	default:
		return bodyIncomplete(err)
	}
	return nil
}

// putBack gives a body back what was read of it.
func putBack(r *http.Request, read []byte) {
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), r.Body), r.Body}
}

// hasBody reports whether a request has a body, or may have one of unknown length. In HTTP/2 net/http gives it one that is
// not http.NoBody also where there is none.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// isForm reports whether a body can be judged as a form: one media type, a charset in which ASCII is ASCII, and no
// content encoding.
func isForm(h http.Header) bool {
	types := h.Values("Content-Type")
	if len(types) != 1 || !isPlain(h) {
		return false
	}
	mediaType, params, err := mime.ParseMediaType(types[0])
	return err == nil && mediaType == formType && isASCIICompatible(params["charset"])
}

// hasReadableCharset reports whether every charset that the headers name is one in which ASCII is ASCII; none is.
func hasReadableCharset(h http.Header) bool {
	return !slices.ContainsFunc(h.Values("Content-Type"), func(value string) bool {
		_, params, err := mime.ParseMediaType(value)
		return err != nil && strings.Contains(strings.ToLower(value), "charset") || !isASCIICompatible(params["charset"])
	})
}

// isPlain reports whether a body has no content encoding.
func isPlain(h http.Header) bool {
	return !slices.ContainsFunc(h["Content-Encoding"], func(value string) bool { return !strings.EqualFold(strings.TrimSpace(value), "identity") })
}

// mediaTypeOf returns what a body is, whatever else its type says.
func mediaTypeOf(h http.Header) string {
	name := strings.TrimLeft(h.Get("Content-Type"), " \t")
	if i := strings.IndexAny(name, ";, \t"); i >= 0 { // PHP ends it at each of these
		name = name[:i]
	}
	return strings.ToLower(name)
}

// peekNames returns the names of authorization requests in the beginning of a multipart form, which goes on as it came.
func peekNames(r *http.Request) (map[string]bool, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLoginForm))
	if err != nil {
		return nil, bodyIncomplete(err)
	}
	putBack(r, body)
	names := map[string]bool{}
	for _, found := range fieldName.FindAllSubmatch(body, -1) {
		if name := oauth.Fold(string(found[1])); oauth.IsAuthorizationRequestName(name) {
			names[name] = true
		}
	}
	return names, nil
}

// fieldName finds the name in the head of a part (RFC 7578 §4.2).
var fieldName = regexp.MustCompile(`(?i)[;\s]name="?([^";\r\n]+)`)

// asciiCompatible begin the names of charsets whose bytes below 128 are those of ASCII, so that a form's "&", "=" and
// parameter names are what they seem.
var asciiCompatible = []string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-", "windows-125", "windows-874",
	"koi8-", "macintosh", "gbk", "gb2312", "gb18030", "big5", "euc-", "shift_jis", "shift-jis", "tis-620"}

func isASCIICompatible(charset string) bool {
	charset = strings.ToLower(charset)
	return charset == "" || hasPrefixOf(charset, asciiCompatible)
}
