package oauth

import (
	"fmt"
	"iter"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxParams is how many parameters a pushed request may have.
const MaxParams = 100

// Param is one parameter, decoded. Bare says that it was sent as a name without "=".
type Param struct {
	Name, Value string
	Bare        bool
}

// Params are the parameters of a request in the order in which they were sent. Only resource may occur twice.
type Params []Param

// Get returns the value of the first parameter called name; empty when there is none, since an empty value
// counts as an absent one (RFC 6749 §3.1).
func (p Params) Get(name string) string {
	for _, param := range p {
		if param.Name == name {
			return param.Value
		}
	}
	return ""
}

// All yields every value of name that is not empty.
func (p Params) All(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, param := range p {
			if param.Name == name && param.Value != "" && !yield(param.Value) {
				return
			}
		}
	}
}

// Encode returns the parameters form-encoded, in their order. Blanks become %20, which every decoder of queries
// and forms understands.
func (p Params) Encode() string {
	var b strings.Builder
	for i, param := range p {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(Escape(param.Name))
		if !param.Bare {
			b.WriteByte('=')
			b.WriteString(Escape(param.Value))
		}
	}
	return b.String()
}

// Escape percent-encodes s for a query or a form.
func Escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// ParseForm decodes an application/x-www-form-urlencoded body as strictly as the parsers behind the gateway
// differ: whatever two of them could read in two ways is an error. Pairs are divided by "&" alone. An error is
// of type *Error, with the code invalid_request (RFC 6749 §3.1, Appendix B).
func ParseForm(body string) (Params, error) {
	if strings.Contains(body, ";") {
		return nil, InvalidRequest("the form has a raw semicolon; send it as %3B")
	}
	params := make(Params, 0, min(strings.Count(body, "&")+1, MaxParams))
	seen := make(map[string]bool, cap(params))
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		if len(params) == MaxParams {
			return nil, InvalidRequest(fmt.Sprintf("the form has more than %d parameters", MaxParams))
		}
		param, err := parsePair(pair)
		if err != nil {
			return nil, err
		}
		folded := Fold(param.Name)
		if folded != param.Name && isKnown(folded) {
			return nil, InvalidRequest("a parameter name is " + folded + " in another spelling; send it as " + folded)
		}
		if seen[param.Name] && param.Name != ParamResource {
			return nil, InvalidRequest(nameOf(param.Name) + " occurs more than once")
		}
		seen[param.Name] = true
		params = append(params, param)
	}
	return params, nil
}

func parsePair(pair string) (Param, error) {
	rawName, rawValue, hasValue := strings.Cut(pair, "=")
	name, err := Unescape(rawName)
	if err != nil || name == "" {
		return Param{}, InvalidRequest("a parameter name is not properly form-encoded UTF-8")
	}
	value, err := Unescape(rawValue)
	if err != nil {
		return Param{}, InvalidRequest("the value of " + nameOf(name) + " is not properly form-encoded UTF-8")
	}
	return Param{Name: name, Value: value, Bare: !hasValue}, nil
}

// Unescape decodes s strictly: no bad escape, no NUL, no invalid UTF-8.
func Unescape(s string) (string, error) {
	decoded, err := url.QueryUnescape(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("bad escape in form") // err would repeat the input
	case strings.Contains(decoded, "\x00"):
		return "", fmt.Errorf("NUL in form")
	case !utf8.ValidString(decoded):
		return "", fmt.Errorf("invalid UTF-8 in form")
	}
	return decoded, nil
}

// nameOf names a parameter in an error description. A name that we do not know is the sender's own text and is
// not repeated.
func nameOf(name string) string {
	if isKnown(name) {
		return name
	}
	return "a parameter"
}
