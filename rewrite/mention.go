package rewrite

import (
	"encoding/hex"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Mentions reports whether text, a path, query, form, cookie or address that a browser has sent, may hold a parameter of an
// authorization request, at any layer and in any of the encodings in use: as a pair, or as a member of JSON; a reference of
// ours beside its client_id is none. It looks generously, since the answer only decides how far the upstream's changes are
// believed; what is encoded more often than maxNesting is taken for one.
func (v *Vocabulary) Mentions(text string) bool { return v.mentions(text, 0) }

// namePattern finds what may be a name: something before "=", or in quotes before ":" as in JSON, which may be in a string
// of JSON itself.
var namePattern = regexp.MustCompile(`([A-Za-z_.\[\]% 0-9+-]+)(?:\\*["']\s*:|\s*=|\\+u003[dD])\s*(?:\\*["'])?`)

func (v *Vocabulary) mentions(text string, layer int) bool {
	for _, at := range namePattern.FindAllStringSubmatchIndex(text, -1) {
		value := text[at[1]:]
		if end := strings.IndexAny(value, "&;\"'\\"); end >= 0 {
			value = value[:end]
		}
		if v.mentionsName(v.Fold(unescapeName(text[at[2]:at[3]])), unescapeLeniently(value)) {
			return true
		}
	}
	for part := range strings.FieldsFuncSeq(text, isDivider) {
		for _, decoded := range decodings(part) {
			if layer == maxNesting || v.mentions(decoded, layer+1) {
				return true
			}
		}
	}
	return false
}

func isDivider(r rune) bool { return strings.ContainsRune("&;?#/=\"'\\,{}: ", r) }

// decodings returns what a part of a text may stand for.
func decodings(part string) (all []string) {
	if decoded := unescapeLeniently(part); decoded != part && strings.Contains(part, "%") {
		all = append(all, decoded)
	}
	if len(part) < minEncoded {
		return all
	}
	if decoded, err := hex.DecodeString(part); err == nil && isText(decoded) {
		all = append(all, string(decoded))
	}
	for _, encoding := range base64Encodings {
		if decoded, err := encoding.DecodeString(part); err == nil && isText(decoded) {
			all = append(all, string(decoded))
			break
		}
	}
	return all
}

// isText reports whether decoded bytes are something that somebody has written, which random ones are not.
func isText(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' })
}

func (v *Vocabulary) mentionsName(name, value string) bool {
	switch {
	case name == "client_id" || value == "": // by itself it starts nothing
		return false
	case name == "request_uri":
		return !v.IsReference(value)
	}
	return v.IsAuthorization(name)
}
