package rewrite

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Expand returns the query with which a pushed request goes to the authorization endpoint.
//
// endpoint is the query that the endpoint's own URL has, which stays and which no pushed name overrides (RFC 6749
// §3.1); pushed is the pushed request, form-encoded. Of beside, the query that the browser sent, only names for
// which resume is true are kept, once, and only where they were not pushed; values are decoded and encoded anew,
// so that no parser behind us finds another parameter in them. dropped are the names that were not kept.
func Expand(endpoint, pushed, beside string, resume func(name string) bool) (query string, dropped []string) {
	taken := map[string]bool{}
	var b strings.Builder
	add := func(raw string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(raw)
	}
	for pair := range StrictPairs(endpoint) {
		taken[strings.ToLower(pair.Name)] = true
		add(pair.Raw)
	}
	fromPush := map[string]bool{}
	for pair := range StrictPairs(pushed) {
		name := strings.ToLower(pair.Name)
		if taken[name] {
			dropped = append(dropped, pair.Name)
			continue
		}
		fromPush[name] = true
		add(pair.Raw)
	}
	for pair := range Pairs(beside) {
		name := strings.ToLower(pair.Name)
		if !resume(pair.Name) || taken[name] || fromPush[name] || !utf8.ValidString(pair.Value) {
			dropped = append(dropped, pair.Name)
			continue
		}
		taken[name] = true
		add(encodePair(pair))
	}
	return b.String(), dropped
}

// encodePair encodes a pair canonically. One without "=" stays so.
func encodePair(pair Pair) string {
	if !strings.Contains(pair.Raw, "=") {
		return escape(pair.Name)
	}
	return escape(pair.Name) + "=" + escape(pair.Value)
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
