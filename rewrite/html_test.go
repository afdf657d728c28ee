package rewrite_test

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"pargate/rewrite"
)

func ExampleEditPage() {
	page := []byte(`<A HREF='/authorize?state=1&amp;x=2' class=b>Go on</A><!-- href="/authorize?state=1" -->`)
	edited, changed := rewrite.EditPage(page, func(a rewrite.Attribute) (string, bool) {
		return strings.Replace(a.Value, "state=1&", `state="&`, 1), strings.HasPrefix(a.Value, "/authorize?")
	})
	fmt.Println(string(edited), changed)
	// Output:
	// <A HREF='/authorize?state=&#34;&#38;x=2' class=b>Go on</A><!-- href="/authorize?state=1" --> true
}

func ExampleForms() {
	page := []byte(`<form method=post action="https://app.example/cb"><input type=hidden name=code value=x></form>`)
	form := rewrite.Forms(page)[0]
	fmt.Println(form.Action, form.Fields)
	fmt.Println(string(form.WithField(page, "iss", "https://as.example")))
	// Output:
	// https://app.example/cb [{code x}]
	// <form method=post action="https://app.example/cb"><input type="hidden" name="iss" value="https://as.example"/><input type=hidden name=code value=x></form>
}

// changeX gives a value with an "X" in it the value v<&">'.
func changeX(a rewrite.Attribute) (string, bool) { return `v<&">'`, strings.Contains(a.Value, "X") }

const written = `v&#60;&#38;&#34;&#62;&#39;`

func TestEditPageChangesValuesInTheirPlace(t *testing.T) {
	t.Parallel()
	const w = written
	for _, test := range []struct{ name, page, want string }{
		{"double quotes", `<a href="X">`, `<a href="` + w + `">`},
		{"single quotes", `<a href='X'>`, `<a href='` + w + `'>`},
		{"no quotes", `<a href=X>`, `<a href="` + w + `">`},
		{"no quotes and a slash that is part of the value", `<a href=X/>`, `<a href="` + w + `">`},
		{"a self-closing tag", `<img src="X"/>`, `<img src="` + w + `"/>`},
		{"blanks everywhere", "<a\n href\t=\r\n \"X\" >", "<a\n href\t=\r\n \"" + w + "\" >"},
		{"capitals", `<A HrEf="X">`, `<A HrEf="` + w + `">`},
		{"every name", `<a href=X src=X action=X formaction=X value=X content=X>`, strings.ReplaceAll(`<a href=X src=X action=X formaction=X value=X content=X>`, "X", `"`+w+`"`)},
		{"other names", `<a hre=X dat=X alt=X title=X ſrc=X hrefs=X>`, `<a hre=X dat=X alt=X title=X ſrc=X hrefs=X>`},
		{"a name behind a slash", `<a/href=X>`, `<a/href="` + w + `">`},
		{"names without blanks between", `<a title="a"href="X"src='X'>`, `<a title="a"href="` + w + `"src='` + w + `'>`},
		{"a name that begins with =", `<a =href=X href=X>`, `<a =href=X href="` + w + `">`},
		{"a value behind such a name", `<a =b= href=X>`, `<a =b= href=X>`},
		{"a value behind another slash", `<a href / =X href=X>`, `<a href / =X href="` + w + `">`},
		{"a repeated name", `<a href=1 href=X>`, `<a href=1 href="` + w + `">`},
		{"a value with a >", `<a title=">" href="X>">`, `<a title=">" href="` + w + `">`},
		{"an unquoted value with quotes and =", `<a href=a"X'=b>`, `<a href="` + w + `">`},
		{"an attribute inside of another", `<a title="href='X'">`, `<a title="href='X'">`},
		{"an end tag", `</a href=X>`, `</a href=X>`},
		{"text", `href="X"`, `href="X"`},
		{"a comment", `<!-- <a href=X> --><a href=X>`, `<!-- <a href=X> --><a href="` + w + `">`},
		{"a bogus comment", `<? <a href=X>`, `<? <a href=X>`},
		{"a doctype", `<!DOCTYPE a href=X>`, `<!DOCTYPE a href=X>`},
		{"a script", `<script src=X>"<a href=X>"</script>`, `<script src="` + w + `">"<a href=X>"</script>`},
		{"a script in a script", `<script><!--<script></script><a href=X>--></script>`, `<script><!--<script></script><a href=X>--></script>`},
		{"a style", `<style><a href=X></style>`, `<style><a href=X></style>`},
		{"a title and a textarea", `<title><a href=X></title><textarea><a href=X></textarea>`, `<title><a href=X></title><textarea><a href=X></textarea>`},
		{"an iframe", `<iframe src=X><a href=X></iframe>`, `<iframe src="` + w + `"><a href=X></iframe>`},
		{"plaintext", `<plaintext><a href=X>`, `<plaintext><a href=X>`},
		{"a noscript", `<noscript><meta content="0;url=X"></noscript><a href=X>`, `<noscript><meta content="` + w + `"></noscript><a href="` + w + `">`},
		{"a noscript that is empty", `<noscript></noscript>a<a href=X>`, `<noscript></noscript>a<a href="` + w + `">`},
		{"a noscript in a noscript", `<noscript><NOSCRIPT><a href=X></noscript></noscript>`, `<noscript><NOSCRIPT><a href="` + w + `"></noscript></noscript>`},
		{"a script in a noscript", `<noscript><script><a href=X></script><a href=X></noscript>`, `<noscript><script><a href=X></script><a href="` + w + `"></noscript>`},
		{"a noscript without an end", `<noscript>a<a href=X>`, `<noscript>a<a href="` + w + `">`},
		{"a complete title in SVG", `<svg><title/><a href=X></svg>`, `<svg><title/><a href="` + w + `"></svg>`},
		{"a complete title in SVG behind an end that is none", `</svg><svg><title/><a href=X>`, `</svg><svg><title/><a href="` + w + `">`},
		{"a title in SVG", `<svg><title>a</title><a href=X></svg>`, `<svg><title>a</title><a href="` + w + `"></svg>`},
		{"a title behind complete SVG", `<svg/><title/><a href=X></title>`, `<svg/><title/><a href=X></title>`},
		{"a title behind SVG", `</math><svg><math></math></svg><title/><a href=X>`, `</math><svg><math></math></svg><title/><a href=X>`},
		{"a tag that is cut off", `<a href=X><a href="X" `, `<a href="` + w + `"><a href="X" `},
		{"a quote that is cut off", `<a href="X>`, `<a href="X>`},
		{"a CDATA section, which HTML does not have", `<![CDATA[<a href=X>]]>`, `<![CDATA[<a href=X>]]>`},
		{"bytes that are no UTF-8", "\xff<\xffa href=X><a\xff \xff href=\xffX title=\xff>\xff", "\xff<\xffa href=X><a\xff \xff href=\"" + w + "\" title=\xff>\xff"},
		{"line ends and NUL stay", "\r\n\x00<a href=X title='\r\n\x00'>\r", "\r\n\x00<a href=\"" + w + "\" title='\r\n\x00'>\r"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, changed := rewrite.EditPage([]byte(test.page), changeX)
			if string(got) != test.want || changed != (test.page != test.want) {
				t.Errorf("EditPage(%q)\n got %q, %t\nwant %q", test.page, got, changed, test.want)
			}
		})
	}
}

func TestEditPageGivesAnAttributeAValue(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		`<a href>`:                `<a href="v">`,
		`<a href/>`:               `<a href="v"/>`,
		`<a href title=a>`:        `<a href="v" title=a>`,
		`<a href  >`:              `<a href="v"  >`,
		`<a href = >`:             `<a href = "v">`,
		`<a href=>`:               `<a href="v">`,
		`<a href="">`:             `<a href="v">`,
		`<a href=''>`:             `<a href='v'>`,
		`<a href href>`:           `<a href="v" href="v">`,
		`<noscript><a href>`:      `<noscript><a href="v">`,
		`<input value=''name='a'`: `<input value=''name='a'`,
	} {
		got, _ := rewrite.EditPage([]byte(page), func(a rewrite.Attribute) (string, bool) { return "v", a.Value == "" })
		if string(got) != want {
			t.Errorf("EditPage(%q) = %q, want %q", page, got, want)
		}
	}
}

func TestEditPageDecodesValues(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"a&amp;b&#61;c&#x3D;d"`:     "a&b=c=d",
		`'a&quot;b&apos;c'`:          `a"b'c`,
		`a&amp;b`:                    "a&b",
		`a"&amp'`:                    `a"&'`,
		`"?a&lt=1&copy=2&reg"`:       "?a&lt=1&copy=2®",
		`"&notit;&ampx&amp;amp;"`:    "&notit;&ampx&amp;",
		`"&#0;&#128;&#xD800;&#x;&#"`: "\ufffd€\ufffd&#x;&#",
		"\"a\r\nb\rc\x00\"":          "a\nb\nc\ufffd",
		`" a "`:                      " a ",
		"\"\xe4&#228;\"":             "\xe4ä",
	} {
		var got []string
		rewrite.EditPage([]byte("<a href="+raw+">"), func(a rewrite.Attribute) (string, bool) {
			got = append(got, a.Value)
			return "", false
		})
		if !slices.Equal(got, []string{want}) {
			t.Errorf("the value %s is read as %q, want %q", raw, got, want)
		}
	}
}

func TestEditPageKnowsTheBase(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, page, want string }{
		{"the first one with an href", `<a href=1><base target=a><base href=/b/><a href=2><base href=/c/><a href=3>`, "1: /b/: 2:/b/ /c/:/b/ 3:/b/"},
		{"decoded", `<BASE HREF="/?a&amp;b"><a href=1>`, "/?a&b: 1:/?a&b"},
		{"an empty one is the first too", `<base href><base href=/b/><a href=1>`, ": /b/: 1:"},
		{"in a comment", `<!-- <base href=/b/> --><a href=1>`, "1:"},
		{"an end tag", `</base href=/b/><a href=1>`, "1:"},
		{"in a noscript it ends there", `<noscript><base href=/b/><a href=1></noscript><a href=2>`, "/b/: 1:/b/ 2:"},
		{"in front of a noscript", `<base href=/b/><noscript><base href=/c/><a href=1></noscript><a href=2>`, "/b/: /c/:/b/ 1:/b/ 2:/b/"},
		{"in a template it ends there", `<template><base href=/b/><a href=1></template><a href=2>`, "/b/: 1:/b/ 2:"},
		{"the end of a template that is none", `</template><base href=/b/></template><a href=1>`, "/b/: 1:/b/"},
		{"as the page had it, though it is changed", `<base href=X><a href=1>`, "X: 1:X"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			rewrite.EditPage([]byte(test.page), func(a rewrite.Attribute) (string, bool) {
				got = append(got, a.Value+":"+a.Base)
				return changeX(a)
			})
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("EditPage(%q) sees %q, want %q", test.page, got, test.want)
			}
		})
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, page, want string }{
		{"none", `<a href=1><input name=a>`, ""},
		{"fields in their order", `<form action=/a><input name=a value=1><p><BUTTON NAME=b VALUE="&amp;">x</button><input name=c></form>`, "/a[a=1 b=& c=]"},
		{"one without an action", `<form></form>`, "[]"},
		{"a decoded action", `<form action="?a&amp;b">`, "?a&b[]"},
		{"fields without a name", `<form><input value=1><input name value=2><input name="" value=3></form>`, "[]"},
		{"an end tag with a name", `<form></input name=a></form>`, "[]"},
		{"a repeated name", `<form><input name=a name=b value=1 value=2></form>`, "[a=1]"},
		{"other elements", `<form><textarea name=a>1</textarea><select name=b></select></form>`, "[]"},
		{"two forms", `<form action=/a><input name=a></form><input name=b><form action=/c><input name=c>`, "/a[a=]; /c[c=]"},
		{"a form in a form is none", `<form action=/a><form action=/b><input name=a></form><input name=b><form action=/c>`, "/a[a=]; /c[]"},
		{"an end tag alone", `</form><form action=/a></form></form>`, "/a[]"},
		{"a form that calls itself complete", `<form action=/a /><input name=a>`, "/a[a=]"},
		{"fields of a form by its id", `<input name=a form=f><form id=f action=/a><input name=b></form><form action=/c><input name=d form=f></form>`, "/a[a= b= d=]; /c[]"},
		{"fields of no form", `<form id=f><input name=a form><input name=b form=g></form>`, "[]"},
		{"two forms with one id", `<form action=/a id=f></form><form action=/b id=f></form><input name=a form=f>`, "/a[a=]; /b[]"},
		{"the id of a form that is none", `<form action=/a><form id=f></form><input name=a form=f>`, "/a[]"},
		{"other addresses", `<form action=/a id=f><input type=image formaction="/b?&lt;"><button formaction></form><button formaction=/c name=d form=f>`, "/a[d=] /b?<  /c"},
		{"an address of no form", `<form action=/a></form><button formaction=/b>`, "/a[]"},
		{"a form in a noscript", `<noscript><form action=/a><input name=a></form></noscript>`, "/a[a=]"},
		{"a noscript in a form", `<form action=/a><noscript><input name=a></noscript><input name=b></form>`, "/a[a= b=]"},
		{"what a noscript leaves open", `<noscript><form action=/a></noscript><input name=a><form action=/b><input name=b>`, "/a[]; /b[b=]"},
		{"what a noscript closes", `<form action=/a><noscript></form><form action=/b></noscript><input name=a>`, "/a[a=]; /b[]"},
		{"a form in a template", `<template><form action=/a><input name=a></template><form action=/b>`, "/a[a=]; /b[]"},
		{"templates in a form", `<form action=/a><template><template></form></template></form></template><input name=a>`, "/a[a=]"},
		{"a template that ends in a noscript", `<template><noscript><form action=/a></template></template><input name=a></noscript><form action=/b>`, "/a[a=]; /b[]"},
		{"a template that ends behind a noscript", `<form action=/a><template></form><noscript>a</noscript></template><input name=a>`, "/a[a=]"},
		{"a comment and a script", `<!--<form>--><script>"<form>"</script>`, ""},
		{"a form that is cut off", `<form action=/a`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(describe(rewrite.Forms([]byte(test.page))), "; "); got != test.want {
				t.Errorf("Forms(%q)\n got %q\nwant %q", test.page, got, test.want)
			}
		})
	}
}

// describe writes forms as action[name=value …] and the actions of buttons.
func describe(forms []rewrite.Form) []string {
	var all []string
	for _, f := range forms {
		var fields []string
		for _, field := range f.Fields {
			fields = append(fields, field.Name+"="+field.Value)
		}
		all = append(all, strings.Join(append([]string{f.Action + "[" + strings.Join(fields, " ") + "]"}, f.Actions[1:]...), " "))
	}
	return all
}

func TestFormsKnowTheBase(t *testing.T) {
	t.Parallel()
	forms := rewrite.Forms([]byte(`<form></form><base href="/b/"><form></form>`))
	if len(forms) != 2 || forms[0].Base != "" || forms[1].Base != "/b/" {
		t.Errorf("Forms = %+v, want one without base and one with /b/", forms)
	}
}

func TestWithFieldPutsItFirstIntoItsForm(t *testing.T) {
	t.Parallel()
	page := []byte(`<form a></form><noscript><FORM action='>' >x</form></noscript>`)
	got := string(rewrite.Forms(page)[1].WithField(page, `"n`, "&\n\x00"))
	want := `<form a></form><noscript><FORM action='>' ><input type="hidden" name="&#34;n" value="&#38;&#10;&#xFFFD;"/>x</form></noscript>`
	if got != want {
		t.Errorf("WithField = %q, want %q", got, want)
	}
}

// token is a token as a browser sees it, with scripts or without them.
type token struct {
	kind       html.TokenType
	data       string
	attributes []html.Attribute
}

// tokens returns the tokens of a page according to x/net/html, those of a noscript in the place of its text.
func tokens(page []byte, inNoscript bool) []token {
	var all []token
	z := html.NewTokenizer(bytes.NewReader(page))
	foreign := 0
	for {
		kind := z.Next()
		raw := bytes.Clone(z.Raw())
		t := z.Token()
		switch {
		case kind == html.ErrorToken:
			return all
		case kind == html.TextToken && len(all) > 0 && all[len(all)-1].kind == html.StartTagToken && all[len(all)-1].data == "noscript" && !inNoscript:
			all = append(all, tokens(raw, true)...)
			continue
		case t.Data == "svg" || t.Data == "math":
			foreign += map[html.TokenType]int{html.StartTagToken: 1, html.EndTagToken: -1}[kind]
			foreign = max(foreign, 0)
		}
		if inNoscript && t.Data == "noscript" || foreign > 0 && kind == html.SelfClosingTagToken {
			z.NextIsNotRawText()
		}
		if kind == html.SelfClosingTagToken {
			kind = html.StartTagToken // x/net/html takes the end of an unquoted value, when its name is repeated, for "/>"
		}
		all = append(all, token{kind, t.Data, t.Attr})
	}
}

var editedNames = []string{"href", "src", "action", "formaction", "value", "content"}

// withoutNUL is the value that HTML can express.
func withoutNUL(value string) string { return strings.ReplaceAll(value, "\x00", "\ufffd") }

var pages = []string{
	``, `<a href=1 title="1">1</a>`, `<a href='/?1&amp;b' HREF=1 src>`, "<a\x00\r\n/href\r=\r'1\r\n'/>", `<input value=1/><input value value= >`,
	`<noscript><meta content="0;url=1"><noscript><form action=1></noscript></form>`, `<script>"<a href=1>"</script><a href=1 =1 = / "1">`,
	`<svg><title/><math><style b b=1/><a href=1></svg><title/><a href=1>`, `<!--<a href=1>--!><a href=1><![CDATA[<a href=1>]]><?a href=1?></ a href=1>`,
	`<base href=1><template><base><form></template><form><input form=a name=1><button form=1 formaction=1 name=a></form><form id=1>`, `<a href="1`, `<plaintext><a href=1>`,
	`<textarea><a href=1></textarea><iframe src=1><a href=1></iframe><title>&amp;<form></title>`, "<a href=\xff1\xc5\xbf ſrc=1 \xff=1>", `<a href=1/ href=1/>`, `<a =b= href=1 = href=1>`,
	`<form action=1><noscript></form><input name=1></noscript><input name=1 form=1 value='"'>`, `</><a href=1&#0;&#128;&lt=&notin;&not;>`, `<noscript/><a href=1></noscript>`,
}

// FuzzEditPage: nothing changes unless edit wants it to; edit sees what x/net/html sees; and what it changes is, to
// x/net/html, nothing but these values, and in bytes nothing outside of the values at all.
func FuzzEditPage(f *testing.F) {
	for _, page := range pages {
		f.Add([]byte(page), "2")
		f.Add([]byte(page), "<\"'&amp;\x00\r\n>")
	}
	f.Fuzz(func(t *testing.T, page []byte, value string) {
		before := bytes.Clone(page)
		var seen []rewrite.Attribute
		same, changed := rewrite.EditPage(page, func(a rewrite.Attribute) (string, bool) {
			seen = append(seen, a)
			return value, false
		})
		if changed || !bytes.Equal(same, before) {
			t.Fatalf("EditPage(%q) = %q, %t, without an edit", before, same, changed)
		}
		want := tokens(page, false)
		checkSeen(t, page, seen, want)

		edited, _ := rewrite.EditPage(page, func(a rewrite.Attribute) (string, bool) { return value, strings.Contains(a.Value, "1") })
		if !bytes.Equal(page, before) {
			t.Fatalf("EditPage(%q) wrote into the page", before)
		}
		for _, token := range want {
			for i, a := range token.attributes {
				if slices.Contains(editedNames, a.Key) && strings.Contains(a.Val, "1") {
					token.attributes[i].Val = withoutNUL(value)
				}
			}
		}
		if got := tokens(edited, false); !reflect.DeepEqual(got, want) {
			t.Errorf("EditPage(%q) = %q, which is\n%+v\nwant\n%+v", page, edited, got, want)
		}
		empty := func(a rewrite.Attribute) (string, bool) { return "", true }
		got, _ := rewrite.EditPage(edited, empty)
		if want, _ := rewrite.EditPage(page, empty); !bytes.Equal(got, want) {
			t.Errorf("EditPage(%q) = %q, where more than values changed", page, edited)
		}
	})
}

// checkSeen fails unless the attributes that edit saw are those of the tokens, in their order, and repeated names.
func checkSeen(t *testing.T, page []byte, seen []rewrite.Attribute, tokens []token) {
	t.Helper()
	var want []rewrite.Attribute
	for _, token := range tokens {
		for _, a := range token.attributes {
			if slices.Contains(editedNames, a.Key) {
				want = append(want, rewrite.Attribute{Tag: token.data, Name: a.Key, Value: a.Val})
			}
		}
	}
	before := map[[2]string]bool{}
	for _, a := range seen {
		a.Base = ""
		if len(want) > 0 && a == want[0] {
			want = want[1:]
			before[[2]string{a.Tag, a.Name}] = true
		} else if !before[[2]string{a.Tag, a.Name}] {
			t.Fatalf("EditPage(%q) sees %q, next should be %q", page, a, want)
		}
	}
	if len(want) > 0 {
		t.Fatalf("EditPage(%q) does not see %q", page, want)
	}
}

// FuzzForms: a page with a field has one token more, a hidden input directly behind a form's start tag, and that form
// has the field; everything else stays.
func FuzzForms(f *testing.F) {
	for _, page := range pages {
		f.Add([]byte(page), "iss", "https://as.example/?a&b")
		f.Add([]byte(page), "\x00", "<\"'&amp;\x00\r\n>")
	}
	f.Fuzz(func(t *testing.T, page []byte, name, value string) {
		forms := rewrite.Forms(page)
		want := tokens(page, false)
		name, value = withoutNUL(name), withoutNUL(value)
		input := token{html.StartTagToken, "input", []html.Attribute{{Key: "type", Val: "hidden"}, {Key: "name", Val: name}, {Key: "value", Val: value}}}
		for i, form := range forms[:min(len(forms), 8)] {
			edited := form.WithField(page, name, value)
			got := tokens(edited, false)
			at := slices.IndexFunc(got, func(t token) bool { return reflect.DeepEqual(t, input) })
			if at < 1 || len(got) != len(want)+1 {
				t.Fatalf("WithField in %q = %q, which is %+v, want an input in %+v", page, edited, got, want)
			}
			for at < len(want) && reflect.DeepEqual(got[at], want[at]) {
				at++
			}
			if !reflect.DeepEqual(got[at], input) || got[at-1].data != "form" || !reflect.DeepEqual(slices.Delete(got, at, at+1), want) {
				t.Fatalf("WithField in %q = %q, which changes more than a form's first field", page, edited)
			}
			checkField(t, page, rewrite.Forms(edited), forms, i, rewrite.Field{Name: name, Value: value})
		}
	})
}

// checkField fails unless got are the forms want, but that the one at i has another field.
func checkField(t *testing.T, page []byte, got, want []rewrite.Form, i int, field rewrite.Field) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("with a field %q has the forms %+v, want %+v", page, got, want)
	}
	for j := range got {
		g, w := got[j], want[j]
		if j == i && field.Name != "" {
			at := slices.Index(g.Fields, field)
			if at < 0 {
				t.Fatalf("with a field %q in the form at %d of %q, that is %+v", field, i, page, g)
			}
			g.Fields = slices.Delete(g.Fields, at, at+1)
		}
		if g.Action != w.Action || g.Base != w.Base || !slices.Equal(g.Actions, w.Actions) || !slices.Equal(g.Fields, w.Fields) {
			t.Fatalf("with a field in the form at %d of %q, the one at %d is %+v, want %+v", i, page, j, g, w)
		}
	}
}

// heavy are pages of about that size each that are there to take long.
func heavy(size int) map[string][]byte {
	repeat := func(before, s, after string) []byte {
		return []byte(before + strings.Repeat(s, size/len(s)) + after)
	}
	names := new(strings.Builder)
	for i := range size / 20 {
		fmt.Fprintf(names, " %x", i)
	}
	return map[string][]byte{
		"angles":              repeat("", "<", ""),
		"links":               repeat("", "<a href='/x?a=1'>x</a>\n", ""),
		"references":          repeat("", "<a href=&>", ""),
		"attributes":          repeat("<a ", "href=1 ", ">"),
		"attributes and tags": repeat("<a"+names.String()+">", "<a b>", ""),
		"open quote":          repeat("<a href='", "<a href=\"", ""),
		"open comments":       repeat("", "<!--", ""),
		"one value":           repeat("<a href='", "&amp;\r\n", "'>"),
		"noscripts":           repeat("", "<noscript>", ""),
		"noscripts in pairs":  repeat("<noscript>", "<noscript><a href=1></noscript>", ""),
		"templates":           repeat("", "<template>", ""),
		"scripts":             repeat("<script>", "<!--<script></", ""),
		"forms":               repeat("", "<form id=a><input name=a form=a>", ""),
		"blanks":              repeat("<a ", "= / ", ">"),
	}
}

func TestHeavyPagesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, page := range heavy(1 << 16) {
		if got, changed := rewrite.EditPage(page, func(rewrite.Attribute) (string, bool) { return "", false }); changed || !bytes.Equal(got, page) {
			t.Errorf("EditPage changed %s without an edit", name)
		}
		rewrite.Forms(page)
	}
}

// BenchmarkHeavyPage is the worst that a page can do.
func BenchmarkHeavyPage(b *testing.B) {
	pages := heavy(1 << 20)
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		page := pages[name]
		b.Run("editing/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				rewrite.EditPage(page, func(a rewrite.Attribute) (string, bool) { return a.Value, true })
			}
		})
		b.Run("forms/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				rewrite.Forms(page)
			}
		})
	}
}
