package proxy

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// answer is what the upstream made of one query.
type answer struct {
	status int
	marks  [4]string // status, Content-Type, Location, title
	none   string    // why there is none
}

func newAnswer(res *http.Response) answer {
	a := answer{status: res.StatusCode}
	kind, params, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if charset := strings.ToLower(params["charset"]); charset != "" {
		kind += "; charset=" + charset
	}
	location := res.Header.Get("Location")
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		location = location[:i]
	}
	a.marks = [...]string{strconv.Itoa(res.StatusCode), kind, location, ""}
	if a.status < 400 {
		return a
	}
	// A page may end early, as its connection does: what has come of it counts.
	page, _ := io.ReadAll(io.LimitReader(res.Body, measureReadBytes))
	if title := titlePattern.FindSubmatch(page); title != nil {
		a.marks[3] = strings.TrimSpace(string(title[1]))
	}
	return a
}

// String describes the answer in a few words. They are printed on a terminal.
func (a answer) String() string {
	text := a.none
	if text == "" {
		text = a.marks[0]
		if a.marks[2] != "" {
			text += " to " + a.marks[2]
		} else if a.marks[1] != "" {
			text += " " + a.marks[1]
		}
	}
	return forTerminal(text, 100)
}

// forTerminal is a text of the upstream's, of n bytes at most, in which nothing commands a terminal.
func forTerminal(text string, n int) string {
	return clip(strings.Trim(strconv.QuoteToASCII(text), `"`), n)
}

// refusesLength reports whether the answer says that the request is too long (RFC 9110 §15.5.14, §15.5.15, RFC 6585 §5).
func (a answer) refusesLength() bool {
	return slices.Contains([]int{http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}, a.status)
}

// isTelling reports whether the answer, given to every length, shows that all were taken: that the endpoint itself has
// answered. An authorization endpoint that misses client_id redirects, shows a page or says 400.
func (a answer) isTelling() bool {
	return a.status < 500 && a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed
}

func whyNoAnswer(err error) string {
	var network *net.OpError
	switch {
	case isTimeout(err):
		return "no answer in time"
	case errors.As(err, &network) && network.Op != "dial", errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection is closed without an answer"
	}
	return kindOf(err).Error()
}
