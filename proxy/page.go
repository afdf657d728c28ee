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
	told        *oauth.Error // what a program is told
	title, text string
	link        string // where to go on; empty: nowhere
	linkText    string
	outcome     metrics.Authorize // what an authorization request that gets it counts as; zero: as refused, if it is one
}

func (r *refusal) Error() string { return r.told.Error() }

// Unwrap returns what a program is told.
func (r *refusal) Unwrap() error { return r.told }

const startAgain = " Go back to the application and choose to sign in again."

// deadLink: the reference opens nothing for this browser. Unknown, expired, used and foreign are told alike.
func deadLink(cause error) *refusal {
	return &refusal{told: oauth.InvalidRequestURI().Because(cause), title: "This sign-in link cannot be used", outcome: metrics.UnknownOrUsed,
		text: "Sign-in links work once, in one browser, and only for a short time." + startAgain}
}

// usedLink is for the browser that has finished its own flow; back leads to the application, if that is known.
func usedLink(back string) *refusal {
	return &refusal{told: oauth.InvalidRequestURI(), title: "This sign-in has ended", outcome: metrics.UsedByOwner,
		text: "The application already has the answer to this sign-in. Sign-in links work once.",
		link: back, linkText: "Back to the application"}
}

// needsCookies: a browser that has not kept the cookie of its first visit.
func needsCookies(again string) *refusal {
	return &refusal{told: oauth.InvalidRequest("the browser did not return the gateway's cookie"), title: "Cookies are needed to sign in", outcome: metrics.CookieMissing,
		text: "Your browser did not keep a cookie that this sign-in needs. Allow cookies for this site and try again.",
		link: again, linkText: "Try again"}
}

// malformed: an authorization request that is none.
func malformed(err *oauth.Error) *refusal {
	return &refusal{told: err, outcome: metrics.Malformed, title: "This sign-in link is damaged", text: "Something in its address is missing or twice." + startAgain}
}

// notPushed: a plain authorization request where pushed ones are required (RFC 9126 §4).
func notPushed(reason error) *refusal {
	return &refusal{told: oauth.InvalidRequest("authorization requests must be pushed first (RFC 9126)").Because(reason),
		title: "This sign-in did not start the way it must", outcome: metrics.RefusedUnpushed,
		text: "This service accepts only sign-ins that the application has announced beforehand." + startAgain}
}

// unavailable: something behind the gateway does not answer. The same address may work a little later.
func unavailable(err *oauth.Error) *refusal {
	return &refusal{told: err, title: "Sign-in is not available right now",
		text: "This is a passing problem. Wait a moment and load this page again."}
}

// badGateway: the authorization server cannot be reached, or does not answer in time.
func badGateway(status int, cause error) *refusal {
	return unavailable((&oauth.Error{Status: status, Code: oauth.CodeTemporarilyUnavailable,
		Description: "the authorization server does not answer"}).Because(cause))
}

// leadingTo returns the page with a link that tries the same again.
func (r *refusal) leadingTo(link string) *refusal {
	r.link, r.linkText = link, "Try again"
	return r
}

func plainRefusal(err *oauth.Error) *refusal {
	if err.Status >= 500 {
		return unavailable(err)
	}
	return &refusal{told: err, title: "This request cannot be served", text: "Something about it is not as it must be." + startAgain}
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

// writeRefusal writes the page. reference is what its reader can give to support.
func writeRefusal(w http.ResponseWriter, reference string, r *refusal) {
	var b bytes.Buffer
	pageTemplate.Execute(&b, map[string]string{ // a buffer does not fail
		"Title": r.title, "Text": r.text, "Link": r.link, "LinkText": r.linkText, "Code": r.told.Code, "Reference": reference,
	})
	r.told.WriteHead(w.Header())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(r.told.Status)
	w.Write(b.Bytes())
}

// wantsJSON reports whether the request asks for JSON rather than for a page. Who calls a token endpoint is a program.
func wantsJSON(r *http.Request) bool {
	accept := strings.ToLower(r.Header.Get("Accept"))
	if strings.Contains(accept, "text/html") {
		return false
	}
	return strings.Contains(accept, "application/json") || exchangeOf(r).place == atExempt
}
