package rewrite

import (
	"slices"
	"strings"
)

// BindForm returns a form that a browser sends in a flow as the upstream is to get it: a pushed name has its pushed
// value, once, names of authorization requests that were not pushed are gone, and every other field is what it was,
// byte for byte. What is missing is put back into a form that has at least two of the pushed names, which is the whole
// request to some servers, and into any if whole is true. scope may be less than what was pushed, as users untick, but keeps openid if that was pushed; in another
// spelling it might be none at all to the server. changed are the names of everything that is not as the browser sent it.
func (p Pushed) BindForm(form string, whole bool) (bound string, changed []string) {
	fields := p.vocabulary.fold(StrictPairs(form))
	keepsScope := p.narrows(fields)
	has := map[string]bool{}
	var kept []string
	for _, field := range fields {
		switch {
		case field.name == "scope" && keepsScope:
			kept, has["scope"] = append(kept, p.inert(field.Raw)), true
		case p.has(field.name) && has[field.name]:
			changed = p.noteChange(changed, field)
		case p.has(field.name):
			kept, has[field.name] = append(kept, p.raw(field.name)), true
			changed = p.noteChange(changed, field)
		case p.concerns(field.name):
			changed = append(changed, field.name)
		default:
			kept = append(kept, p.inert(field.Raw))
		}
	}
	if whole || len(has) >= 2 {
		for _, param := range p.params {
			if !has[param.name] {
				kept, changed = append(kept, param.Raw), append(changed, param.name)
			}
		}
	}
	if len(has) == 0 && len(changed) == 0 && !strings.Contains(form, ";") {
		return form, nil // nothing to do with the request: not even empty pairs are tidied away
	}
	return strings.Join(kept, "&"), changed
}

// noteChange adds the name of a field that does not have the pushed value.
func (p Pushed) noteChange(changed []string, field param) []string {
	for _, param := range p.params {
		if param.name == field.name && param.Value == field.Value {
			return changed
		}
	}
	return append(changed, field.name)
}

// narrows reports whether the scope in fields is part of the pushed one.
func (p Pushed) narrows(fields []param) bool {
	pushed := strings.Fields(p.get("scope"))
	var asked []string
	for _, field := range fields {
		switch {
		case field.name != "scope":
		case field.Name != "scope":
			return false
		default:
			asked = append(asked, strings.Fields(field.Value)...)
		}
	}
	isMore := slices.ContainsFunc(asked, func(value string) bool { return !slices.Contains(pushed, value) })
	losesOpenID := slices.Contains(pushed, "openid") && !slices.Contains(asked, "openid")
	return len(asked) > 0 && !isMore && !losesOpenID
}

// inert returns a raw pair in which no parser finds a parameter of the request behind a semicolon, which browsers
// never send as it is. Any other stays as it is.
func (p Pushed) inert(raw string) string {
	for pair := range Pairs(raw) {
		if name := p.vocabulary.Fold(pair.Name); pair.Raw != raw && p.concerns(name) {
			return strings.ReplaceAll(raw, ";", "%3B")
		}
	}
	return raw
}

// concerns reports whether a parameter of that folded name is one that BindForm does not leave to the browser.
func (p Pushed) concerns(name string) bool {
	return p.has(name) || p.vocabulary.IsAuthorization(name) || p.vocabulary.IsOwn(name)
}

// Others returns the pairs of query that are no parameters of an authorization request and were not pushed, for
// addresses that have parameters of their own beside the request's.
func (p Pushed) Others(query string) string {
	var kept []string
	for _, param := range p.vocabulary.fold(StrictPairs(query)) {
		if !p.concerns(param.name) {
			kept = append(kept, p.inert(param.Raw))
		}
	}
	return strings.Join(kept, "&")
}

// Concerns reports whether query has a parameter of an authorization request, pushed or not, in any spelling.
func (p Pushed) Concerns(query string) bool {
	for pair := range Pairs(query) {
		if p.concerns(p.vocabulary.Fold(pair.Name)) {
			return true
		}
	}
	return false
}
