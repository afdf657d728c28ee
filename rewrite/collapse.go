package rewrite

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxNesting is how many layers of addresses within addresses are looked through.
const maxNesting = 3

// Address is an address of our own that an upstream has written, at the layer where it was found.
type Address struct {
	Path  string // escaped; empty: of a query that stands alone
	Pairs []Pair // of its query, divided as leniently as anybody does
	Query string // the same as it stands
}

// Collapse takes authorization requests out of addresses: the inverse of Expand.
type Collapse struct {
	// Origins are the addresses by which the authorization server is known; the first one is the public one.
	Origins []*url.URL
	// Path is that of the page or request which the addresses stand in.
	Path string
	// Base is what a page says that its relative addresses are relative to; empty: the page.
	Base string
	// Shorten returns the query that replaces that of an address of ours, and whether it is to be replaced.
	Shorten func(Address) (query string, replaced bool)
}

// URL returns an address with the queries in it shortened, its own or those of addresses nested in its parameters, its
// path or its fragment up to three layers deep, and reports whether anything was. Only addresses of ours are shortened; those that hold them may be
// anybody's. What is not shortened keeps its bytes.
func (c *Collapse) URL(address string) (string, bool) { return c.url(address, 0) }

func (c *Collapse) url(address string, layer int) (string, bool) {
	address = withoutBlanks(address)
	before, fragment, hasFragment := strings.Cut(address, "#")
	place, query, hasQuery := strings.Cut(before, "?")
	if isOpaque(place) {
		return "", false
	}
	changed := false
	if hasQuery {
		place, query, changed = c.query(place, query, layer)
	}
	if shorter, ok := c.segments(place, layer); ok {
		place, changed = shorter, true
	}
	// Applications that run in the browser keep their address in the fragment.
	if route, parameters, found := strings.Cut(fragment, "?"); found {
		if shorter, ok := c.nested(parameters, layer); ok {
			fragment, changed = route+"?"+shorter, true
		}
	} else if shorter, ok := c.nested(fragment, layer); ok {
		fragment, changed = shorter, true
	}
	if !changed {
		return "", false
	}
	address = place
	if hasQuery {
		address += "?" + query
	}
	if hasFragment {
		address += "#" + fragment
	}
	return address, true
}

// segments shortens addresses that are segments of a path, or parameters in one.
func (c *Collapse) segments(place string, layer int) (string, bool) {
	if layer == maxNesting || !strings.Contains(place, "%") {
		return place, false
	}
	segments, changed := strings.Split(place, "/"), false
	for i, segment := range segments {
		if !strings.Contains(segment, "%") {
			continue
		}
		parts := strings.Split(segment, ";")
		for j, part := range parts {
			name, value, isParameter := strings.Cut(part, "=")
			if !isParameter {
				name, value = "", part
			} else {
				name += "="
			}
			if shorter, ok := c.value(decodeEscapes(value, '+'), layer+1); ok {
				parts[j], changed = name+escape(shorter), true
			}
		}
		segments[i] = strings.Join(parts, ";")
	}
	return strings.Join(segments, "/"), changed
}

// query shortens the query of an address at place, or what is nested in it.
func (c *Collapse) query(place, query string, layer int) (newPlace, shorter string, changed bool) {
	if target, ours := c.locate(place); ours {
		pairs := collect(query)
		if shorter, ok := c.Shorten(Address{Path: target.EscapedPath(), Pairs: pairs, Query: query}); ok {
			shorter, _ = c.nested(shorter, layer) // what stays beside the reference
			return c.public(place, target), shorter, true
		}
	}
	shorter, changed = c.nested(query, layer)
	return place, shorter, changed
}

func collect(query string) []Pair {
	var pairs []Pair
	for pair := range Pairs(query) {
		pairs = append(pairs, pair)
	}
	return pairs
}

// nested shortens addresses that are values of parameters.
func (c *Collapse) nested(query string, layer int) (string, bool) {
	if layer == maxNesting || !strings.ContainsAny(query, "=") {
		return query, false
	}
	parts, changed := strings.Split(query, "&"), false
	for i, part := range parts {
		name, raw, _ := strings.Cut(part, "=")
		if shorter, ok := c.value(unescapeLeniently(raw), layer+1); ok {
			parts[i], changed = name+"="+escape(shorter), true
		}
	}
	if !changed {
		return query, false
	}
	return strings.Join(parts, "&"), true
}

// Value returns a parameter's or a field's value with the addresses in it shortened: the value is one, percent-encoded
// or not, or the base64 text of one, or the query of one without its place.
func (c *Collapse) Value(value string) (string, bool) { return c.value(value, 0) }

func (c *Collapse) value(value string, layer int) (string, bool) {
	if strings.ContainsAny(value, "\"<>{}|`") || strings.ContainsAny(strings.TrimSpace(value), " \t\r\n") {
		return "", false // no address, but a text or JSON that may hold one
	}
	if strings.Contains(value, "?") || strings.Contains(value, "#") {
		return c.url(value, layer)
	}
	if strings.Contains(value, "=") && strings.ContainsAny(value, "&%") {
		// A query by itself, whose place the server knows.
		if shorter, ok := c.Shorten(Address{Pairs: collect(value), Query: value}); ok {
			return shorter, true
		}
		return c.nested(value, layer)
	}
	if layer < maxNesting && strings.Contains(value, "%") {
		if decoded := decodeEscapes(value, '+'); decoded != value {
			shorter, ok := c.value(decoded, layer+1)
			return escape(shorter), ok
		}
	}
	if decoded, encoding := decodeBase64(value); encoding != nil && layer < maxNesting {
		shorter, ok := c.url(decoded, layer+1)
		return encoding.EncodeToString([]byte(shorter)), ok
	}
	return "", false
}

// minEncoded is the length from which a value is tried as base64.
const minEncoded = 16

// base64Encodings are tried in this order: a text whose length fits has padding where it needs some.
var base64Encodings = []*base64.Encoding{base64.URLEncoding, base64.StdEncoding, base64.RawURLEncoding, base64.RawStdEncoding}

// decodeBase64 returns the address that value is the base64 text of, and in which alphabet; nil when it is none.
func decodeBase64(value string) (string, *base64.Encoding) {
	if len(value) < minEncoded {
		return "", nil
	}
	for _, encoding := range base64Encodings {
		decoded, err := encoding.DecodeString(value)
		if err != nil || !utf8.Valid(decoded) {
			continue
		}
		if text := string(decoded); strings.HasPrefix(text, "/") || strings.HasPrefix(strings.ToLower(text), "http") {
			return text, encoding
		}
	}
	return "", nil
}

// Refresh does for the value of a Refresh header, or of the meta element that stands for it, what URL does for an
// address.
func (c *Collapse) Refresh(value string) (string, bool) {
	before, address, after, ok := divideRefresh(value)
	if !ok {
		return "", false
	}
	shorter, ok := c.URL(address)
	return before + shorter + after, ok
}

// RefreshAddress returns the address in the value of a Refresh header, or of the meta element that stands for it, and
// whether there is one.
func RefreshAddress(value string) (string, bool) {
	_, address, _, ok := divideRefresh(value)
	return address, ok
}

// divideRefresh finds the address in a refresh, and what stands before and behind it.
func divideRefresh(value string) (before, address, after string, ok bool) {
	// HTML, "shared declarative refresh steps": digits, then a comma, a semicolon or a blank.
	rest := strings.TrimLeft(value, " \t\r\n0123456789.")
	if rest == value || rest == "" {
		return "", "", "", false
	}
	rest = strings.TrimLeft(rest, ";, \t\r\n")
	if len(rest) >= 3 && strings.EqualFold(rest[:3], "url") {
		if after := strings.TrimLeft(rest[3:], " \t\r\n"); strings.HasPrefix(after, "=") {
			rest = strings.TrimLeft(after[1:], " \t\r\n")
		}
	}
	before = value[:len(value)-len(rest)]
	if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		after = rest[:1]
		before += after
		rest, _, _ = strings.Cut(rest[1:], after)
	}
	return before, rest, after, rest != ""
}

// isOpaque reports whether a place belongs to a scheme in which "?" does not begin parameters: in javascript: it is
// part of a program.
func isOpaque(place string) bool {
	scheme, rest, found := strings.Cut(strings.ToLower(place), ":")
	if !found || !hasScheme(place) || scheme == "http" || scheme == "https" {
		return false
	}
	return scheme == "javascript" || scheme == "data" || !strings.HasPrefix(rest, "/")
}

// locate returns where a place, without query and fragment, leads, and whether that is one of our addresses.
func (c *Collapse) locate(place string) (*url.URL, bool) {
	origin, path := c.Origins[0], c.Path
	if c.Base != "" && !hasScheme(place) && !strings.HasPrefix(strings.ReplaceAll(place, `\`, "/"), "//") {
		page := &Collapse{Origins: c.Origins, Path: c.Path}
		base, ours := page.locate(withoutQuery(c.Base))
		if !ours {
			return nil, false
		}
		origin, path = &url.URL{Scheme: base.Scheme, Host: base.Host}, cmp.Or(base.EscapedPath(), "/")
	}
	target, err := url.Parse(withPlainSlashes(Resolve(origin, path, place)))
	if err != nil || !isHTTP(target) {
		return nil, false
	}
	for _, origin := range c.Origins {
		if isOn(target, origin) {
			return target, true
		}
	}
	return nil, false
}

func withoutQuery(address string) string {
	address, _, _ = strings.Cut(withoutBlanks(address), "#")
	address, _, _ = strings.Cut(address, "?")
	return address
}

// public returns a place of ours as it is; one that names another origin than the public one, such as the upstream's
// own, which no browser may reach, is moved to the public one.
func (c *Collapse) public(place string, target *url.URL) string {
	if isOn(target, c.Origins[0]) {
		return place
	}
	return c.Origins[0].Scheme + "://" + c.Origins[0].Host + target.EscapedPath()
}
