package proxy

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// refusal is an error as a person is told it. Of what the request says, only the link has anything in it.
type refusal struct {
	told     *oauth.Error // what a program is told
	page     pageName
	link     string // where to go on; empty: nowhere
	linkText linkName
	outcome  metrics.Authorize // what an authorization request that gets it counts as; zero: as refused, if it is one
}

func (r *refusal) Error() string { return r.told.Error() }

// Unwrap returns what a program is told.
func (r *refusal) Unwrap() error { return r.told }

// deadLink: the reference opens nothing for this browser. Unknown, expired, used and foreign are told alike.
func deadLink(cause error) *refusal {
	return &refusal{told: oauth.InvalidRequestURI().Because(cause), page: pageDeadLink, outcome: metrics.UnknownOrUsed}
}

// usedLink is for the browser that has finished its own flow; back leads to the application, if that is known.
func usedLink(back string) *refusal {
	return &refusal{told: oauth.InvalidRequestURI(), page: pageUsedLink, outcome: metrics.UsedByOwner, link: back, linkText: linkBack}
}

// needsCookies: a browser that has not kept the cookie of its first visit.
func needsCookies(again string) *refusal {
	return &refusal{told: oauth.InvalidRequest("the browser did not return the gateway's cookie"), page: pageNeedsCookies, outcome: metrics.CookieMissing,
		link: again, linkText: linkTryAgain}
}

// malformed: an authorization request that is none.
func malformed(err *oauth.Error) *refusal {
	return &refusal{told: err, page: pageMalformed, outcome: metrics.Malformed}
}

// notPushed: a plain authorization request where pushed ones are required (RFC 9126 §4).
func notPushed(reason error) *refusal {
	return &refusal{told: oauth.InvalidRequest("authorization requests must be pushed first (RFC 9126)").Because(reason), page: pageNotPushed, outcome: metrics.RefusedUnpushed}
}

// unavailable: something behind the gateway does not answer. The same address may work a little later.
func unavailable(err *oauth.Error) *refusal {
	return &refusal{told: err, page: pageUnavailable}
}

// badGateway: the authorization server cannot be reached, or does not answer in time.
func badGateway(status int, cause error) *refusal {
	return unavailable((&oauth.Error{Status: status, Code: oauth.CodeTemporarilyUnavailable,
		Description: "the authorization server does not answer"}).Because(cause))
}

// leadingTo returns the page with a link that tries the same again.
func (r *refusal) leadingTo(link string) *refusal {
	r.link, r.linkText = link, linkTryAgain
	return r
}

func plainRefusal(err *oauth.Error) *refusal {
	if err.Status >= 500 {
		return unavailable(err)
	}
	return &refusal{told: err, page: pageRefused}
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// pagePolicy lets the page load nothing but its own style, which it names by digest.
var pagePolicy = "default-src 'none'; style-src '" + digestOfStyle(pageText) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func digestOfStyle(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// writeRefusal writes the page in the language. reference is what its reader can give to support.
func writeRefusal(w http.ResponseWriter, reference string, l *language, r *refusal) {
	var b bytes.Buffer
	pageTemplate.Execute(&b, map[string]any{ // a buffer does not fail
		"Words": l, "Page": l.Pages[r.page], "Link": r.link, "LinkText": l.Links[r.linkText], "Code": r.told.Code, "Reference": reference,
	})
	r.told.WriteHead(w.Header())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", l.Tag)
	addVary(h, "Accept-Language")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(r.told.Status)
	w.Write(b.Bytes())
}

// addVary says that the response depends on the field of the request (RFC 9110 §12.5.5), unless that is said already.
func addVary(h http.Header, field string) {
	for name := range strings.SplitSeq(strings.Join(h["Vary"], ","), ",") {
		if name = strings.Trim(name, " \t"); name == "*" || strings.EqualFold(name, field) {
			return
		}
	}
	h.Add("Vary", field)
}

// wantsJSON reports whether the request asks for JSON rather than for a page. Who calls a token endpoint is a program.
func wantsJSON(r *http.Request) bool {
	accept := strings.ToLower(r.Header.Get("Accept"))
	if strings.Contains(accept, "text/html") {
		return false
	}
	return strings.Contains(accept, "application/json") || exchangeOf(r).place == atExempt
}
