package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	formType     = "application/x-www-form-urlencoded"
	maxFormBytes = 64 << 10 // of a form on a protected path
)

// formProblem says why a request's body cannot be judged as a form.
type formProblem int

const (
	noProblem formProblem = iota
	notAForm
	tooLong
)

// readForm returns the body of a request to a protected path when it is a form of bearable size, and leaves the
// request with the same body to be sent on. Any other body is left unread, or what was read is put back.
func readForm(r *http.Request) ([]byte, error) {
	x := exchangeOf(r)
	if x.bodyRead || !hasBody(r) {
		return x.body, nil
	}
	if judgeForm(r) != noProblem {
		return nil, nil
	}
	x.bodyRead = true
	body, err := io.ReadAll(io.LimitReader(r.Body, maxFormBytes+1))
	if err != nil {
		return nil, errIncomplete(err)
	}
	if len(body) > maxFormBytes {
		r.Body = &rejoined{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		x.bodyTooLong = true
		return nil, nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	x.body = body
	return body, nil
}

type rejoined struct {
	io.Reader
	io.Closer
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// judgeForm reports what, before it is read, keeps a body from being judged: another media type, a charset in which
// ASCII is not ASCII, a content encoding, or its length.
func judgeForm(r *http.Request) formProblem {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 || len(r.Header.Values("Content-Encoding")) > 0 {
		return notAForm
	}
	mediaType, params, err := mime.ParseMediaType(types[0])
	if err != nil || mediaType != formType || !isASCIICompatible(params["charset"]) {
		return notAForm
	}
	if r.ContentLength > maxFormBytes {
		return tooLong
	}
	return noProblem
}

func isASCIICompatible(charset string) bool {
	charset = strings.ToLower(charset)
	switch charset {
	case "", "utf-8", "utf8", "us-ascii":
		return true
	}
	return strings.HasPrefix(charset, "iso-8859-") || strings.HasPrefix(charset, "windows-125")
}
