package rewrite

import (
	"bytes"
	"iter"

	"golang.org/x/net/html"
)

// tag is a start or end tag of a page.
type tag struct {
	name      string // lower case
	text      []byte // as it stands in the page, from "<" to ">"
	at        int    // where in the page that is
	ends      bool   // it is an end tag
	base      string // as in Attribute
	form      int    // the form that is open, counted from 1, or that a form start tag opens; 0: none
	opensForm bool
}

// tags returns the tags of a page in their order. A tag that the page's end cuts off is none.
func tags(page []byte) iter.Seq[tag] {
	return func(yield func(tag) bool) {
		r := tagReader{page: page, yield: yield, scopes: []scope{{}}, outermost: 1}
		r.read(0, len(page), false)
	}
}

// tagReader goes through a page and keeps what a tag means for those behind it.
type tagReader struct {
	page      []byte
	yield     func(tag) bool
	scopes    []scope // the page's, and that of each noscript and template that is open
	outermost int     // as many scopes stay when a template ends
	forms     int     // so many have been opened
}

// scope is what has been opened in the page. A noscript or template begins with what is open around it and leaves no
// trace behind: to a browser with scripts it is nothing but text, or a document of its own.
type scope struct {
	base    string
	hasBase bool // only the first base with a href counts, be it empty
	form    int
}

// read goes through page[at:end] and reports whether the caller wants more. What the tokenizer makes of noscript is
// right for a browser with scripts: text. That text is read a second time, as a browser without scripts does.
func (r *tagReader) read(at, end int, inNoscript bool) bool {
	z := html.NewTokenizer(bytes.NewReader(r.page[at:end]))
	foreign, textIsNoscript := 0, false
	for {
		kind := z.Next()
		from := at
		at += len(z.Raw())
		switch kind {
		case html.ErrorToken:
			return true
		case html.TextToken:
			if textIsNoscript && !r.readNoscript(from, at) {
				return false
			}
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, _ := z.TagName()
			t := tag{name: string(name), text: r.page[from:at], at: from, ends: kind == html.EndTagToken}
			foreign = max(0, foreign+foreignness(t.name, kind))
			// In SVG <title/> and <style/> are complete; the tokenizer would take the rest of the page for their text.
			noText := t.name == "noscript" && inNoscript || foreign > 0 && kind == html.SelfClosingTagToken
			if noText {
				z.NextIsNotRawText()
			}
			textIsNoscript = t.name == "noscript" && !t.ends && !noText
			if !r.pass(t) {
				return false
			}
		}
	}
}

// foreignness returns how many SVG and MathML elements more a tag opens.
func foreignness(name string, kind html.TokenType) int {
	switch {
	case name != "svg" && name != "math":
		return 0
	case kind == html.StartTagToken:
		return 1
	case kind == html.EndTagToken:
		return -1
	}
	return 0
}

func (r *tagReader) readNoscript(at, end int) bool {
	around, outermost := len(r.scopes), r.outermost
	r.open()
	r.outermost = len(r.scopes)
	more := r.read(at, end, true)
	r.scopes, r.outermost = r.scopes[:around], outermost
	return more
}

func (r *tagReader) open() { r.scopes = append(r.scopes, r.scopes[len(r.scopes)-1]) }

// pass hands t over with what counts for it, and keeps what it changes.
func (r *tagReader) pass(t tag) bool {
	s := &r.scopes[len(r.scopes)-1]
	t.opensForm = t.name == "form" && !t.ends && s.form == 0
	if t.opensForm {
		r.forms++
		s.form = r.forms
	}
	t.base, t.form = s.base, s.form
	if !r.yield(t) {
		return false
	}
	switch {
	case t.name == "base" && !t.ends && !s.hasBase:
		s.base, s.hasBase = t.value("href")
	case t.name == "form" && t.ends:
		s.form = 0
	case t.name == "template" && !t.ends:
		r.open()
	case t.name == "template" && len(r.scopes) > r.outermost:
		r.scopes = r.scopes[:len(r.scopes)-1]
	}
	return true
}
