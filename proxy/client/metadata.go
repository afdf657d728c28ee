package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// member reads one member of a client's metadata into c.
type member func(c *Client, value json.RawMessage) error

// members are the ones that have an effect, but for those of authentication and of request objects.
var members = map[string]member{
	"client_id":     readID,
	"redirect_uris": readRedirectURIs,
	"response_types": func(c *Client, v json.RawMessage) error {
		return texts(v, &c.ResponseTypes)
	},
	"scope": readScope,
	"require_pushed_authorization_requests": func(c *Client, v json.RawMessage) error {
		return truth(v, &c.RequirePAR)
	},
}

// memberOf returns what reads the member; nil when it has no effect.
func memberOf(name string) member {
	for _, kind := range []map[string]member{members, authMembers, objectMembers} {
		if read := kind[name]; read != nil {
			return read
		}
	}
	return nil
}

// informational members describe a client to people or to other servers. They have no effect here, and a
// registration can be pasted with them.
var informational = []string{
	"application_type", "client_id_issued_at", "client_name", "client_uri", "contacts", "grant_types", "logo_uri",
	"policy_uri", "post_logout_redirect_uris", "software_id", "software_version", "subject_type", "tos_uri",
}

// parse reads the client file under the rules. Its error names every problem in it.
func parse(content []byte, rules Rules) ([]*Client, error) {
	var entries []json.RawMessage
	if err := json.Unmarshal(content, &entries); err != nil || entries == nil {
		return nil, notAnArray(content, err)
	}
	var list []*Client
	var problems []error
	seen := make(map[string]bool, len(entries))
	for i, entry := range entries {
		c, found := parseClient(entry, rules)
		if c.ID != "" && seen[c.ID] {
			found = append(found, errors.New("client_id is another client's too"))
		}
		for _, problem := range found {
			problems = append(problems, fmt.Errorf("client %d (%.64q): %w", i+1, c.ID, problem))
		}
		seen[c.ID] = true
		list = append(list, c)
	}
	return list, errors.Join(problems...)
}

func notAnArray(content []byte, err error) error {
	const text = "is not a JSON array of client metadata (RFC 7591)"
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return errors.New(text)
	}
	line := 1 + bytes.Count(content[:min(int(syntax.Offset), len(content))], []byte("\n"))
	return fmt.Errorf("%s; line %d: %w", text, line, err)
}

// parseClient reads one client, and returns with it every problem that it has.
func parseClient(raw json.RawMessage, rules Rules) (c *Client, problems []error) {
	c = &Client{AuthMethods: []string{MethodBasic}} // RFC 7591 §2: the default
	entry, problems := readMembers(raw)
	if entry == nil {
		return c, problems
	}
	broken := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(entry)) {
		value := entry[name]
		read := memberOf(name)
		switch base, _, _ := strings.Cut(name, "#"); { // name#language-tag, RFC 7591 §2.2
		case slices.Contains(informational, base):
		case read == nil:
			problems = append(problems, fmt.Errorf("%s has no effect here yet; take it out", name))
		default:
			if err := read(c, value); err != nil {
				broken[name] = true
				problems = append(problems, fmt.Errorf("%s %w", name, err))
			}
		}
	}
	if _, hasID := entry["client_id"]; !hasID {
		problems = append(problems, errors.New("client_id is missing"))
	}
	if !broken["token_endpoint_auth_method"] {
		check := authCheck{Client: c, entry: entry, broken: broken}
		check.run(rules)
		problems = append(problems, check.problems...)
	}
	return c, problems
}

// readMembers reads the members of one client. One that occurs twice is a problem, since only one of them would
// have an effect.
func readMembers(raw json.RawMessage) (entry map[string]json.RawMessage, problems []error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, []error{errors.New("is not a JSON object")}
	}
	entry = map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		name, _ := token.(string)
		var value json.RawMessage
		if err := errors.Join(err, decoder.Decode(&value)); err != nil {
			return nil, append(problems, fmt.Errorf("is not a JSON object: %w", err))
		}
		if _, twice := entry[name]; twice {
			problems = append(problems, fmt.Errorf("%s occurs more than once", name))
		}
		entry[name] = value
	}
	return entry, problems
}

// maxIDLength bounds a client_id, in bytes: it stands in cookies, logs and keys of the store.
const maxIDLength = 512

func readID(c *Client, v json.RawMessage) error {
	err := text(v, &c.ID)
	switch {
	case err != nil:
		return err
	case c.ID == "":
		return errors.New("is empty")
	case len(c.ID) > maxIDLength:
		return fmt.Errorf("has more than %d bytes", maxIDLength)
	case strings.ContainsFunc(c.ID, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}

func readRedirectURIs(c *Client, v json.RawMessage) error {
	if err := texts(v, &c.RedirectURIs); err != nil {
		return err
	}
	var problems []string
	for _, uri := range c.RedirectURIs {
		if u, err := url.Parse(uri); err != nil || u.Scheme == "" || strings.Contains(uri, "#") {
			problems = append(problems, fmt.Sprintf("has %q, which is not an absolute URI without fragment", uri))
		}
	}
	return oneError(problems)
}

func readScope(c *Client, v json.RawMessage) error {
	var scope string
	if err := text(v, &scope); err != nil {
		return err
	}
	c.Scope = strings.Fields(scope)
	if c.Scope == nil {
		c.Scope = []string{}
	}
	return nil
}

func truth(v json.RawMessage, into *bool) error {
	if err := json.Unmarshal(v, into); err != nil || isNull(v) {
		return errors.New("is not true or false")
	}
	return nil
}

func text(v json.RawMessage, into *string) error {
	if err := json.Unmarshal(v, into); err != nil || isNull(v) {
		return errors.New("is not a string")
	}
	return nil
}

// texts reads an array; an empty one is not nil, and allows nothing.
func texts(v json.RawMessage, into *[]string) error {
	*into = nil
	if err := json.Unmarshal(v, into); err != nil || *into == nil {
		return errors.New("is not an array of strings")
	}
	return nil
}

// isNull reports whether v is null, which encoding/json takes for anything and leaves it as it was.
func isNull(v json.RawMessage) bool { return string(v) == "null" }

// oneError keeps the problems of a member on one line, which begins with the member's name.
func oneError(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(problems, "; "))
}
