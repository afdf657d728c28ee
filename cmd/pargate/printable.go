package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable writes text for terminals and for what reads lines. Characters that either might take for more than text are
// escaped as JSON does it, so that what is JSON stays that: controls (of ISO 6429 too, with which a terminal is steered in
// UTF-8 as well), Unicode's own ends of lines, and what changes the direction of writing. Paths and metadata may hold them, and
// the encoders of zap and of encoding/json leave most as they are. Line feeds and tabs are the encoders' own.
type printable struct{ to io.Writer }

// Write implements io.Writer.
func (p printable) Write(text []byte) (int, error) {
	const own = "\n\t"
	if utf8.Valid(text) && !bytes.ContainsFunc(text, hiddenBut(own)) { // nearly every line
		return p.to.Write(text)
	}
	if _, err := io.WriteString(p.to, escaped(string(text), own)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// escaped returns the text with all escaped that is not to be printed, but for the characters of but.
func escaped(text, but string) string {
	hidden := hiddenBut(but)
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, c := range text { // a byte that is no UTF-8 is U+FFFD, as in JSON
		if !hidden(c) {
			b.WriteRune(c)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, c) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

func hiddenBut(but string) func(rune) bool {
	return func(c rune) bool { return !unicode.IsPrint(c) && !strings.ContainsRune(but, c) }
}
