package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// thePage is docs/how-par-works.md, which has the drawings of a sign-in.
const thePage = "../../docs/how-par-works.md"

// apart is how many columns are between two lanes of a drawing.
const apart = 10

// drawing is arrows made with characters: five lanes, and beside them what each arrow is called.
func drawing(events []event) string {
	var b strings.Builder
	for i, l := range lanes {
		name := l.String()
		left := i*apart + 4 - utf8.RuneCountInString(name)/2
		b.WriteString(strings.Repeat(" ", left-utf8.RuneCountInString(b.String())) + name)
	}
	b.WriteString("\n")
	for _, e := range events {
		line := []rune(strings.Repeat(" ", 4*apart+8))
		for i := range lanes {
			line[i*apart+4] = '│'
		}
		from, to := int(e.From)*apart+4, int(e.To)*apart+4
		for x := min(from, to) + 1; x < max(from, to); x++ {
			line[x] = '─'
		}
		if from < to {
			line[to-1] = '▶'
		} else {
			line[to+1] = '◀'
		}
		fmt.Fprintf(&b, "%s%s\n", string(line), e.Title)
	}
	return b.String()
}

// The page tells the ten steps by their names, with the arrows of a sign-in as it happens here. PARGATE_DRAW=1 draws them anew.
func TestThePageHasTheStepsAsTheyHappen(t *testing.T) {
	p, v := startPicture(t, setup{})
	page := v.post(t, "/runs", "request=big&server=express")
	v.post(t, page.at+"/sign-in", "")
	v.get(t, page.at+"/events?after=0")
	text, err := os.ReadFile(thePage)
	if err != nil {
		t.Fatal(err)
	}
	told := string(text)
	for i, s := range steps {
		heading := fmt.Sprintf("## %d. %s\n", i+1, s.Title)
		before, section, found := strings.Cut(told, heading)
		if !found {
			t.Errorf("the page has no heading %q", heading)
			continue
		}
		var arrows []event
		for _, e := range p.takes[0].film.all() {
			if e.Step == i+1 {
				arrows = append(arrows, e)
			}
		}
		block := regexp.MustCompile("(?s)```text\n.*?```\n").FindString(section)
		want := "```text\n" + drawing(arrows) + "```\n"
		if block != want && os.Getenv("PARGATE_DRAW") == "" {
			t.Errorf("step %d: the page has\n%s\nand what happens is\n%s", i+1, block, want)
		}
		told = before + heading + strings.Replace(section, block, want, 1)
	}
	if os.Getenv("PARGATE_DRAW") != "" {
		if err := os.WriteFile(thePage, []byte(told), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
