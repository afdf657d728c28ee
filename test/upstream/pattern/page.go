package pattern

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// Bodies with which frameworks repeat where a redirect leads.
const (
	bodyOfGo       = "<a href=\"%s\">Found</a>.\n\n"
	bodyOfExpress  = "Found. Redirecting to %s"
	bodyOfRails    = `<html><body>You are being <a href="%s">redirected</a>.</body></html>`
	bodyOfWerkzeug = "<!doctype html>\n<title>Redirecting...</title>\n<p>You should be redirected automatically to the target URL: <a href=\"%[1]s\">%[1]s</a>.\n"
)

// redirect sends the browser on, with the body that the server's framework has for it.
func (x *exchange) redirect(location string) {
	status := x.status
	if status == 0 {
		status = http.StatusFound
	}
	x.w.Header().Set("Location", location)
	if x.repeats == "" {
		x.w.WriteHeader(status)
		return
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.w.WriteHeader(status)
	fmt.Fprintf(x.w, x.repeats, html.EscapeString(location))
}

// page sends a page.
func (x *exchange) page(body string) {
	charset := x.charset
	if charset == "" {
		charset = "utf-8"
	}
	x.w.Header().Set("Content-Type", "text/html; charset="+charset)
	fmt.Fprintf(x.w, "<!DOCTYPE html>\n<html><head><title>Legacy</title></head>\n<body>%s</body></html>\n", body)
}

// fields are hidden fields of a form.
type fields [][2]string

// fields returns the named parameters as hidden fields.
func (a Asked) fields(names ...string) fields {
	var f fields
	for _, name := range names {
		if a[name] != "" {
			f = append(f, [2]string{name, a[name]})
		}
	}
	return f
}

func (f fields) String() string {
	var b strings.Builder
	for _, field := range f {
		fmt.Fprintf(&b, `<input type="hidden" name="%s" value="%s">`, field[0], html.EscapeString(field[1]))
	}
	return b.String()
}

// form is a form with hidden fields and whatever else.
func form(action string, hidden fields, rest string) string {
	return fmt.Sprintf(`<form method="post" action="%s">%s%s</form>`, html.EscapeString(action), hidden, rest)
}

const (
	passwordFields = `<input name="username"><input name="password" type="password"><button>Sign in</button>`
	decision       = `<button name="allow" value="yes">Allow</button><button name="deny" value="yes">Deny</button>`
)

// loginPage asks for the password; again, when a wrong one was sent.
func (x *exchange) loginPage(action string, hidden ...[2]string) {
	again := ""
	if x.post() {
		again = "<p>Wrong user or password."
	}
	x.page(again + form(action, hidden, passwordFields))
}

// consentPage asks whether the client may have what it wants.
func (x *exchange) consentPage(action string, hidden ...[2]string) {
	x.page("<p>May the application sign you in?" + form(action, hidden, decision))
}

// passwordIsRight reports whether a login form was sent that is right.
func (x *exchange) passwordIsRight() bool {
	password := x.body.Get("password")
	if x.charset == "iso-8859-1" {
		password = fromLatin1(password)
	}
	return x.post() && x.body.Get("username") == User && password == Password
}

func fromLatin1(s string) string {
	runes := make([]rune, 0, len(s))
	for _, b := range []byte(s) {
		runes = append(runes, rune(b))
	}
	return string(runes)
}

// allowed reports whether the consent form was sent with Allow.
func (x *exchange) allowed() bool {
	return x.post() && x.body.Get("allow") != "" && x.body.Get("deny") == ""
}
