package rewrite

import (
	"errors"
	"iter"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// HasResponseName reports whether a query has a parameter by which an authorization response is known, or its iss. In
// the query of a redirect_uri it could not be told from the response's own.
func HasResponseName(query string) bool {
	for pair := range Pairs(query) {
		switch pair.Name {
		case "code", "id_token", "access_token", "error", "response", "state", "iss":
			return true
		}
	}
	return false
}

// ErrOtherIssuer means that an authorization response already carries the iss of somebody else (RFC 9207 §2.4).
var ErrOtherIssuer = errors.New("the authorization response carries another iss")

// Response is an authorization response on its way to the client in a redirect (RFC 6749 §4.1.2, OAuth 2.0
// Multiple Response Type Encoding Practices §2.1).
type Response struct {
	location string
	target   *url.URL // nil: the location has no form that net/url knows
	State    string   // empty when there is none
	Error    bool     // carries error
	Grants   bool     // carries code, id_token, access_token or response
	Signed   bool     // carries response alone: everything else, state and iss too, is inside the JWT (JARM)
	plain    string   // State with "+" left as it is, for servers that do not encode it
	fragment bool     // the parameters are in the fragment
}

// ParseResponse reads an absolute location and reports whether it carries an authorization response at all. One that
// leads nowhere that can be told carries one as well.
func ParseResponse(location string) (Response, bool) {
	r, ok := leadingTo(location)
	if !ok {
		return Response{}, false
	}
	before, fragment, _ := strings.Cut(r.location, "#")
	_, query, _ := strings.Cut(before, "?")
	inFragment := r
	inFragment.fragment = true
	foundInQuery, foundInFragment := r.read(StrictPairs(query)), inFragment.read(StrictPairs(fragment))
	if !foundInQuery {
		return inFragment, foundInFragment
	}
	r.Grants = r.Grants || inFragment.Grants
	return r, true
}

// leadingTo returns a response without parameters that goes to location, which must be absolute.
func leadingTo(location string) (Response, bool) {
	location = withoutBlanks(location)
	// A bad escape in the fragment hides no response: net/url would refuse it, browsers do not.
	before, _, _ := strings.Cut(location, "#")
	target, err := url.Parse(withPlainSlashes(before))
	if err != nil {
		return Response{location: location}, true
	}
	return Response{location: location, target: target}, target.IsAbs()
}

// ParseForm reads a form that leads to the absolute address action as an authorization response by form_post (OAuth 2.0
// Form Post Response Mode §2) and reports whether it carries one at all.
func ParseForm(action string, fields []Field) (Response, bool) {
	r, ok := leadingTo(action)
	if !ok {
		return Response{}, false
	}
	found := r.read(func(yield func(Pair) bool) {
		for _, field := range fields {
			if field.Value == "" { // a page may have a field of that name to be filled in
				continue
			}
			if !yield(Pair{Name: field.Name, Value: field.Value}) {
				return
			}
		}
	})
	return r, found
}

// Same reports whether two responses go to the same address.
func (r Response) Same(other Response) bool { return r.location == other.location }

// HasState reports whether the response carries state, which may be empty for none.
func (r Response) HasState(state string) bool { return r.State == state || r.plain == state }

// Resolve returns a Location as the browser reads it that asked for path at origin: absolute, with slashes for
// backslashes.
func Resolve(origin *url.URL, path, location string) string {
	location = withoutBlanks(location)
	place, query, hasQuery := strings.Cut(location, "?")
	if u, err := url.Parse(place); err == nil && u.IsAbs() || strings.Contains(place, "#") || hasScheme(place) {
		return location
	}
	place = strings.ReplaceAll(place, `\`, "/")
	switch {
	case strings.HasPrefix(place, "//"):
		place = origin.Scheme + "://" + strings.TrimLeft(place, "/")
	case strings.HasPrefix(place, "/"):
		place = origin.String() + place
	case place == "":
		place = origin.String() + path
	default:
		place = origin.String() + path[:strings.LastIndexByte(path, '/')+1] + place
	}
	if hasQuery {
		place += "?" + query
	}
	return place
}

var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

func hasScheme(location string) bool { return schemePattern.MatchString(location) }

// withoutBlanks takes out what browsers do not see in a location: blanks around it, tabs and line ends in it (WHATWG
// URL §4.4).
func withoutBlanks(location string) string {
	location = strings.Trim(location, " \t\r\n")
	if !strings.ContainsAny(location, "\t\r\n") {
		return location
	}
	return strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(location)
}

// withPlainSlashes writes an http or https location as browsers read it: slashes for backslashes before the query,
// and two of them before the host.
func withPlainSlashes(location string) string {
	scheme, rest, found := strings.Cut(location, ":")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return location
	}
	place, query, hasQuery := strings.Cut(rest, "?")
	place = "//" + strings.TrimLeft(strings.ReplaceAll(place, `\`, "/"), "/")
	if hasQuery {
		place += "?" + query
	}
	return scheme + ":" + place
}

// read takes the response's parameters from one part of it and reports whether there are any.
func (r *Response) read(pairs iter.Seq[Pair]) (found bool) {
	r.State, r.plain = "", ""
	plain, signed := false, false
	for pair := range pairs {
		switch pair.Name {
		case "code", "id_token", "access_token":
			plain, r.Grants = true, true
		case "error":
			plain, r.Error = true, true
		case "response":
			signed, r.Grants = true, true
		case "state":
			r.State, r.plain = pair.Value, pair.Value
			if _, raw, encoded := strings.Cut(pair.Raw, "="); encoded {
				r.plain = UnescapePath(raw)
			}
		}
	}
	r.Signed = signed && !plain
	return signed || plain
}

// OnOrigin reports whether the response goes to an address of that scheme, host and port.
func (r Response) OnOrigin(origin *url.URL) bool {
	return r.target != nil && isHTTP(r.target) && isOn(r.target, origin)
}

// isOn reports whether an http or https address is of that origin. Servers behind a proxy guess the scheme: http://host
// and https://host are one.
func isOn(target, origin *url.URL) bool {
	guessed := *target
	guessed.Scheme = origin.Scheme
	if target.Port() == DefaultPort(target.Scheme) {
		guessed.Host = target.Hostname()
	}
	return HostPort(&guessed) == HostPort(origin)
}

func isHTTP(u *url.URL) bool {
	return strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https")
}

// LeadsTo reports whether the response goes to redirectURI: scheme and host without regard to case, the port, the
// path with an empty one as "/", and the query of redirectURI among the response's own.
func (r Response) LeadsTo(redirectURI string) bool {
	u, err := url.Parse(redirectURI)
	if err != nil || !u.IsAbs() || r.target == nil {
		return false
	}
	t := r.target
	if !strings.EqualFold(u.Scheme, t.Scheme) || u.Opaque != t.Opaque || HostPort(u) != HostPort(t) || pathOf(u) != pathOf(t) {
		return false
	}
	has := map[[2]string]int{}
	for pair := range StrictPairs(t.RawQuery) {
		has[[2]string{pair.Name, pair.Value}]++
	}
	for pair := range StrictPairs(u.RawQuery) {
		key := [2]string{pair.Name, pair.Value}
		if has[key]--; has[key] < 0 {
			return false
		}
	}
	return true
}

// HostPort returns the host, lower-cased, and the port that u leads to.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = DefaultPort(u.Scheme)
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// DefaultPort returns the port of a scheme's URLs that name none; empty for schemes other than http and https.
func DefaultPort(scheme string) string {
	switch strings.ToLower(scheme) {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

func pathOf(u *url.URL) string {
	if u.Host == "" {
		return u.Path
	}
	return u.ResolveReference(&url.URL{Path: "/" + strings.TrimPrefix(u.Path, "/")}).Path // without dot segments
}

// WithIssuer returns the location with iss in it, beside the response's other parameters (RFC 9207 §2). One that
// is there and equal stays alone; another one is ErrOtherIssuer. A signed response is left as it is.
func (r Response) WithIssuer(issuer string) (string, error) {
	if r.Signed {
		return r.location, nil
	}
	before, fragment, hasFragment := strings.Cut(r.location, "#")
	path, query, hasQuery := strings.Cut(before, "?")
	part := &query
	if r.fragment {
		part = &fragment
	}
	there := false
	for pair := range StrictPairs(*part) {
		if pair.Name != "iss" {
			continue
		}
		if pair.Value != issuer {
			return "", ErrOtherIssuer
		}
		there = true
	}
	if there {
		return r.location, nil
	}
	*part = strings.TrimSuffix(*part, "&") + "&iss=" + escape(issuer)
	location := path
	if hasQuery {
		location += "?" + query
	}
	if hasFragment {
		location += "#" + fragment
	}
	return location, nil
}
