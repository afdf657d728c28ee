package rewrite

import (
	"slices"
	"strings"
)

// Difference is what a continuation adds to its flow's pushed request, and what it leaves out of it.
type Difference struct {
	Without []string // of prompt and max_age, those that the upstream has taken out of its own return address
	Added   []Pair   // what the upstream has added; a prompt among them stands in place of the pushed one
}

// withoutName is the name under which Encode writes Difference.Without.
const withoutName = "pargate_without"

// Encode returns d as text; the zero Difference is the empty text, and equal ones are equal texts.
func (d Difference) Encode() string {
	var parts []string
	for _, name := range slices.Sorted(slices.Values(d.Without)) {
		parts = append(parts, withoutName+"="+name)
	}
	added := slices.Clone(d.Added)
	slices.SortStableFunc(added, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	for _, pair := range added {
		parts = append(parts, encodePair(pair))
	}
	return strings.Join(parts, "&")
}

// ParseDifference is the inverse of Encode.
func ParseDifference(text string) (d Difference) {
	for pair := range StrictPairs(text) {
		if pair.Name == withoutName {
			d.Without = append(d.Without, pair.Value)
		} else {
			d.Added = append(d.Added, pair)
		}
	}
	return d
}

// With returns the request as d makes it.
func (p Pushed) With(d Difference) Pushed {
	if len(d.Without) == 0 && len(d.Added) == 0 {
		return p
	}
	added := p.vocabulary.fold(slices.Values(d.Added))
	replaced := func(param param) bool {
		return slices.Contains(d.Without, param.name) || slices.ContainsFunc(added, param.hasName)
	}
	kept := slices.DeleteFunc(slices.Clone(p.params), replaced)
	return Pushed{p.vocabulary, append(kept, added...)}
}

// Trust is how far the upstream's own changes to an address are believed. What a browser has written comes back from
// many servers looking like their own, so each is believed only where the browser cannot have written it.
type Trust struct {
	Additions bool       // the request was expanded by the gateway with nothing of the browser's beside it
	Prompt    bool       // nowhere in the browser's request is a name of an authorization request
	Known     Difference // of the continuation that the request carried
}

// Difference returns what distinguishes pairs, the query of an address that the upstream has written and that names
// the flow, from the request, as far as it is trusted.
func (p Pushed) Difference(pairs []Pair, trust Trust) (d Difference) {
	params := p.vocabulary.fold(slices.Values(pairs))
	seen := map[string]bool{}
	for _, param := range params {
		once := p.vocabulary.IsAuthorization(param.name) || p.vocabulary.IsResume(param.Name)
		if !(once && seen[param.name]) && p.adds(param, trust) {
			d.Added = append(d.Added, param.Pair)
		}
		seen[param.name] = true
	}
	for _, name := range []string{"prompt", "max_age"} {
		missing := p.has(name) && !seen[name]
		if missing && (trust.Prompt || slices.Contains(trust.Known.Without, name)) {
			d.Without = append(d.Without, name)
		}
	}
	return d
}

// adds reports whether param, of an address of the upstream's, is something that a continuation keeps.
func (p Pushed) adds(param param, trust Trust) bool {
	v := p.vocabulary
	known := slices.ContainsFunc(trust.Known.Added, func(known Pair) bool { return known.Name == param.Name && known.Value == param.Value })
	switch {
	case v.IsOwn(param.name) || slices.Contains([]string{"client_id", "request_uri", "request"}, param.name):
		return false
	case p.has(param.name):
		return param.name == "prompt" && !sameText(param.Value, p.get("prompt")) && (trust.Prompt || known)
	}
	return v.IsResume(param.Name) || trust.Additions || known
}
