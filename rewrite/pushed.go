package rewrite

import (
	"iter"
	"slices"
	"strings"
)

// Vocabulary is what the functions here have to be told about parameter names. Every field is required.
type Vocabulary struct {
	Fold            func(name string) string // what the most generous parser would take a decoded name for
	IsAuthorization func(name string) bool   // a folded name with which an authorization request is made
	IsOwn           func(name string) bool   // a folded name of the gateway's own parameters
	IsResume        func(name string) bool   // a name, as it is sent, by which an upstream knows a resumed login
	IsReference     func(value string) bool  // a request_uri of the gateway's
}

// Pushed is a pushed request taken apart, as the addresses and forms of its flow are compared with it.
type Pushed struct {
	vocabulary *Vocabulary
	params     []param
}

// param is a pair with its folded name.
type param struct {
	Pair
	name string
}

// hasName reports whether other is a parameter of the same name.
func (p param) hasName(other param) bool { return other.name == p.name }

// Pushed takes a pushed request apart. query is form-encoded, as it was stored.
func (v *Vocabulary) Pushed(query string) Pushed {
	return Pushed{v, v.fold(StrictPairs(query))}
}

func (v *Vocabulary) fold(pairs iter.Seq[Pair]) []param {
	var params []param
	for pair := range pairs {
		params = append(params, param{pair, v.Fold(pair.Name)})
	}
	return params
}

// Query returns the request, form-encoded.
func (p Pushed) Query() string { return joinRaw(p.params) }

func joinRaw(params []param) string {
	var b strings.Builder
	for i, param := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(param.Raw)
	}
	return b.String()
}

// has reports whether name, folded, was pushed.
func (p Pushed) has(name string) bool {
	return slices.ContainsFunc(p.params, func(param param) bool { return param.name == name })
}

// get returns the value of name, folded; empty when it was not pushed.
func (p Pushed) get(name string) string {
	for _, param := range p.params {
		if param.name == name {
			return param.Value
		}
	}
	return ""
}

// raw returns the pairs of name, folded, as they were pushed: several of resource, of others one.
func (p Pushed) raw(name string) string {
	named := slices.DeleteFunc(slices.Clone(p.params), func(param param) bool { return param.name != name })
	return joinRaw(named)
}

// bindingNames tell one request of a client from another.
var bindingNames = []string{"state", "nonce", "code_challenge"}

// Likeness says how much a query or form is like a pushed request.
type Likeness struct {
	Equal int  // of state, nonce and code_challenge (of redirect_uri, when none of them was pushed); zero: it names another
	Exact bool // none of the three differs, nor is there without having been pushed, and no other client_id or redirect_uri is there
}

// Compare reports how much pairs are like the request: whether they name its flow. A pair that somebody repeats with
// another value counts for what is equal, and against what is exact.
func (p Pushed) Compare(pairs iter.Seq[Pair]) Likeness {
	params := p.vocabulary.fold(pairs)
	client, otherClient := p.compare(params, "client_id")
	if !client {
		return Likeness{}
	}
	names := slices.DeleteFunc(slices.Clone(bindingNames), func(name string) bool { return p.get(name) == "" })
	if len(names) == 0 {
		names = []string{"redirect_uri"}
	}
	likeness := Likeness{Exact: !otherClient}
	for _, name := range names {
		if equal, _ := p.compare(params, name); equal {
			likeness.Equal++
		}
	}
	for _, name := range append([]string{"redirect_uri"}, bindingNames...) {
		if _, other := p.compare(params, name); other {
			likeness.Exact = false
		}
	}
	return likeness
}

// compare reports whether name stands in params with the pushed value, and whether it stands there with another one.
func (p Pushed) compare(params []param, name string) (equal, other bool) {
	pushed := p.get(name)
	for _, param := range params {
		switch {
		case param.name != name || param.Value == "":
		case pushed != "" && sameText(param.Value, pushed):
			equal = true
		default:
			other = true
		}
	}
	return equal, other
}

// sameText compares values as they are after a trip: some frameworks turn a plus into a blank, and browsers write line
// ends in forms as CR LF. Since what is sent is always the pushed value, this only has to tell requests apart.
func sameText(a, b string) bool { return a == b || travelled.Replace(a) == travelled.Replace(b) }

var travelled = strings.NewReplacer("+", " ", "\r\n", "\n", "\r", "\n")
