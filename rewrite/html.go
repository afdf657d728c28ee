package rewrite

import "strings"

// Attribute is an attribute of a start tag that may hold an address.
type Attribute struct {
	Tag   string // lower case
	Name  string // lower case
	Value string // decoded; bytes from 0x80 on stand as in the page, whose charset is not looked at
	Base  string // decoded href of the <base> in front of the tag, as the page had it; empty: none
}

// EditPage returns page with the values that edit changes, and whether it changed any. It calls edit for every href,
// src, action, formaction, value, content and data attribute, and the rarer ones that hold addresses, in the page's order.
// Outside of the values no byte changes, and page itself never does.
//
// A name that a tag repeats is handed to edit too: browsers ignore it, other readers might not. So is everything in a
// noscript, as a browser without scripts reads it. Comments and what is only text to a browser (script, style, title,
// textarea, iframe, noembed, noframes, xmp, plaintext) are not looked into.
//
// The page's charset must be a superset of ASCII: UTF-16 and ISO-2022-JP are not. And the elements inside of a title,
// style or script within SVG or MathML, where browsers see some, are not found.
func EditPage(page []byte, edit func(Attribute) (value string, changed bool)) (edited []byte, changed bool) {
	copied := 0
	for t := range tags(page) {
		if t.ends {
			continue
		}
		for a := range t.attributes() {
			if !mayHoldAddress(a.name) {
				continue
			}
			value, changes := edit(Attribute{Tag: t.name, Name: a.name, Value: a.value(), Base: t.base})
			if !changes {
				continue
			}
			edited = append(edited, page[copied:t.at+a.from]...)
			edited = append(edited, a.with(value)...)
			copied, changed = t.at+a.to, true
		}
	}
	if !changed {
		return page, false
	}
	return append(edited, page[copied:]...), true
}

func mayHoldAddress(name string) bool {
	switch name {
	case "href", "src", "action", "formaction", "value", "content", "data", "xlink:href", "ping", "poster", "cite", "background", "longdesc":
		return true
	}
	return strings.HasPrefix(name, "data-")
}

// Refresh is a meta element that sends the browser on, as a Refresh header does.
type Refresh struct {
	Value string // decoded
	Base  string // as in Attribute
}

// Refreshes returns the ones of a page.
func Refreshes(page []byte) []Refresh {
	var all []Refresh
	for t := range tags(page) {
		if t.ends || t.name != "meta" {
			continue
		}
		if kind, _ := t.value("http-equiv"); strings.EqualFold(strings.TrimSpace(kind), "refresh") {
			content, _ := t.value("content")
			all = append(all, Refresh{content, t.base})
		}
	}
	return all
}

// Form is one form of a page.
type Form struct {
	Action  string   // decoded as it stands; empty: the page's own address
	Actions []string // Action, and behind it the formaction of every button and input that has one
	Base    string   // as in Attribute, for its start tag
	Fields  []Field  // of its input and button elements that have a name, in the page's order
	inside  int      // where in the page that tag ends
}

// Field is one control of a form that may be sent with it.
type Field struct {
	Name  string // decoded, never empty
	Value string // decoded; empty when there is none
}

// Forms returns the forms of a page that a browser has: a form start tag while another form is open is none, and a
// control belongs to the form that is open, or to the one whose id its form attribute names. Forms in a noscript or
// template are forms too, and what stands there opens and closes nothing outside.
func Forms(page []byte) []Form {
	var forms []Form
	var controls []control
	byID := map[string]int{}
	for t := range tags(page) {
		switch {
		case t.ends:
		case t.opensForm:
			action, _ := t.value("action")
			forms = append(forms, Form{Action: action, Actions: []string{action}, Base: t.base, inside: t.at + len(t.text)})
			id, _ := t.value("id")
			if _, taken := byID[id]; id != "" && !taken {
				byID[id] = t.form
			}
		case t.name == "input" || t.name == "button":
			controls = append(controls, controlOf(t))
		}
	}
	for _, c := range controls {
		owner := c.form
		if c.hasFormID {
			owner = byID[c.formID] // none for an unknown one, even inside a form
		}
		if owner != 0 {
			forms[owner-1].add(c)
		}
	}
	return forms
}

// control is an input or button on its way to its form, which may stand behind it.
type control struct {
	Field
	form      int // as in tag
	formID    string
	hasFormID bool
	action    string
	hasAction bool
}

func controlOf(t tag) control {
	c := control{form: t.form}
	c.Name, _ = t.value("name")
	c.Value, _ = t.value("value")
	c.formID, c.hasFormID = t.value("form")
	c.action, c.hasAction = t.value("formaction")
	return c
}

func (f *Form) add(c control) {
	if c.Name != "" {
		f.Fields = append(f.Fields, c.Field)
	}
	if c.hasAction {
		f.Actions = append(f.Actions, c.action)
	}
}

// WithField returns page with a hidden input directly behind the start tag of f, which is one of Forms(page).
func (f Form) WithField(page []byte, name, value string) []byte {
	input := `<input type="hidden" name="` + escapeAttribute(name) + `" value="` + escapeAttribute(value) + `"/>`
	edited := make([]byte, 0, len(page)+len(input))
	edited = append(edited, page[:f.inside]...)
	edited = append(edited, input...)
	return append(edited, page[f.inside:]...)
}
