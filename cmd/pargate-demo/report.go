package main

import (
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// width is how many columns a line of the report has at most.
const width = 100

// report prints steps, what was seen in them, and what was checked.
type report struct {
	out    io.Writer
	failed bool // a check was not met
}

// begin begins a step, or something that is none and has no number.
func (r *report) begin(step int, title string) {
	number := ""
	if step > 0 {
		number = strconv.Itoa(step)
	}
	fmt.Fprintf(r.out, "%2s  %s\n", number, title)
}

// say prints a line.
func (r *report) say(text string) { fmt.Fprintf(r.out, "    %s\n", clip(text, width-4)) }

// seen prints what a tap saw, with its size, which may be empty.
func (r *report) seen(label, text, size string) {
	const labels, sizes = 22, 12
	room := width - 4 - labels - 2
	if size == "" {
		fmt.Fprintf(r.out, "    %-*s  %s\n", labels, label, clip(text, room))
		return
	}
	room -= 2 + sizes
	fmt.Fprintf(r.out, "    %-*s  %-*s  %*s\n", labels, label, room, clip(text, room), sizes, size)
}

// same checks that two values are equal, and prints both when they are not.
func (r *report) same(what, want, got string) bool {
	if want == got {
		r.met(what)
		return true
	}
	want, got = aroundDifference(want, got)
	r.missed(what, want, got)
	return false
}

// sameSecret is same for values that are not printed in full.
func (r *report) sameSecret(what, want, got string) bool {
	if want == got {
		r.met(what)
		return true
	}
	r.missed(what, mask(want), mask(got))
	return false
}

// sameNumber is same for numbers.
func (r *report) sameNumber(what string, want, got int) bool {
	return r.same(what, strconv.Itoa(want), strconv.Itoa(got))
}

// holds checks something that is no comparison of two values; want says what it should be.
func (r *report) holds(what string, ok bool, want, got string) bool {
	if ok {
		r.met(what)
	} else {
		r.missed(what, want, clip(got, width-16))
	}
	return ok
}

func (r *report) met(what string) { fmt.Fprintf(r.out, "    ✓ %s\n", clip(what, width-6)) }

func (r *report) missed(what, want, got string) {
	r.failed = true
	fmt.Fprintf(r.out, "    ✗ %s\n      expected  %s\n      seen      %s\n", clip(what, width-6), orNothing(want), orNothing(got))
}

// orNothing makes an empty value visible.
func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return text
}

// clip shortens a text to n characters.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n-1, 0)]) + "…"
}

// aroundDifference cuts two unequal texts down to where they begin to differ.
func aroundDifference(a, b string) (string, string) {
	const before, after = 20, 50
	ra, rb := []rune(a), []rune(b)
	same := 0
	for same < len(ra) && same < len(rb) && ra[same] == rb[same] {
		same++
	}
	window := func(r []rune) string {
		from, to := max(0, same-before), min(len(r), same+after)
		text := string(r[min(from, len(r)):to])
		if from > 0 {
			text = "…" + text
		}
		if to < len(r) {
			text += "…"
		}
		return text
	}
	return window(ra), window(rb)
}

// mask shows of a secret how it begins and how long it is.
func mask(secret string) string {
	shown := 4
	if len(secret) < 16 {
		shown = 0
	}
	return fmt.Sprintf("%s… (%d characters)", secret[:shown], len(secret))
}

// inBytes is a size.
func inBytes(n int) string { return strconv.Itoa(n) + " bytes" }
