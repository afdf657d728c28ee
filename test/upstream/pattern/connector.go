package pattern

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"html"
	"net/url"
	"strings"
)

// connectorHop sends the whole request on to a path below the endpoint, as Dex does with one connector: sorted,
// re-encoded, and repeated in the redirect's body. From there an id and a signature carry it, back over the endpoint.
func connectorHop() Pattern { return connectors("connector hop", "local") }

// connectorPage has a page of links with the whole request in each, as Dex does with two connectors. The login page
// knows the way back there, to an address that has prompt=select_account too, in its own address and in its form's.
func connectorPage() Pattern { return connectors("connector page", "local", "other") }

func connectors(name string, ids ...string) Pattern {
	p := Pattern{
		Name: name, Authorize: "/dex/auth", POST: true, status: 303, repeats: bodyOfGo,
		handlers: map[string]handler{
			"/dex/auth":     func(x *exchange) { x.connectorEndpoint(ids) },
			"/dex/approval": (*exchange).connectorApproval,
		},
	}
	for _, id := range ids {
		p.handlers["/dex/auth/"+id] = func(x *exchange) { x.connector(len(ids) > 1) }
		p.handlers["/dex/auth/"+id+"/login"] = (*exchange).connectorLogin
	}
	return p
}

// connectorEndpoint is where a login starts, and where it comes by twice again.
func (x *exchange) connectorEndpoint(ids []string) {
	if _, ok := x.signed("consent"); ok {
		x.redirect(signedAddress("/dex/approval", "approval", x.query.Get("req")))
		return
	}
	if asked, ok := x.signed("done"); ok {
		delete(x.kept, x.query.Get("req"))
		x.code(asked)
		return
	}
	if !x.accept(x.read(x.body, x.query)) {
		return
	}
	query := x.form().Encode()
	if len(ids) == 1 {
		x.redirect("/dex/auth/" + ids[0] + "?" + query)
		return
	}
	var links strings.Builder
	for _, id := range ids {
		links.WriteString(`<a class="connector" href="` + attributeOfGo("/dex/auth/"+id+"?"+query) + `">Log in with ` + id + `</a>`)
	}
	x.page(links.String())
}

// connector takes the whole request, be it the browser's first or not.
func (x *exchange) connector(several bool) {
	asked := x.read(x.body, x.query)
	if !x.accept(asked) {
		return
	}
	back := ""
	if several {
		values := x.form()
		values.Set("prompt", "select_account")
		back = "/dex/auth?" + values.Encode()
	}
	x.redirect(x.path + "/login?back=" + url.QueryEscape(back) + "&state=" + x.keep(asked))
}

func (x *exchange) connectorLogin() {
	if id := x.query.Get("state"); x.passwordIsRight() && x.kept[id] != nil {
		x.redirect(signedAddress("/dex/auth", "consent", id))
		return
	}
	back := ""
	if b := x.query.Get("back"); b != "" {
		back = `<a rel="back" href="` + attributeOfGo(b) + `">Select another login method.</a>`
	}
	x.page(form(x.r.URL.RequestURI(), nil, passwordFields) + back)
}

func (x *exchange) connectorApproval() {
	switch _, ok := x.signed("approval"); {
	case !ok:
		x.lost()
	case x.allowed():
		x.redirect(signedAddress("/dex/auth", "done", x.query.Get("req")))
	default:
		x.page(form(x.r.URL.RequestURI(), nil, `<button name="allow" value="yes">Grant access</button>`))
	}
}

// form is the query and the body, the body's values first.
func (x *exchange) form() url.Values {
	values := url.Values{}
	for _, part := range []url.Values{x.body, x.query} {
		for name, all := range part {
			values[name] = append(values[name], all...)
		}
	}
	return values
}

// attributeOfGo escapes as html/template does in an attribute.
func attributeOfGo(s string) string { return strings.ReplaceAll(html.EscapeString(s), "+", "&#43;") }

// signedAddress is where a login goes on that is at the step.
func signedAddress(path, step, id string) string {
	return path + "?hmac=" + signature(step, id) + "&req=" + id
}

func signature(step, id string) string {
	mac := hmac.New(sha256.New, []byte("a key"))
	mac.Write([]byte(step + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed returns the request of a login that is at the step.
func (x *exchange) signed(step string) (Asked, bool) {
	id := x.query.Get("req")
	asked, ok := x.kept[id].(Asked)
	return asked, ok && hmac.Equal([]byte(x.query.Get("hmac")), []byte(signature(step, id)))
}
