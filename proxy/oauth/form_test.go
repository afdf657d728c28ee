package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pargate/proxy/oauth"
)

// requestNames are the parameters with which an authorization request is made, spelled out again here.
var requestNames = strings.Fields(`response_type client_id redirect_uri scope state code_challenge
	code_challenge_method resource request request_uri authorization_details dpop_jkt response_mode nonce display
	prompt max_age ui_locales claims_locales id_token_hint login_hint acr_values claims registration`)

// neverKeptNames have no place in a pushed request.
var neverKeptNames = strings.Fields(`client_secret client_assertion client_assertion_type code_verifier code
	grant_type refresh_token`)

func TestParseFormKeepsOrderBareNamesAndEmptyValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		want       oauth.Params
	}{
		{"an empty body has no parameters", "", oauth.Params{}},
		{"order is kept", "state=1&client_id=web&a=2", oauth.Params{
			{Name: "state", Value: "1"}, {Name: "client_id", Value: "web"}, {Name: "a", Value: "2"}}},
		{"resource repeats in its order", "resource=https://b&x=1&resource=https://a&resource=https://b", oauth.Params{
			{Name: "resource", Value: "https://b"}, {Name: "x", Value: "1"},
			{Name: "resource", Value: "https://a"}, {Name: "resource", Value: "https://b"}}},
		{"a bare name is not an empty value", "g_continue&prompt=", oauth.Params{
			{Name: "g_continue", Bare: true}, {Name: "prompt"}}},
		{"empty pairs are nothing", "&&a=1&&b=2&", oauth.Params{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}},
		{"both encodings of a blank", "scope=openid+a%20b", oauth.Params{{Name: "scope", Value: "openid a b"}}},
		{"only the first equals sign divides", "state=a=b==", oauth.Params{{Name: "state", Value: "a=b=="}}},
		{"an escaped separator is part of the value", "state=a%26b%3Dc%3Bd", oauth.Params{{Name: "state", Value: "a&b=c;d"}}},
		{"unicode", "login_hint=%C3%BC%F0%9F%94%91&ü=1", oauth.Params{{Name: "login_hint", Value: "ü🔑"}, {Name: "ü", Value: "1"}}},
		{"unescaped unicode", "state=ü", oauth.Params{{Name: "state", Value: "ü"}}},
		{"escaped names", "%73tate=1", oauth.Params{{Name: "state", Value: "1"}}},
		{"control characters but NUL", "state=%01%0D%0A%7F", oauth.Params{{Name: "state", Value: "\x01\r\n\x7f"}}},
		{"unknown names may look odd", "a[b]=1&A.B=2&X=3", oauth.Params{
			{Name: "a[b]", Value: "1"}, {Name: "A.B", Value: "2"}, {Name: "X", Value: "3"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.ParseForm(test.body)
			if err != nil {
				t.Fatalf("ParseForm(%q): %v", test.body, err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("ParseForm(%q) = %+v, want %+v", test.body, got, test.want)
			}
			again, err := oauth.ParseForm(got.Encode())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("ParseForm(%q) = %+v, %v, want %+v", got.Encode(), again, err, got)
			}
		})
	}
}

func TestParseFormRefusesWhatTwoParsersReadInTwoWays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, body, want string }{
		{"a raw semicolon", "a=1;state=2", "the form has a raw semicolon; send it as %3B"},
		{"a raw semicolon in a name", ";a=1", "the form has a raw semicolon; send it as %3B"},
		{"a broken escape in a value", "scope=%zz", "the value of scope is not properly form-encoded UTF-8"},
		{"a cut-off escape", "scope=%4", "the value of scope is not properly form-encoded UTF-8"},
		{"the escape of IIS", "scope=%u0061", "the value of scope is not properly form-encoded UTF-8"},
		{"a broken escape in a name", "sco%zzpe=a", "a parameter name is not properly form-encoded UTF-8"},
		{"a NUL in a value", "state=a%00b", "the value of state is not properly form-encoded UTF-8"},
		{"a raw NUL in a value", "state=a\x00b", "the value of state is not properly form-encoded UTF-8"},
		{"a NUL in a name", "scope%00x=a", "a parameter name is not properly form-encoded UTF-8"},
		{"invalid UTF-8 in a value", "state=%FF%FE", "the value of state is not properly form-encoded UTF-8"},
		{"raw invalid UTF-8", "state=\xff", "the value of state is not properly form-encoded UTF-8"},
		{"an overlong encoding", "state=%C0%AE", "the value of state is not properly form-encoded UTF-8"},
		{"an encoded surrogate", "state=%ED%A0%80", "the value of state is not properly form-encoded UTF-8"},
		{"invalid UTF-8 in a name", "%FF=a", "a parameter name is not properly form-encoded UTF-8"},
		{"no name", "=a", "a parameter name is not properly form-encoded UTF-8"},
		{"neither name nor value", "a=1&=", "a parameter name is not properly form-encoded UTF-8"},
		{"the value of an unknown name", "hint=%zz", "the value of a parameter is not properly form-encoded UTF-8"},
		{"the value of a credential", "client_secret=%zz", "the value of client_secret is not properly form-encoded UTF-8"},
		{"a known name twice", "scope=a&scope=b", "scope occurs more than once"},
		{"twice with the same value", "client_id=a&client_id=a", "client_id occurs more than once"},
		{"twice, once empty", "state=&state=a", "state occurs more than once"},
		{"twice, once bare", "state&state=a", "state occurs more than once"},
		{"twice, once escaped", "state=a&%73tate=b", "state occurs more than once"},
		{"a credential twice", "client_secret=a&client_secret=b", "client_secret occurs more than once"},
		{"an unknown name twice", "x<y>=a&x<y>=b", "a parameter occurs more than once"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			params, err := oauth.ParseForm(test.body)
			checkRefused(t, test.body, params, err, test.want)
		})
	}
}

func TestParseFormRefusesAKnownNameInAnotherSpelling(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Concat(requestNames, neverKeptNames) {
		for _, spelling := range []string{
			name + "[]", name + "[0]", name + "[a][b]", "[" + name + "]", name + "]", // PHP, Rack, qs
			strings.ToUpper(name[:1]) + name[1:], strings.ToUpper(name), // ASP.NET
			" " + name, name + " ", "\t" + name, name + "\r\n", name + "\x01", "\u00a0" + name, "\ufeff" + name,
			strings.ReplaceAll(name, "_", "."), strings.ReplaceAll(name, "_", " "), strings.ReplaceAll(name, "_", "["),
			strings.ReplaceAll(name, "i", "ı"), strings.ReplaceAll(name, "i", "İ"),
			strings.ReplaceAll(name, "s", "ſ"), strings.ReplaceAll(name, "k", "\u212a"),
		} {
			if spelling == name {
				continue
			}
			body := "a=1&" + url.QueryEscape(spelling) + "=x"
			params, err := oauth.ParseForm(body)
			checkRefused(t, body, params, err, "a parameter name is "+name+" in another spelling; send it as "+name)
		}
	}
}

func TestParseFormTakesAHundredParameters(t *testing.T) {
	t.Parallel()
	body := ""
	for i := range oauth.MaxParams {
		body += "&p" + strconv.Itoa(i) + "=" // a "&" in front of each: empty pairs do not count
	}
	if params, err := oauth.ParseForm(body); err != nil || len(params) != 100 {
		t.Errorf("ParseForm of 100 parameters = %d, %v", len(params), err)
	}
	params, err := oauth.ParseForm(body + "&one_more")
	checkRefused(t, "101 parameters", params, err, "the form has more than 100 parameters")
	many := strings.Repeat("resource=a&", 101)
	params, err = oauth.ParseForm(many)
	checkRefused(t, "101 resources", params, err, "the form has more than 100 parameters")
}

func checkRefused(t *testing.T, body string, params oauth.Params, err error, want string) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) {
		t.Errorf("ParseForm(%q) = %+v, %v, want an *oauth.Error", body, params, err)
		return
	}
	if params != nil || e.Status != http.StatusBadRequest || e.Code != "invalid_request" || e.Description != want {
		t.Errorf("ParseForm(%q) = %+v, %d %s %q, want 400 invalid_request %q", body, params, e.Status, e.Code, e.Description, want)
	}
}

func TestGetReturnsTheFirstValueAndAllEveryOneThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	params := oauth.Params{{Name: "resource", Value: "b"}, {Name: "resource"}, {Name: "resource", Bare: true},
		{Name: "Resource", Value: "x"}, {Name: "resource", Value: "a"}, {Name: "prompt"}}
	if got := params.Get("resource"); got != "b" {
		t.Errorf("Get(resource) = %q, want b", got)
	}
	if got := params.Get("prompt") + params.Get("absent"); got != "" {
		t.Errorf("Get of an empty and an absent parameter = %q", got)
	}
	if got := slices.Collect(params.All("resource")); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("All(resource) = %q, want [b a]", got)
	}
	for range params.All("resource") {
		break // an iterator that goes on after this panics
	}
}

func TestEncodeEscapesEverythingThatDivides(t *testing.T) {
	t.Parallel()
	params := oauth.Params{{Name: "a&b", Value: "=;&+ %#?ü\""}, {Name: "flag", Bare: true}, {Name: "empty"}}
	if got, want := params.Encode(), "a%26b=%3D%3B%26%2B%20%25%23%3F%C3%BC%22&flag&empty="; got != want {
		t.Errorf("Encode() = %s, want %s", got, want)
	}
}

// foreign parsers: what each takes a decoded name for. Where one of them finds a parameter of the authorization
// request, it has to be the one that ParseForm has found.
var foreignParsers = []struct {
	name string
	read func(string) string
}{
	{"ASP.NET", func(name string) string { return asciiLower(name) }},
	{"Java, trimmed", func(name string) string { return strings.TrimFunc(name, func(r rune) bool { return r <= ' ' }) }},
	{"PHP", func(name string) string {
		name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
		if i := strings.IndexByte(name, '['); i >= 0 {
			if strings.Contains(name[i:], "]") {
				name = name[:i]
			} else {
				name = name[:i] + "_" + name[i+1:]
			}
		}
		return strings.NewReplacer(" ", "_", ".", "_").Replace(name)
	}},
	{"Rack 2", func(name string) string {
		if m := rackName.FindStringSubmatch(name); m != nil {
			return m[1]
		}
		return name
	}},
	{"qs", func(name string) string {
		if m := qsName.FindStringSubmatch(name); m != nil {
			return m[1]
		}
		return name
	}},
}

var (
	rackName = regexp.MustCompile(`^[\[\]]*([^\[\]]+)\]*`)
	qsName   = regexp.MustCompile(`^\[?([^\[\]]+)(\]$|\[.*\])`)
)

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

var descriptionPattern = func() *regexp.Regexp {
	name := "(" + strings.Join(slices.Concat(requestNames, neverKeptNames), "|") + ")"
	return regexp.MustCompile("^(the form has a raw semicolon; send it as %3B|the form has more than 100 parameters|" +
		"a parameter name is not properly form-encoded UTF-8|" +
		"the value of (a parameter|" + name + ") is not properly form-encoded UTF-8|" +
		"(a parameter|" + name + ") occurs more than once|" +
		"a parameter name is " + name + " in another spelling; send it as " + name + ")$")
}()

// FuzzParseForm: it never panics; what it accepts is what net/url reads, and what other parsers read as far as it
// is about an authorization request; it encodes and decodes to itself; a description is one of our own texts.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{
		"", "response_type=code&client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid+profile&state=1",
		"resource=a&resource=b", "g_continue", "prompt=&&a", "a=1;b=2", "redirect_uri[]=x", "redirect.uri=x", "Scope=x",
		"scope%00=x", "state=%zz", "state=%FF", "=", "%5Bscope%5D=x", "scope%5D=x", "+scope=x", "ſtate=x", "scope%5Bx=1",
		"a%5B=1&a%5D=2", "x=<script>&x=<script>", "client_secret=a&client_secret=b", "\ufeffscope=a", "scope%20%5B%5D=a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		params, err := oauth.ParseForm(body)
		if err != nil {
			var e *oauth.Error
			if !errors.As(err, &e) || !descriptionPattern.MatchString(e.Description) {
				t.Fatalf("ParseForm(%q): %v is not one of our own texts", body, err)
			}
			return
		}
		want, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("ParseForm took %q, net/url does not: %v", body, err)
		}
		got := url.Values{}
		for _, param := range params {
			got.Add(param.Name, param.Value)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("ParseForm(%q) = %q, net/url reads %q", body, got, want)
		}
		for _, parser := range foreignParsers {
			foreign := url.Values{}
			for _, param := range params {
				foreign.Add(parser.read(param.Name), param.Value)
			}
			for _, name := range slices.Concat(requestNames, neverKeptNames) {
				if !slices.Equal(foreign[name], got[name]) {
					t.Errorf("ParseForm(%q): %s reads %s=%q, we read %q", body, parser.name, name, foreign[name], got[name])
				}
			}
		}
		again, err := oauth.ParseForm(params.Encode())
		if err != nil || !reflect.DeepEqual(again, params) {
			t.Errorf("ParseForm(%q) = %+v, %v, want %+v", params.Encode(), again, err, params)
		}
	})
}
