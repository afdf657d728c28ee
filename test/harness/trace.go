package harness

import (
	"fmt"
	"slices"
	"strings"

	"pargate/proxy/oauth"
)

// Trace is everything that a browser has sent and got, in its order.
type Trace []*Visit

// Visit is a request and its response.
type Visit struct {
	Step     Step
	Response Response
	Page     *Document // nil: no page

	start bool // the address is the one that the person began with
	last  bool // the response is the authorization response
}

// Leaks says where the request's canaries were before the authorization response: in which URL, header, attribute,
// text or body without a page. A hidden field may have the value of the parameter that it is called after.
func (tr Trace) Leaks(a AuthorizationRequest) []string {
	var leaks []string
	for _, v := range tr {
		see := func(where, text string) {
			for _, name := range a.In(text) {
				leaks = append(leaks, fmt.Sprintf("%d %s %s: %s in %s", v.Step.Index, v.Step.Method, v.path(), name, where))
			}
		}
		if !v.start {
			see("the URL", v.Step.URL)
		}
		for name, values := range v.Response.Header {
			if !v.last || name != "Location" {
				see("the header "+name, strings.Join(values, "\n"))
			}
		}
		switch {
		case v.last:
		case v.Page == nil:
			see("the body", v.Response.Body)
		default:
			for _, attribute := range v.Page.Attributes {
				name, value, _ := strings.Cut(attribute, "=")
				see(name, value)
			}
			see("the text", v.Page.Text)
			for _, p := range v.Page.hidden() {
				if len(a.In(p.Value)) > 0 && p.Value != a.Get(p.Name) {
					see("the hidden field "+p.Name, p.Value)
				}
			}
		}
	}
	slices.Sort(leaks)
	return slices.Compact(leaks)
}

// LeakedNames are the names of the parameters in Leaks.
func (tr Trace) LeakedNames(a AuthorizationRequest) []string {
	var names []string
	for _, leak := range tr.Leaks(a) {
		_, rest, _ := strings.Cut(leak, ": ")
		name, _, _ := strings.Cut(rest, " ")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Hidden are the names of the parameters that stood in hidden fields of their own.
func (tr Trace) Hidden(a AuthorizationRequest) []string {
	var names []string
	for _, v := range tr {
		if v.Page == nil || v.last {
			continue
		}
		for _, p := range v.Page.hidden() {
			if len(a.In(p.Value)) > 0 && p.Value == a.Get(p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// String tells the way in a few lines.
func (tr Trace) String() string {
	var b strings.Builder
	for _, v := range tr {
		fmt.Fprintf(&b, "%d %s %.150s", v.Step.Index, v.Step.Method, v.Step.URL)
		if v.Step.IsPost() {
			fmt.Fprintf(&b, " with %.100s", v.Step.Form.Encode())
		}
		fmt.Fprintf(&b, "\n\t%d %.150s", v.Response.Status, v.Response.Header.Get("Location"))
		if v.Page != nil {
			fmt.Fprintf(&b, " %.150s", strings.Join(strings.Fields(v.Page.Text), " "))
		} else if v.Response.Status >= 400 {
			fmt.Fprintf(&b, " %.200s", v.Response.Body)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (v *Visit) path() string {
	_, rest, _ := strings.Cut(v.Step.URL, "://")
	_, path, _ := strings.Cut(rest, "/")
	path, _, _ = strings.Cut(path, "?")
	return "/" + path
}

func (d *Document) hasPassword() bool {
	return slices.ContainsFunc(d.Forms, func(f PageForm) bool { return f.password })
}

// Sends reports whether the request's form or JSON has a field called name.
func (v *Visit) Sends(name string) bool {
	return v.Step.Form.Get(name) != "" || strings.Contains(v.Step.JSON, `"`+name+`"`)
}

// hidden are the hidden fields of all forms.
func (d *Document) hidden() oauth.Params {
	var all oauth.Params
	for _, f := range d.Forms {
		all = append(all, f.Hidden...)
	}
	return all
}

// count counts requests for the same.
func (tr Trace) count(step *Step) int {
	n := 0
	for _, v := range tr {
		if v.Step.equal(step) {
			n++
		}
	}
	return n
}
