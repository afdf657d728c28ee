package reading

import (
	"net/http"
	"net/url"
	"strings"

	"pargate/test/upstream"
)

// Strict is a server like those in Go: it decodes a path once and compares it, divides at "&" alone, and knows names
// by their letters.
func Strict() Server {
	return Server{
		Name: "strict",
		paths: func(r upstream.Request) []target {
			u, err := url.ParseRequestURI(r.Target)
			if err != nil {
				return nil
			}
			return []target{{path: u.Path, query: u.RawQuery}, {path: u.EscapedPath(), query: u.RawQuery}}
		},
		params: func(encoded, _ string) []Params {
			values, _ := url.ParseQuery(encoded) // what can be read is used
			return []Params{Params(values)}
		},
		body: func(method, mediaType string) bool {
			reads := method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
			return reads && (mediaType == urlencoded || mediaType == "multipart/form-data")
		},
	}
}

const urlencoded = "application/x-www-form-urlencoded"

// unescape decodes every escape that is one, and "+" as plus.
func unescape(s string, plus byte) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(plus)
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		case s[i] == '%' && i+5 < len(s) && (s[i+1]|0x20) == 'u' && isHex(s[i+2]) && isHex(s[i+3]) && isHex(s[i+4]) && isHex(s[i+5]):
			b.WriteRune(rune(unhex(s[i+2]))<<12 | rune(unhex(s[i+3]))<<8 | rune(unhex(s[i+4]))<<4 | rune(unhex(s[i+5])))
			i += 5
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
