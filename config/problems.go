package config

import (
	"fmt"
	"strings"
)

// Problem is what is wrong with one variable. The text continues its name: `UPSTREAM_URL` `is not set`.
type Problem struct {
	Name string // as the operator wrote it
	Text string // one line or more
}

// Problems is everything that is wrong with the configuration, in the order of the settings.
type Problems []Problem

// Error is a block of lines for a terminal, indented and aligned, without a line above or an end of line below.
func (p Problems) Error() string {
	width := 0
	for _, one := range p {
		width = max(width, len(one.Name))
	}
	var b strings.Builder
	for i, one := range p {
		if i > 0 {
			b.WriteByte('\n')
		}
		text := strings.ReplaceAll(one.Text, "\n", "\n"+strings.Repeat(" ", width+5))
		fmt.Fprintf(&b, "  %-*s   %s", width, one.Name, text)
	}
	return b.String()
}

// Warning is about a setting that is accepted and may surprise. The text continues its name.
type Warning struct {
	Name string // as the operator wrote it
	Text string
}

// String is the name and the text.
func (w Warning) String() string { return w.Name + " " + w.Text }

// quote shows a value in a message. What might hold a password of a URL is not shown.
func quote(value string) string {
	if mayHoldPassword(value) {
		return "the value (not shown: it may hold a password)"
	}
	const most = 80
	if len(value) > most {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(value[:most], ""))
	}
	return fmt.Sprintf("%q", value)
}

// mayHoldPassword reports whether a value could be a URL with user info, well-formed or not.
func mayHoldPassword(value string) bool {
	return strings.Contains(value, "@") || strings.Contains(value, "%40")
}
