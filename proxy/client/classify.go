package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pargate/proxy/oauth"
)

// verdict is what an answer of the upstream says about the credentials that were presented. The zero value says
// nothing, and authenticates nobody.
type verdict int

const (
	cannotTell verdict = iota
	refused
	candidate // as a client is answered; whether only clients are, the controls show
)

// codeInvalidGrant is what a client is told whose code nobody was given (RFC 6749 §5.2).
const codeInvalidGrant = "invalid_grant"

// answer is what counts of the upstream's answer to a probe.
type answer struct {
	status     int           // zero: there was no answer
	failure    error         // why there was none; nil: there was one
	code       string        // error of a JSON object, whatever the answer's type; empty: there is none
	isJSON     bool          // a JSON object, and said to be one
	isPage     bool          // something for a person to read
	inactive   bool          // a JSON object with "active": false (RFC 7662 §2.2)
	retryAfter time.Duration // zero: not said
}

// readAnswer takes an answer apart. What it does not understand it leaves out.
func readAnswer(status int, header http.Header, body []byte, now time.Time) answer {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	a := answer{status: status, retryAfter: readRetryAfter(header.Get("Retry-After"), now)}
	a.isPage = bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) ||
		len(body) > 0 && (mediaType == "text/html" || mediaType == "application/xhtml+xml")
	var object map[string]json.RawMessage // not a struct, whose fields would match in any case
	if json.Unmarshal(body, &object) != nil || object == nil {
		return a
	}
	a.isJSON = mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
	if json.Unmarshal(object["error"], &a.code) != nil {
		a.code = ""
	}
	a.inactive = string(object["active"]) == "false"
	return a
}

// verdict classifies the answer to p. accept are the codes that say as much as invalid_grant.
func (a answer) verdict(p probe, accept []string) verdict {
	switch {
	case a.code == oauth.CodeInvalidClient: // whatever the status: 400, 401 and 403 are in use
		return refused
	case p.atToken() && a.isJSON && (a.code == codeInvalidGrant || slices.Contains(accept, a.code)) &&
		(a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized || a.status == http.StatusForbidden):
		return candidate
	case a.status == http.StatusUnauthorized:
		return refused
	case a.status != http.StatusOK || a.code != "":
		return cannotTell
	case p == revocationProbe && !a.isPage: // RFC 7009 §2.2: an unknown token is no error
		return candidate
	case p == introspectionProbe && a.isJSON && a.inactive:
		return candidate
	}
	return cannotTell
}

// trouble reports whether the upstream, and not the credentials, is the reason that the answer says nothing.
func (a answer) trouble() bool {
	return a.status == 0 || a.status >= 500 || a.status == http.StatusTooManyRequests
}

// isRefusal reports whether the answer is an OAuth error that a client is told who has done something wrong. A page of
// a firewall that has had enough of us is none, whatever its status.
func (a answer) isRefusal() bool {
	return a.isJSON && a.code != "" && a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests
}

var plainCode = regexp.MustCompile(`^[\w.-]{1,40}$`)

// String describes the answer for the log, without a text of the upstream's that may repeat what it was sent.
func (a answer) String() string {
	switch {
	case a.failure != nil:
		return a.failure.Error()
	case plainCode.MatchString(a.code):
		return fmt.Sprintf("%d %s", a.status, a.code)
	case a.code != "":
		return fmt.Sprintf("%d, an unusual error code", a.status)
	case a.inactive:
		return fmt.Sprintf("%d, not active", a.status)
	case a.isPage:
		return fmt.Sprintf("%d, a page", a.status)
	}
	return fmt.Sprintf("%d without an error code", a.status)
}

// maxRetryAfter bounds what an upstream may tell clients to wait.
const maxRetryAfter = time.Hour

// readRetryAfter reads a Retry-After header (RFC 9110 §10.2.3).
func readRetryAfter(value string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
