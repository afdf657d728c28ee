package rewrite

import "strings"

// Mentions reports whether text, a path, query, form or address that a browser has sent, holds a parameter of an
// authorization request at any layer that Collapse looks through; a reference of ours beside its client_id is none.
// What is encoded more often than that is taken for one.
func (v *Vocabulary) Mentions(text string) bool { return v.mentions(text, 0) }

func (v *Vocabulary) mentions(text string, layer int) bool {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("&;?#/", r) }) {
		name, raw, found := strings.Cut(part, "=")
		if !found {
			name, raw = "", part
		}
		value := unescapeLeniently(raw)
		if v.mentionsName(v.Fold(unescapeName(name)), value) {
			return true
		}
		if decoded, encoding := decodeBase64(value); encoding != nil {
			value = decoded
		}
		switch {
		case value == raw && !strings.ContainsAny(value, "&;?#/="):
		case layer == maxNesting:
			return strings.Contains(value, "=") || strings.Contains(strings.ToUpper(value), "%3D")
		case v.mentions(value, layer+1):
			return true
		}
	}
	return false
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
