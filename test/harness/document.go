package harness

import (
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"pargate/proxy/oauth"
)

// Document is a page as a browser has it.
type Document struct {
	URL        *url.URL
	Forms      []PageForm
	Attributes []string // every attribute, as name=value, but the values of inputs
	Text       string   // of the page and its scripts

	links   []link
	refresh string // where a meta element leads
	base    *url.URL
	policy  string // Referrer-Policy
	latin1  bool   // forms are sent in ISO 8859-1
}

// PageForm is a form of a page.
type PageForm struct {
	Method   string
	Action   string // absolute
	Hidden   oauth.Params
	inputs   oauth.Params // hidden or not, in their order
	buttons  []button
	password bool
	script   map[string]string // its data- attributes
}

type button struct{ name, value, text string }

type link struct{ class, rel, href string }

// parseDocument reads a page; nil when the response is none.
func parseDocument(at *url.URL, res Response) *Document {
	mediaType := strings.ToLower(res.Header.Get("Content-Type"))
	switch {
	case strings.HasPrefix(mediaType, "text/html"), strings.HasPrefix(mediaType, "application/xhtml+xml"):
	case mediaType == "" && strings.HasPrefix(strings.TrimSpace(res.Body), "<"):
	default:
		return nil
	}
	root, err := html.Parse(strings.NewReader(res.Body))
	if err != nil {
		return nil
	}
	d := &Document{URL: at, base: at, policy: res.Header.Get("Referrer-Policy"), latin1: strings.Contains(mediaType, "iso-8859-1")}
	d.read(root, nil)
	return d
}

// read reads n and what is in it; form is the one around it.
func (d *Document) read(n *html.Node, form *PageForm) {
	a := attributes(n)
	switch {
	case n.Type == html.TextNode:
		d.Text += n.Data + "\n"
		if form != nil && n.Parent.Data == "button" && len(form.buttons) > 0 {
			form.buttons[len(form.buttons)-1].text += n.Data
		}
	case n.Type != html.ElementNode:
	case n.Data == "base" && a["href"] != "":
		d.base = d.resolve(a["href"])
	case n.Data == "meta" && strings.EqualFold(a["name"], "referrer"):
		d.policy = a["content"]
	case n.Data == "meta" && strings.EqualFold(a["http-equiv"], "refresh"):
		d.refresh = refreshTarget(a["content"])
	case n.Data == "a":
		d.links = append(d.links, link{a["class"], a["rel"], a["href"]})
	case n.Data == "form":
		f := PageForm{Method: strings.ToUpper(a["method"]), Action: d.resolve(a["action"]).String(), script: a}
		if a["action"] == "" {
			f.Action = d.URL.String()
		}
		d.Forms = append(d.Forms, f)
		form = &d.Forms[len(d.Forms)-1]
	case form == nil:
	case n.Data == "button", n.Data == "input" && a["type"] == "submit":
		form.buttons = append(form.buttons, button{a["name"], a["value"], a["value"]})
	case n.Data == "input":
		form.password = form.password || a["type"] == "password"
		p := oauth.Param{Name: a["name"], Value: a["value"]}
		form.inputs = append(form.inputs, p)
		if a["type"] == "hidden" {
			form.Hidden = append(form.Hidden, p)
		}
	}
	for name, value := range a {
		if n.Data != "input" || name != "value" {
			d.Attributes = append(d.Attributes, n.Data+" "+name+"="+value)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		d.read(c, form)
	}
}

func attributes(n *html.Node) map[string]string {
	if n.Type != html.ElementNode {
		return nil
	}
	a := map[string]string{}
	for _, attribute := range n.Attr {
		a[attribute.Key] = attribute.Val
	}
	return a
}

// resolve makes an address of the page absolute, without a fragment.
func (d *Document) resolve(address string) *url.URL {
	u, err := d.base.Parse(strings.TrimSpace(address))
	if err != nil {
		u = new(url.URL)
	}
	u.Fragment, u.RawFragment = "", ""
	return u
}

// refreshTarget is the address in a Refresh header or a meta element.
func refreshTarget(value string) string {
	_, rest, found := strings.Cut(value, ";")
	if !found {
		return ""
	}
	_, address, found := strings.Cut(rest, "=")
	if !found {
		return ""
	}
	return strings.Trim(strings.TrimSpace(address), `'"`)
}

// link finds the first link with the class or the rel.
func (d *Document) link(word string) string {
	for _, l := range d.links {
		if l.class == word || l.rel == word {
			return d.resolve(l.href).String()
		}
	}
	return ""
}

// form picks the form that the person sends, and its button: the one to sign in with, or to allow or deny.
func (d *Document) form(deny bool) (*PageForm, button) {
	for _, wanted := range []bool{deny, false} {
		for i := range d.Forms {
			f := &d.Forms[i]
			for _, b := range f.buttons {
				if isDeny := strings.Contains(strings.ToLower(b.text), "deny"); isDeny == wanted {
					return f, b
				}
			}
		}
	}
	if len(d.Forms) > 0 {
		return &d.Forms[0], button{}
	}
	return nil, button{}
}

// referrer is what a browser says of the page in a request to an address, by the page's Referrer-Policy.
func (d *Document) referrer(to *url.URL) (referer, origin string) {
	own := d.URL.Scheme + "://" + d.URL.Host
	same := to.Scheme == d.URL.Scheme && to.Host == d.URL.Host
	full := *d.URL
	full.Fragment, full.User = "", nil
	switch policy := lastToken(d.policy); {
	case policy == "no-referrer", policy == "same-origin" && !same:
		return "", "null"
	case policy == "origin", policy == "strict-origin", !same && policy != "unsafe-url" && policy != "no-referrer-when-downgrade":
		return own + "/", own
	}
	return full.String(), own
}

func lastToken(list string) string {
	parts := strings.Split(list, ",")
	return strings.TrimSpace(parts[len(parts)-1])
}

// isRedirect reports whether a browser follows the Location of a response.
func isRedirect(res Response) bool {
	switch res.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return res.Location != ""
	}
	return false
}
