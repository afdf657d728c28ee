package main

import (
	"net/http"
	"strings"
)

// place returns the step of an arrow, and moves the story on. It goes by what is on the wire alone.
func (f *film) place(e event) int {
	x := e.seen
	between := func(a, b lane) bool { return e.From == a && e.To == b }
	toServer := e.To == atGateway || e.To == atServer
	switch {
	case strings.HasPrefix(x.url.Path, "/.well-known/") || x.header.Get("Sec-Fetch-Dest") == "image":
		return 0
	case f.step == 0 && between(atBrowser, atClient):
		f.step = 1
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
	case e.From == atServer:
		f.leaked = e.Inside
	case e.From == atGateway && f.leaked != "":
		e.TakenOut, f.leaked = missing(f.leaked, e.Inside), ""
	}
}

// missing are the names of one list that another has not.
func missing(from, list string) string {
	var names []string
	for name := range strings.SplitSeq(from, ", ") {
		if !strings.Contains(", "+list+", ", ", "+name+", ") {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
