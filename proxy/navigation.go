package proxy

import (
	"net/http"
	"strings"
)

// isNavigation reports whether the request loads a page for somebody to see, as far as the browser says.
func isNavigation(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe":
		return !isPrefetch(r)
	}
	return false
}

// isFrame reports whether the page is to be a part of another one.
func isFrame(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Dest") == "iframe" }

// isOwnFetch reports whether a script of the upstream's own page sends the request.
func isOwnFetch(r *http.Request) bool {
	return !isPrefetch(r) && r.Header.Get("Sec-Fetch-Dest") == "empty" && r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		value := strings.ToLower(r.Header.Get(name))
		if strings.Contains(value, "prefetch") || strings.Contains(value, "prerender") || strings.Contains(value, "preview") {
			return true
		}
	}
	return false
}
