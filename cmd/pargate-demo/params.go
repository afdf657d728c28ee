package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// param is one parameter of a query or a form, decoded.
type param struct{ name, value string }

// params are in the order in which they were on the wire, with nothing merged.
type params []param

// parse decodes a query or a form.
func parse(encoded string) (params, error) {
	var list params
	for pair := range strings.SplitSeq(encoded, "&") {
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, err
		}
		if pair != "" {
			list = append(list, param{n, v})
		}
	}
	return list, nil
}

// get returns the first value called name; empty when there is none.
func (p params) get(name string) string {
	for _, one := range p {
		if one.name == name {
			return one.value
		}
	}
	return ""
}

// with returns a copy in which name has another value, or is there at all.
func (p params) with(name, value string) params {
	changed := slices.Clone(p)
	for i := range changed {
		if changed[i].name == name {
			changed[i].value = value
			return changed
		}
	}
	return append(changed, param{name, value})
}

// encode is the list as a form.
func (p params) encode() string {
	var b strings.Builder
	for i, one := range p {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(one.name) + "=" + url.QueryEscape(one.value))
	}
	return b.String()
}

// names returns the names in order, as one text.
func (p params) names() string {
	var list []string
	for _, one := range p {
		list = append(list, one.name)
	}
	return strings.Join(list, ", ")
}

// lines are one line for each parameter: two lists are equal when their lines are.
func (p params) lines() string {
	var b strings.Builder
	for _, one := range p {
		fmt.Fprintf(&b, "%q = %q; ", one.name, one.value)
	}
	return strings.TrimSuffix(b.String(), " ")
}

// beyondASCII counts the characters of the values that are not ASCII.
func (p params) beyondASCII() int {
	n := 0
	for _, one := range p {
		for _, c := range one.value {
			if c > 0x7f {
				n++
			}
		}
	}
	return n
}

// bytes is how long all values are, decoded.
func (p params) bytes() int {
	n := 0
	for _, one := range p {
		n += len(one.value)
	}
	return n
}
