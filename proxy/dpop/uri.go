package dpop

import (
	"cmp"
	"encoding/hex"
	"net/url"
	"strings"

	"pargate/rewrite"
)

const maxURI = 2 << 10 // bytes

// normalize returns an http or https URI as URIs are compared here (RFC 9449 §4.3): without query and fragment, and
// normalized by syntax and scheme (RFC 3986 §6.2.2 and §6.2.3). It reports whether uri is one.
func normalize(uri string) (string, bool) {
	if len(uri) > maxURI || strings.ContainsFunc(uri, isForeign) {
		return "", false
	}
	uri, _, _ = strings.Cut(uri, "#")
	uri, _, _ = strings.Cut(uri, "?")
	scheme, rest, _ := strings.Cut(uri, "://")
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
		return "", false
	}
	u, err := url.Parse(scheme + "://" + decodeUnreserved(rest))
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	u = u.ResolveReference(u) // without dot segments
	return scheme + "://" + rewrite.HostPort(u) + cmp.Or(u.EscapedPath(), "/"), true
}

// isForeign reports whether c is in no URI (RFC 3986 §2).
func isForeign(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("\"<>\\^`{|}", c) }

// decodeUnreserved decodes what needs no percent-encoding, and writes the encoding of the rest in upper case (RFC 3986
// §6.2.2.1, §6.2.2.2). A percent sign that encodes nothing stays.
func decodeUnreserved(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		decoded, err := hex.DecodeString(s[min(i+1, len(s)):min(i+3, len(s))])
		switch {
		case s[i] != '%' || err != nil || len(decoded) != 1:
			b.WriteByte(s[i])
			continue
		case isUnreserved(decoded[0]):
			b.WriteByte(decoded[0])
		default:
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("-._~", c) >= 0
}
