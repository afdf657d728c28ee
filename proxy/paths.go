package proxy

import (
	"net/http"
	"path"
	"regexp"
	"strings"
	"unicode"

	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// place says what a request's path is to the gateway.
type place int

const (
	elsewhere    place = iota // passed through
	atPush                    // the push endpoint
	atAuthorize               // the authorization endpoint, in its own spelling
	nearMiss                  // what some server would take for the authorization endpoint
	below                     // under the authorization endpoint
	atExempt                  // token and end-session endpoint: their parameters resemble an authorization request's
	atOIDC                    // the OpenID Connect metadata document
	atOAuth                   // the OAuth metadata document (RFC 8414)
	unknownPlace              // the endpoints are not known yet: any path might be protected
)

// protected reports whether a request there may start an authorization at the upstream.
func (p place) protected() bool {
	return p == atAuthorize || p == nearMiss || p == below || p == unknownPlace
}

// paths knows the places of one issuer. Nothing in it changes.
type paths struct {
	exact     map[string]place // by the path as it is sent
	protected []string         // the authorization endpoints, folded
}

func newPaths(exact map[string]place) *paths {
	p := &paths{exact: exact}
	for literal, where := range exact {
		if where == atAuthorize {
			p.protected = append(p.protected, spellings(literal)...)
			p.protected = append(p.protected, behindScripts(foldPath(literal))...)
		}
	}
	return p
}

// classify finds the place of a path as it stands in the request line. It compares exactly first; then it asks
// whether the path would be the authorization endpoint, or below it, for a server that decodes up to three times,
// folds case, strips parameters, merges slashes and resolves dots.
func (p *paths) classify(raw string) place {
	if where, ok := p.exact[raw]; ok {
		return where
	}
	where := elsewhere
	for _, folded := range spellings(raw) {
		for _, read := range append([]string{folded}, behindScripts(folded)...) {
			switch p.placeOf(read) {
			case nearMiss:
				return nearMiss
			case below:
				where = below
			}
		}
	}
	return where
}

// placeOf finds the place of a folded path.
func (p *paths) placeOf(folded string) place {
	where := elsewhere
	for _, endpoint := range p.protected {
		rest, ok := strings.CutPrefix(folded, endpoint)
		switch {
		case !ok:
		case rest == "", rest[0] == '.' && !strings.Contains(rest, "/"): // the latter is a format to some
			return nearMiss
		case endpoint == "/" || rest[0] == '/' || rest[0] == '.':
			where = below
		}
	}
	return where
}

// behindScripts returns what stands in a folded path behind each script through which some servers are called:
// /index.php/authorize is /authorize to one (RFC 3875 §4.1.5).
func behindScripts(path string) (all []string) {
	for _, found := range scriptPattern.FindAllStringIndex(path, -1) {
		all = append(all, path[found[1]-1:])
	}
	return all
}

var scriptPattern = regexp.MustCompile(`\.(?:php[0-9]?|phtml|f?cgi|pl|py|rb|aspx?|jsp|do|dll)/`)

// spellings returns what a path is, folded, to servers that decode it up to three times.
func spellings(raw string) []string {
	var all []string
	for range 4 {
		folded := foldPath(raw)
		all = append(all, folded)
		if strings.Contains(raw, "..") {
			all = append(all, foldSegments(raw))                           // to a server that does not resolve dots
			all = append(all, foldPath(path.Clean(overlong.Replace(raw)))) // to one to which a blank is a segment that they take away
		}
		decoded := rewrite.UnescapePath(raw)
		if decoded == raw {
			break
		}
		raw = decoded
	}
	return all
}

// foldPath returns the form in which spellings of one path are equal.
func foldPath(p string) string {
	if isPlainPath(p) {
		return p
	}
	p = path.Clean(foldSegments(p))
	if p != "/" {
		p = strings.TrimRight(p, "./ ")
	}
	return p
}

// overlong are encodings of "/" and "." that a lax decoder of UTF-8 takes for them.
var overlong = strings.NewReplacer(`\`, "/", "\xc0\xaf", "/", "\xc0\xae", ".")

// foldSegments folds each segment of a path, and leaves dot segments where they are.
func foldSegments(p string) string {
	p = overlong.Replace(oauth.Narrow(p))
	if i := strings.IndexAny(p, "\x00?#"); i >= 0 {
		p = p[:i]
	}
	var kept []string
	for segment := range strings.SplitSeq(p, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment = strings.TrimFunc(segment, isInvisible); segment != "" && !cookieless.MatchString(segment) {
			kept = append(kept, segment)
		}
	}
	return strings.ToLower(strings.ToUpper("/" + strings.Join(kept, "/")))
}

// cookieless is a segment in which ASP.NET keeps what others keep in cookies: /(S(x))/authorize is /authorize to it, also
// where it has no such session.
var cookieless = regexp.MustCompile(`^\((?:[A-Za-z]\([^()]*\))+\)$`)

func isInvisible(r rune) bool {
	return r <= ' ' || r == 0x7f || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// isPlainPath reports whether foldPath has nothing to do, which is so for nearly every path that arrives.
func isPlainPath(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case c == '/' && i+1 < len(p) && p[i+1] != '/':
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return p != ""
}

// hiddenQuery returns what stands in a path behind an encoded "?": a query to the server behind one that hands on the
// path decoded, as nginx does with some settings.
func hiddenQuery(path string) string {
	var all string
	for range 3 {
		decoded := rewrite.UnescapePath(path)
		if decoded == path {
			break
		}
		path = decoded
		if _, query, found := strings.Cut(path, "?"); found {
			all += "&" + query
		}
	}
	return all
}

// rawPath returns the path as it stands in the request line, which r.URL may have decoded and encoded anew.
func rawPath(r *http.Request) string {
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(target, "/") {
		return target
	}
	return r.URL.EscapedPath() // absolute form: scheme and host stand before the path
}
