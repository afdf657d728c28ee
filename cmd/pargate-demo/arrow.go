package main

import (
	"fmt"
	"strconv"
)

// Class says where the arrow is drawn: from which column to which, how many it crosses, and where its head is.
func (e event) Class() string {
	from, to, head := int(e.From)+1, int(e.To)+1, "right"
	if from > to {
		from, to, head = to, from, "left"
	}
	return fmt.Sprintf("a%d b%d n%d %s", from, to, to-from+1, head)
}

// AtBrowser reports whether the browser has sent or received it.
func (e event) AtBrowser() bool { return e.From == atBrowser || e.To == atBrowser }

// Anchor is the name of the arrow on its page.
func (e event) Anchor() string {
	if e.Of == "" {
		return "arrow-" + strconv.Itoa(e.ID)
	}
	return e.Of + "-arrow-" + strconv.Itoa(e.ID)
}
