package reading

import (
	"path"
	"strings"
	"unicode"

	"pargate/test/upstream"
)

// Rack is a server like those in Ruby, Perl, Python and Node: ";" divides as "&" does, brackets around and behind a
// name do not count, routes are found without regard to case and doubled slashes, a format stands behind the path, a
// body may be JSON, and one without a type is a form.
func Rack() Server {
	return Server{
		Name: "rack",
		json: true,
		paths: func(r upstream.Request) []target {
			p, query, _ := strings.Cut(r.Target, "?")
			return []target{{path: rackPath(p), query: query}}
		},
		params: func(encoded, _ string) []Params { return []Params{rackParams(encoded), qsParams(encoded)} },
		body: func(_, mediaType string) bool {
			return mediaType == urlencoded || strings.HasPrefix(mediaType, "multipart/") || mediaType == ""
		},
	}
}

func rackPath(p string) string {
	var kept []string
	for segment := range strings.SplitSeq(p, "/") {
		if segment != "" {
			kept = append(kept, segment)
		}
	}
	p = strings.ToLower(unescape("/"+strings.Join(kept, "/"), '+'))
	if strings.HasPrefix(p, Endpoint+".") {
		p = strings.TrimSuffix(p, path.Ext(p))
	}
	return p
}

// rackParams reads "a[b]" as something called a, and brackets in front as none.
func rackParams(encoded string) Params {
	p := Params{}
	for _, pair := range strings.FieldsFunc(encoded, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimLeftFunc(pair, unicode.IsSpace), "=")
		name = strings.TrimLeft(unescape(name, ' '), "[]")
		if i := strings.IndexAny(name, "[]"); i >= 0 {
			name = name[:i]
		}
		p[name] = append(p[name], unescape(value, ' '))
	}
	return p
}

// qsParams reads as Node's qs does, and a decoder that does not mind what is in front of a name.
func qsParams(encoded string) Params {
	p := Params{}
	for pair := range strings.SplitSeq(encoded, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimPrefix(strings.TrimSpace(unescape(name, ' ')), "\ufeff")
		if i := strings.IndexByte(name, '['); i > 0 {
			name = name[:i]
		}
		name = strings.Trim(name, "[]")
		p[name] = append(p[name], unescape(value, ' '))
	}
	return p
}
