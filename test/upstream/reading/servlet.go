package reading

import (
	"path"
	"strings"
	"unicode/utf16"

	"pargate/test/upstream"
)

// Servlet is a server like those in Java: each segment loses its ";" parameters, dots are resolved after decoding, a
// slash at the end and a suffix do not count, and parameters are in the charset that the request names, which a
// setting of Tomcat extends to the query.
func Servlet() Server {
	return Server{
		Name: "servlet",
		paths: func(r upstream.Request) []target {
			p, query, _ := strings.Cut(r.Target, "?")
			return []target{{path: servletPath(p), query: query}, {path: servletPath(unescape(p, '+')), query: query, handedOn: true}}
		},
		params: func(encoded, charset string) []Params {
			return []Params{servletParams(encoded, ""), servletParams(encoded, charset)}
		},
		body: func(_, mediaType string) bool {
			return mediaType == urlencoded || mediaType == "multipart/form-data" || mediaType == "multipart/mixed"
		},
	}
}

func servletPath(p string) string {
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	p = path.Clean("/" + unescape(strings.Join(segments, "/"), '+'))
	if base, _, found := strings.Cut(path.Base(p), "."); found && strings.HasPrefix(p, Endpoint+".") {
		p = path.Dir(p) + base
	}
	return p
}

func servletParams(encoded, charset string) Params {
	p := Params{}
	encoded = decode(encoded, charset)
	for pair := range strings.SplitSeq(encoded, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimSpace(decode(unescape(name, ' '), charset))
		p[name] = append(p[name], decode(unescape(value, ' '), charset))
	}
	return p
}

// decode returns text that was in a charset; a text that is not in it stays.
func decode(text, charset string) string {
	switch charset {
	case "utf-16", "utf-16be", "utf-16le":
		return fromUTF16(text, charset == "utf-16le")
	case "ibm037", "cp037", "ibm500":
		return strings.Map(fromEBCDIC, latin1(text))
	}
	return text
}

func fromUTF16(text string, little bool) string {
	if len(text)%2 != 0 || !strings.Contains(text, "\x00") {
		return text
	}
	var units []uint16
	for i := 0; i < len(text); i += 2 {
		high, low := text[i], text[i+1]
		if little {
			high, low = low, high
		}
		units = append(units, uint16(high)<<8|uint16(low))
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
}

func latin1(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}

func fromEBCDIC(r rune) rune {
	switch {
	case r >= 0x81 && r <= 0x89:
		return 'a' + r - 0x81
	case r >= 0x91 && r <= 0x99:
		return 'j' + r - 0x91
	case r >= 0xa2 && r <= 0xa9:
		return 's' + r - 0xa2
	case r == 0x6d:
		return '_'
	}
	return r
}

// ToEBCDIC is the inverse for the letters of parameter names.
func ToEBCDIC(name string) []byte {
	encoded := []byte(name)
	for i, c := range encoded {
		switch {
		case c >= 'a' && c <= 'i':
			encoded[i] = c - 'a' + 0x81
		case c >= 'j' && c <= 'r':
			encoded[i] = c - 'j' + 0x91
		case c >= 's' && c <= 'z':
			encoded[i] = c - 's' + 0xa2
		case c == '_':
			encoded[i] = 0x6d
		}
	}
	return encoded
}
