package proxy

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// minSecret is how long a pushed value is, in bytes, that is looked for in cookies: a shorter one is in many by chance.
const minSecret = 8

// countValuesInCookies counts the pushed values that the upstream's own cookies show to the browser (CVE-2024-4540 was one).
// They are passed on all the same: the upstream's login needs them.
func (r *reply) countValuesInCookies() error {
	lines := r.Header["Set-Cookie"]
	if len(lines) == 0 || r.x.flow == nil || r.x.flow.Finished {
		return nil
	}
	var readable []string
	for _, line := range lines {
		_, value, _ := strings.Cut(line, "=")
		value, _, _ = strings.Cut(value, ";")
		readable = append(readable, readings(value)...)
	}
	for pair := range rewrite.StrictPairs(r.x.flow.Request.Query) {
		if len(pair.Value) < minSecret || slices.Contains(loggable, pair.Name) {
			continue
		}
		if slices.ContainsFunc(readable, func(text string) bool { return strings.Contains(text, pair.Value) }) {
			r.server.Metrics.ValuesInCookies.Inc(oauth.Fold(pair.Name))
		}
	}
	return nil
}

// readings returns what can be read in a cookie's value without a key: the value, percent-decoded up to twice, and the parts
// of each that are base64, as those of a signed token are. JSON may have escaped its slashes.
func readings(value string) (all []string) {
	for range 3 {
		all = append(all, strings.ReplaceAll(value, `\/`, "/"))
		for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '.' || r == ':' || r == '|' || r == '"' }) {
			if decoded, ok := decodeBase64(part); ok {
				all = append(all, strings.ReplaceAll(decoded, `\/`, "/"))
			}
		}
		decoded, err := url.PathUnescape(value)
		if err != nil || decoded == value {
			break
		}
		value = decoded
	}
	return all
}

// decodeBase64 decodes a text that is base64 of either alphabet, with padding or without.
func decodeBase64(text string) (string, bool) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	return string(decoded), err == nil && len(decoded) >= minSecret
}
