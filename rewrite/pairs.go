package rewrite

import (
	"iter"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Pair is one pair of a query or form as somebody sent it.
type Pair struct {
	Raw   string // the bytes between two separators
	Name  string // decoded where it can be, else as it stands
	Value string // likewise
}

// Pairs divides a query or form at every "&" and ";" and decodes what can be decoded. It never fails: a bad
// escape in one pair hides no other.
func Pairs(s string) iter.Seq[Pair] { return pairs(s, "&;") }

// StrictPairs divides at "&" alone, as everything that follows the WHATWG URL standard does.
func StrictPairs(s string) iter.Seq[Pair] { return pairs(s, "&") }

func pairs(s, separators string) iter.Seq[Pair] {
	return func(yield func(Pair) bool) {
		for s != "" {
			raw := s
			if i := strings.IndexAny(s, separators); i >= 0 {
				raw, s = s[:i], s[i+1:]
			} else {
				s = ""
			}
			if raw == "" {
				continue
			}
			name, value, _ := strings.Cut(raw, "=")
			if !yield(Pair{Raw: raw, Name: unescapeName(name), Value: unescapeLeniently(value)}) {
				return
			}
		}
	}
}

// unescapeName decodes a name, also where it is escaped as %uXXXX, which ASP.NET takes for a UTF-16 code unit.
func unescapeName(name string) string {
	return unescapeLeniently(asPercentEscapes(name))
}

// asPercentEscapes writes %uXXXX escapes as percent-encoded UTF-8.
func asPercentEscapes(s string) string {
	if !strings.Contains(s, "%u") && !strings.Contains(s, "%U") {
		return s
	}
	return utf16Escape.ReplaceAllStringFunc(s, func(escape string) string {
		code, _ := strconv.ParseUint(escape[2:], 16, 16) // four hexadecimal digits
		return url.PathEscape(string(rune(code)))
	})
}

var utf16Escape = regexp.MustCompile(`%[uU][0-9A-Fa-f]{4}`)

// unescapeLeniently decodes every escape that is one and leaves the others.
func unescapeLeniently(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return decodeEscapes(s, ' ')
}

// decodeEscapes decodes the escapes in s that are well-formed; plus is what "+" stands for.
func decodeEscapes(s string, plus byte) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(plus)
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// UnescapePath decodes every percent escape in a path that is one and leaves the others.
func UnescapePath(p string) string {
	if !strings.Contains(p, "%") {
		return p
	}
	return decodeEscapes(asPercentEscapes(p), '+')
}
