package main

import (
	"net/http"
	"net/url"
	"strings"
)

// place returns the step of an arrow, and moves the story on. It goes by what is on the wire alone.
func (f *film) place(e event) int {
	x := e.seen
	between := func(a, b lane) bool { return e.From == a && e.To == b }
	toServer := e.To == atGateway || e.To == atServer
	begins := begins(x.method, x.url, x.header, f.page)
	switch {
	case strings.HasPrefix(x.url.Path, "/.well-known/") || x.header.Get("Sec-Fetch-Dest") == "image":
		return 0
	case f.step == 0 && between(atBrowser, atClient) && begins:
		f.step = 1
		return 1
	case (between(atBrowser, atClient) || between(atClient, atBrowser)) && !begins && !strings.HasPrefix(x.url.String(), f.callback):
		return 0 // somebody else's, or an image that a page wants of it
	case between(atBrowser, atClient) && begins && f.step > 0, between(atClient, atBrowser) && begins && f.step >= 4:
		return 0 // once more, which the client refuses
	case f.step == 0:
		return 0
	case e.answer && between(atClient, atBrowser) && x.location() != nil && f.step < 4:
		f.step = 4
	case !e.answer && e.From == atClient && isTokenRequest(x):
		f.step = 10
	case e.answer && x.location() != nil && strings.HasPrefix(x.location().String(), f.callback) && f.step < 9:
		f.step = 9
	case e.answer && e.From == atServer && f.step == 6:
		f.step = 7
	case !e.answer && e.From == atBrowser && x.method == http.MethodPost && f.step == 7:
		f.step = 8
	case !e.answer && e.To == atServer && f.step < 6 && (f.step == 5 || f.step == 4 && e.From == atBrowser):
		f.step = 6
	case !e.answer && e.From == atClient && toServer && x.method == http.MethodPost:
		return 1
	}
	return f.step
}

func isTokenRequest(x exchange) bool { return strings.Contains(string(x.body), "grant_type=") }

// begins reports whether a request to the client begins a sign-in: a person who follows the link, and no preview, prefetch, frame or
// image of it. Where page is not empty it must be the page's own link, which nobody else knows.
func begins(method string, u *url.URL, h http.Header, page string) bool {
	mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest")
	return method == http.MethodGet && u.Path == "/" && (page == "" || u.Query().Get(pageParam) == page) &&
		(mode == "" || mode == "navigate") && (dest == "" || dest == "document") && h.Get("Sec-Purpose") == "" && h.Get("Purpose") == ""
}

// look looks for the request's values in what goes to and fro during the login.
func (f *film) look(e *event) {
	if e.Step != 7 && e.Step != 8 || f.request == nil {
		return
	}
	x := e.seen
	if !e.answer {
		e.Inside = sightings(f.request, x.target, string(x.body), x.header.Get("Referer"))
		return
	}
	e.Inside = sightings(f.request, headerText(x.answerHeader), string(x.answer))
	switch {
	case e.From == atServer && e.To == atGateway && len(f.leaked) < maxEvents:
		f.leaked[x.header.Get(requestID)] = e.Inside
	case e.From == atGateway:
		e.TakenOut = missing(f.leaked[x.answerHeader.Get(requestID)], e.Inside)
	}
}

// requestID is the header field by which pargate's request to the server and its answer to the browser are known to belong together.
const requestID = "X-Request-Id"

// missing are the names of one list that another has not.
func missing(from, list string) string {
	var names []string
	for name := range strings.SplitSeq(from, ", ") {
		if name != "" && !strings.Contains(", "+list+", ", ", "+name+", ") {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
