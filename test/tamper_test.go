package test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pargate/proxy/oauth"
	"pargate/test/harness"
)

// tampering is something that whoever sits at the browser does to a request on its way.
type tampering struct {
	how   string // change, remove, repeat, only: no other is left; rewrite: the whole request stands there, with that change
	name  string
	where string       // url, form, nested: in a value that is an address itself; posted: in a form that the browser makes up
	whole oauth.Params // for rewrite
}

func (m tampering) String() string { return fmt.Sprintf("%s %s in %s", m.how, m.name, m.where) }

// Where a login carries an address in a value.
var nesting = []string{"next", "return_to", "back", "callback_url", "url"}

// notPushed are parameters that no request of these tests has.
var notPushed = []string{"response_mode", "display", "ui_locales", "acr_values", "resource"}

// tamperings are all that can be done to the request.
func tamperings(a harness.AuthorizationRequest) []tampering {
	var all []tampering
	for _, where := range []string{"url", "form", "nested", "posted"} {
		for _, how := range []string{"change", "remove", "repeat", "only", "rewrite"} {
			if where == "posted" && how != "change" && how != "rewrite" {
				continue
			}
			for _, name := range a.Names() {
				all = append(all, tampering{how, name, where, a.Params})
			}
		}
		for _, name := range notPushed {
			all = append(all, tampering{"change", name, where, nil})
		}
	}
	return all
}

// otherValue is a value for the parameter that a server takes too.
func otherValue(name string) string {
	switch name {
	case "client_id":
		return "other"
	case "redirect_uri":
		return otherURI
	case "scope":
		return "openid profile email admin"
	case "response_type":
		return "code token"
	case "code_challenge":
		return strings.Repeat("evil", 11)
	case "code_challenge_method":
		return "plain"
	case "claims":
		return `{"id_token":{"evil":null}}`
	case "authorization_details":
		return `[{"type":"evil"}]`
	case "response_mode":
		return "fragment"
	case "resource":
		return "https://evil.example/"
	}
	return "evil"
}

// apply does it to a step, and reports whether that made a difference.
func (m tampering) apply(step *harness.Step) bool {
	address, form, method := step.URL, step.Form, step.Method
	switch m.where {
	case "url":
		step.URL = m.inURL(step.URL)
	case "form":
		if step.IsPost() {
			step.Form = m.inParams(step.Form)
		}
	case "nested":
		path, query, found := strings.Cut(step.URL, "?")
		if params := m.nestedIn(decoded(query)); found && !slices.Equal(params, decoded(query)) {
			step.URL = path + "?" + params.Encode()
		}
		step.Form = m.nestedIn(step.Form)
	case "posted":
		if step.Method == http.MethodGet {
			step.Method = http.MethodPost
			step.Form = m.inParams(oauth.Params{{Name: "client_id", Value: "web"}})
		}
	}
	return step.URL != address || step.Method != method || !slices.Equal(step.Form, form)
}

func (m tampering) inURL(address string) string {
	path, query, _ := strings.Cut(address, "?")
	before := decoded(query)
	if after := m.inParams(before); !slices.Equal(after, before) {
		return path + "?" + after.Encode()
	}
	return address
}

func (m tampering) inParams(params oauth.Params) oauth.Params {
	without := slices.DeleteFunc(slices.Clone(params), func(p oauth.Param) bool { return p.Name == m.name })
	other := oauth.Param{Name: m.name, Value: otherValue(m.name)}
	switch m.how {
	case "remove":
		return without
	case "only":
		return slices.DeleteFunc(slices.Clone(params), func(p oauth.Param) bool {
			return p.Name != m.name && (oauth.IsAuthorizationRequestName(p.Name) && p.Name != "request_uri" || p.Name == "x_ticket")
		})
	case "rewrite":
		if !slices.ContainsFunc(params, func(p oauth.Param) bool {
			return p.Name == "client_id" || p.Name == "redirect_uri" || p.Name == "request_uri"
		}) {
			return params
		}
		return tampering{how: "change", name: m.name}.inParams(m.whole)
	case "repeat":
		return append(append(oauth.Params{other}, params...), other)
	}
	return append(without, other)
}

func (m tampering) nestedIn(params oauth.Params) oauth.Params {
	params = slices.Clone(params)
	for i, p := range params {
		if !slices.Contains(nesting, p.Name) || p.Value == "" {
			continue
		}
		if text, err := base64.StdEncoding.DecodeString(p.Value); err == nil && strings.Contains(string(text), "://") {
			params[i].Value = base64.StdEncoding.EncodeToString([]byte(m.inURL(string(text))))
		} else {
			params[i].Value = m.inURL(p.Value)
		}
	}
	return params
}

// decoded are the pairs of a query as they are there.
func decoded(query string) oauth.Params {
	var params oauth.Params
	for pair := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		if pair != "" {
			params = append(params, oauth.Param{Name: name, Value: value, Bare: !found})
		}
	}
	return params
}
