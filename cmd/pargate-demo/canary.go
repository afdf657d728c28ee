package main

import (
	"html"
	"net/url"
	"strings"
)

// canaries are the parameters whose values nobody but the client, the gateway and the legacy server should come to see.
var canaries = []string{"state", "nonce", "code_challenge", "redirect_uri", "login_hint", "authorization_details", "claims"}

// lookedFor are the canaries that a request has.
func (p params) lookedFor() (names []string) {
	for _, name := range canaries {
		if p.get(name) != "" {
			names = append(names, name)
		}
	}
	return names
}

// layers is how often a text is decoded in the search: a URL in a URL in a URL has three.
const layers = 3

// sightings returns which canaries of the pushed request are in one of the texts, however encoded; empty when none is.
func sightings(pushed params, texts ...string) string {
	var seen []string
	for _, name := range canaries {
		value := pushed.get(name)
		for _, text := range texts {
			if value != "" && holds(text, value) {
				seen = append(seen, name)
				break
			}
		}
	}
	return strings.Join(seen, ", ")
}

// holds reports whether the value is in the text, or in what it says as HTML. A plus sign is a blank in a query and
// itself in a path, so both are tried.
func holds(text, value string) bool {
	for _, plus := range []string{" ", "+"} {
		for _, layer := range []string{text, html.UnescapeString(text)} {
			for range layers + 1 {
				if strings.Contains(layer, value) {
					return true
				}
				layer = decode(layer, plus)
			}
		}
	}
	return false
}

// decode decodes every percent escape of the text that is one, and leaves the others.
func decode(text, plus string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(strings.ReplaceAll(before, "+", plus))
		if !found {
			return b.String()
		}
		text = rest
		if c, err := url.PathUnescape("%" + rest[:min(2, len(rest))]); err == nil {
			b.WriteString(c)
			text = rest[2:]
		} else {
			b.WriteByte('%')
		}
	}
}
