package jwt

import (
	"strconv"
	"unicode/utf16"
)

// hasUnpairedSurrogate reports whether a string in JSON has half of a surrogate pair (RFC 8259 §8.2, RFC 7493 §2.1).
// Decoders put different characters in its place, so that two names could be one, or one value two. What is no JSON may
// give any answer.
func hasUnpairedSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); {
		unit, isEscape := escapedUnit(raw[i:])
		switch {
		case isEscape && utf16.IsSurrogate(unit):
			second, _ := escapedUnit(raw[i+6:])
			if utf16.DecodeRune(unit, second) == '\ufffd' {
				return true
			}
			i += 12
		case raw[i] == '\\':
			i += 2
		default:
			i++
		}
	}
	return false
}

// escapedUnit returns the UTF-16 unit of the escape (RFC 8259 §7) with which the text begins.
func escapedUnit(text []byte) (unit rune, is bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}
