package sample

import (
	"fmt"
	"html"
	"net/url"
	"strings"
)

// LoginAddress is where an authorization server sends a browser that is not logged in, with the request nested in it.
func (r Request) LoginAddress() string {
	return "/login?lang=de&next=" + url.QueryEscape("/authorize?"+r.Form)
}

// LoginPage is a page that asks for a password, of 8 KiB for the ordinary request: its form, a hidden field and a link
// carry the request.
func (r Request) LoginPage() []byte {
	next := "/authorize?" + r.Form
	var b strings.Builder
	b.WriteString(head("Sign in"))
	fmt.Fprintf(&b, "<form method=\"post\" action=\"%s\" class=\"sign-in\">\n", html.EscapeString(r.LoginAddress()))
	fmt.Fprintf(&b, "<input type=\"hidden\" name=\"next\" value=\"%s\">\n", html.EscapeString(next))
	b.WriteString(`<input type="hidden" name="csrfmiddlewaretoken" value="u9Qy3vJr5kZbT0fPzL8sN2wXhG7cDmE4RaIoVtYxKqUj1pB6">
<label for="username">Name</label><input id="username" name="username" autocomplete="username" required autofocus>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit" name="action" value="login">Sign in</button>
`)
	fmt.Fprintf(&b, "</form>\n<p><a href=\"/register?next=%s\">Register</a> <a href=\"/password/reset\">Forgotten?</a></p>\n", html.EscapeString(url.QueryEscape(next)))
	return padded(&b, 8<<10, "<p class=\"note\">Never give your password to anybody, not even to us. <a href=\"/help/%d\">Read on</a></p>\n")
}

// LongPage is a page of 200 KiB in which no address is part of a login.
func LongPage() []byte {
	var b strings.Builder
	b.WriteString(head("Your orders"))
	return padded(&b, 200<<10, "<tr data-row=\"%d\"><td><a class=\"order\" href=\"/orders?sort=date&amp;page=3\">Order</a></td>"+
		"<td><img src=\"/static/state/sent.svg\" alt=\"sent\" width=\"16\" height=\"16\"></td><td title=\"Total\">12,50 &euro;</td></tr>\n")
}

func head(title string) string {
	return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>` + title + `</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/app.css?v=20260817"><link rel="icon" href="/favicon.ico">
<style>body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:60rem}.note{color:#555}</style>
<script src="/static/app.js?v=20260817" defer></script></head>
<body><header><nav><a href="/">Home</a> <a href="/account">Account</a> <a href="/logout">Sign out</a></nav></header>
`
}

// padded ends a page with as many lines as make it that long. A line has the place for its number.
func padded(b *strings.Builder, length int, line string) []byte {
	for n := 0; b.Len() < length; n++ {
		fmt.Fprintf(b, line, n)
	}
	b.WriteString("</body></html>\n")
	return []byte(b.String())
}
