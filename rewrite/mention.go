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
		if v.names(unescapeName(text[at[2]:at[3]]), func(name string) bool { return v.mentionsName(name, valueAt(text[at[1]:])) }) {
			return true
		}
	}
	for _, isDivider := range []func(rune) bool{dividesPairs, dividesWords} {
		for part := range strings.FieldsFuncSeq(text, isDivider) {
			for _, decoded := range decodings(part) {
				if layer == maxNesting || v.mentions(decoded, layer+1) {
					return true
				}
			}
		}
	}
	return false
}

// names reports whether a name, or a part of it as frameworks nest them (params[state], oauth.state), is one of an
// authorization request and is.
func (v *Vocabulary) names(name string, is func(folded string) bool) bool {
	for _, part := range append(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("[].", r) }), name) {
		if folded := v.Fold(part); v.IsAuthorization(folded) && is(folded) {
			return true
		}
	}
	return false
}

// valueAt returns the value that text begins with, as far as it has to be known.
func valueAt(text string) string {
	text = text[:min(len(text), 256)]
	if end := strings.IndexAny(text, "&;\"'\\"); end >= 0 {
		text = text[:end]
	}
	return unescapeLeniently(text)
}

// What is encoded may be a pair as a whole, or a word in it.
func dividesPairs(r rune) bool { return strings.ContainsRune("&;\"' ", r) }

func dividesWords(r rune) bool { return strings.ContainsRune("&;?#/=\"'\\,{}: .|", r) }

// decodings returns what a part of a text may stand for.
func decodings(part string) (all []string) {
	if decoded := unescapeLeniently(part); decoded != part && strings.Contains(part, "%") {
		all = append(all, decoded)
	}
	if decoded := jsonEscape.ReplaceAllStringFunc(part, decodeJSONEscape); decoded != part {
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

// jsonEscape is an escape of JSON, which may be in a string of JSON itself.
var jsonEscape = regexp.MustCompile(`\\+u00[0-7][0-9A-Fa-f]`)

func decodeJSONEscape(escape string) string {
	return string(unhex(escape[len(escape)-2])<<4 | unhex(escape[len(escape)-1]))
}

// isText reports whether decoded bytes are something that somebody has written, which random ones are not.
func isText(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' })
}

// mentionsName reports whether a name of authorization requests with that value is one.
func (v *Vocabulary) mentionsName(name, value string) bool {
	switch {
	case name == "client_id" || value == "": // by itself it starts nothing
		return false
	case name == "request_uri":
		return !v.IsReference(value)
	}
	return true
}
