package reading

import (
	"net/http"
	"path"
	"regexp"
	"strings"

	"pargate/test/upstream"
)

// Script is a server like those that call scripts, in PHP, CGI or ASP, behind a web server that does as Apache, nginx
// or IIS do: the path is decoded (and once more by a server in front), its case, double slashes, backslashes and dots
// do not count, a script stands in front of it, and names lose what PHP takes off them.
func Script() Server {
	return Server{
		Name: "script",
		paths: func(r upstream.Request) []target {
			all := scriptPaths(r.Target)
			for _, name := range []string{"X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-Rewrite-Uri"} {
				if value := header(r.Header, name); value != "" {
					all = append(all, scriptPaths(value)...)
				}
			}
			return all
		},
		params: func(encoded, _ string) []Params {
			return []Params{scriptParams(encoded, "&"), scriptParams(encoded, "&;")}
		},
		body: func(method, mediaType string) bool {
			return method == http.MethodPost && (mediaType == urlencoded || mediaType == "multipart/form-data")
		},
	}
}

// scriptPaths returns the readings of a request's target: as it is, and as a server reads it to which one in front
// has handed the decoded path.
func scriptPaths(raw string) []target {
	p, query, _ := strings.Cut(raw, "?")
	all := []target{{path: scriptPath(p), query: query}}
	for range 2 {
		decoded := unescape(p, '+')
		if decoded == p {
			break
		}
		var more string
		if p, more, _ = strings.Cut(decoded, "?"); more != "" {
			query += "&" + more
		}
		all = append(all, target{path: scriptPath(p), query: query, handedOn: true})
	}
	return all
}

func scriptPath(p string) string {
	p = unescape(p, '+')
	p, _, _ = strings.Cut(p, "\x00")
	p = strings.NewReplacer(`\`, "/", "\xc0\xaf", "/", "\xc0\xae", ".").Replace(bestFit(p))
	p = cookieless.ReplaceAllString(strings.ToLower(path.Clean("/"+p)), "/")
	if at := scriptName.FindStringIndex(p); at != nil {
		p = p[at[1]-1:]
	}
	if p != "/" {
		p = strings.TrimRight(p, "./ ")
	}
	return p
}

var scriptName = regexp.MustCompile(`^.*?\.(?:php|cgi|aspx?|pl|fcgi)/`)

// cookieless is where ASP.NET keeps sessions of browsers without cookies. It takes that away from every path.
var cookieless = regexp.MustCompile(`(?:/\((?:[a-z]\([^()/]*\))+\))+/`)

// bestFit is what Windows makes of letters that a narrow code page does not have: the ones that look like them.
func bestFit(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			return r - 0xff01 + '!'
		}
		return r
	}, s)
}

func scriptParams(encoded, separators string) Params {
	p := Params{}
	for _, pair := range strings.FieldsFunc(encoded, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimLeft(bestFit(unescape(name, ' ')), " ")
		name, _, _ = strings.Cut(name, "\x00")
		if open := strings.IndexByte(name, '['); open > 0 && strings.IndexByte(name[open:], ']') > 0 {
			name = name[:open] // an array
		}
		name = strings.ToLower(strings.NewReplacer(" ", "_", ".", "_", "[", "_").Replace(name))
		p[name] = append(p[name], unescape(value, ' '))
	}
	return p
}
