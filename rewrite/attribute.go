package rewrite

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	"golang.org/x/net/html"
)

// attribute is an attribute as it stands in a tag's text.
type attribute struct {
	name     string // lower case
	text     []byte // the value with its quotes
	from, to int    // where in the tag's text that is; equal: there is no value, but this would be its place
	equals   bool   // there is a "=" in front of that place
}

// blanks are the white space of HTML.
const blanks = " \t\n\f\r"

// attributes returns the attributes of a start tag in their order, as the states "before attribute name" to "after
// attribute value" of the WHATWG's tokenizer find them (HTML §13.2.5.32 to 13.2.5.40), but repeated ones too.
func (t tag) attributes() iter.Seq[attribute] {
	return func(yield func(attribute) bool) {
		at := until(t.text, len("<"), blanks+"/>")
		for {
			at = behind(t.text, at, blanks+"/")
			if at >= len(t.text) || t.text[at] == '>' {
				return
			}
			nameEnds := until(t.text, at+1, blanks+"/>=") // a "=" in the first place is part of the name
			a := attribute{name: lower(t.text[at:nameEnds]), from: nameEnds, to: nameEnds}
			at = nameEnds
			if i := behind(t.text, at, blanks); i < len(t.text) && t.text[i] == '=' {
				a.equals = true
				a.from = behind(t.text, i+1, blanks)
				a.to = valueEnd(t.text, a.from)
				at = a.to
			}
			a.text = t.text[a.from:a.to]
			if !yield(a) {
				return
			}
		}
	}
}

// value returns the value of an attribute of t and whether there is one. The first of a name counts.
func (t tag) value(name string) (value string, has bool) {
	for a := range t.attributes() {
		if a.name == name {
			return a.value(), true
		}
	}
	return "", false
}

// valueEnd returns where the value ends that begins at, with its quotes.
func valueEnd(text []byte, at int) int {
	if at < len(text) && (text[at] == '"' || text[at] == '\'') {
		return min(until(text, at+1, string(text[at]))+1, len(text))
	}
	return until(text, at, blanks+">")
}

// until returns the first place from at on where one of chars stands, or the text's end.
func until(text []byte, at int, chars string) int {
	if i := bytes.IndexAny(text[at:], chars); i >= 0 {
		return at + i
	}
	return len(text)
}

// behind returns the first place from at on where none of chars stands.
func behind(text []byte, at int, chars string) int {
	return len(text) - len(bytes.TrimLeft(text[at:], chars))
}

// lower returns an ASCII name in lower case. Other letters stay: no browser takes "ſrc" for a src.
func lower(name []byte) string {
	lowered := bytes.Clone(name)
	for i, c := range lowered {
		if 'A' <= c && c <= 'Z' {
			lowered[i] = c - 'A' + 'a'
		}
	}
	return string(lowered)
}

// value returns the decoded value.
func (a attribute) value() string {
	if !bytes.ContainsAny(a.text, "&\r\x00") {
		return string(a.inQuotes())
	}
	// The table of character references is the tokenizer's, and so is what it makes of NUL and line ends.
	z := html.NewTokenizer(strings.NewReader("<a a=" + string(a.text) + ">"))
	z.Next()
	_, value, _ := z.TagAttr()
	return string(value)
}

func (a attribute) inQuotes() []byte {
	if a.quote() == "" {
		return a.text
	}
	return a.text[1 : len(a.text)-1]
}

// quote returns the quote in which the value stands; empty: in none.
func (a attribute) quote() string {
	if len(a.text) > 1 && (a.text[0] == '"' || a.text[0] == '\'') {
		return string(a.text[:1])
	}
	return ""
}

// with returns what has to stand in the attribute's place for it to have another value.
func (a attribute) with(value string) string {
	quote := a.quote()
	if quote == "" {
		quote = `"`
	}
	written := quote + escapeAttribute(value) + quote
	if !a.equals {
		return "=" + written
	}
	return written
}

// escapeAttribute writes a value for the inside of quotes of either kind. A NUL, which HTML cannot express, becomes
// the replacement character, as it does in browsers.
func escapeAttribute(value string) string {
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case c == 0:
			b.WriteString("&#xFFFD;")
		case c < ' ' || c == 0x7F || strings.IndexByte(`&<>"'`, c) >= 0:
			fmt.Fprintf(&b, "&#%d;", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
