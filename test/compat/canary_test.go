//go:build compat

package compat

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Where a page shows something.
const (
	inHiddenField = "hidden fields"
	inText        = "visible text"
	inLink        = "links and form actions"
	inAttribute   = "other attributes"
	inScript      = "scripts"
)

// sightings are the names of the parameters whose values a browser saw, by where it saw them.
type sightings map[string]map[string]bool

func (s sightings) add(where string, names []string) {
	for _, name := range names {
		if s[where] == nil {
			s[where] = map[string]bool{}
		}
		s[where][name] = true
	}
}

// names returns what was seen there, in order.
func (s sightings) names(where string) []string { return slices.Sorted(maps.Keys(s[where])) }

// places says in a few words where something was seen.
func (s sightings) places() string {
	if len(s) == 0 {
		return "nowhere"
	}
	return strings.Join(slices.Sorted(maps.Keys(s)), ", ")
}

// saw says where the browser saw values of the request before the authorization response, which came with its last
// step. What the first request shows is the client's doing.
func (b *browser) saw(a authorization) sightings {
	seen := sightings{}
	for i, s := range b.steps {
		last := i == len(b.steps)-1
		if i > 0 {
			seen.add("URLs", a.seenIn(s.url))
		}
		for name, values := range s.header {
			if name != "Location" || !last {
				seen.add("the header "+name, a.seenIn(strings.Join(values, "\n")))
			}
		}
		switch {
		case last: // the page that is the response, or what repeats its address
		case s.status >= http.StatusMultipleChoices && s.status < http.StatusBadRequest:
			seen.add("bodies of redirects", a.seenIn(s.answer))
		case s.page == nil:
			seen.add("bodies without a page", a.seenIn(s.answer))
		default:
			seen.addPage(a, s.answer)
		}
	}
	return seen
}

func (s sightings) addPage(a authorization, text string) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		s.add("a broken page", a.seenIn(text))
		return
	}
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode && within(n, "script"):
			s.add(inScript, a.seenIn(n.Data))
		case n.Type == html.TextNode, n.Type == html.CommentNode:
			s.add(inText, a.seenIn(n.Data))
		}
		for _, attribute := range n.Attr {
			where := inAttribute
			switch {
			case n.Data == "input" && attribute.Key == "value":
				where = inHiddenField
			case slices.Contains([]string{"href", "action", "formaction", "src", "content"}, attribute.Key):
				where = inLink
			}
			s.add(where, a.seenIn(attribute.Val))
		}
	}
}
