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
)

// member reads one member of a client's metadata into c.
type member func(c *Client, value json.RawMessage) error

// members are the ones that have an effect.
var members = map[string]member{
	"client_id":     func(c *Client, v json.RawMessage) error { return text(v, &c.ID) },
	"redirect_uris": readRedirectURIs,
	"response_types": func(c *Client, v json.RawMessage) error {
		return texts(v, &c.ResponseTypes)
	},
	"scope":                      readScope,
	"token_endpoint_auth_method": readAuthMethods,
	"require_pushed_authorization_requests": func(c *Client, v json.RawMessage) error {
		if err := json.Unmarshal(v, &c.RequirePAR); err != nil {
			return errors.New("is not true or false")
		}
		return nil
	},
	"client_secret": readSecret,
}

// informational members describe a client to people or to other servers. They have no effect here, and a
// registration can be pasted with them.
var informational = []string{
	"application_type", "client_id_issued_at", "client_name", "client_uri", "contacts", "grant_types", "logo_uri",
	"policy_uri", "post_logout_redirect_uris", "software_id", "software_version", "subject_type", "tos_uri",
}

// parse reads the client file. Its error names every problem in it.
func parse(content []byte) ([]*Client, error) {
	var entries []map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&entries); err != nil {
		return nil, fmt.Errorf("is not a JSON array of client metadata (RFC 7591): %w", err)
	}
	if decoder.More() {
		return nil, errors.New("has something behind the JSON array")
	}
	var list []*Client
	var problems []error
	for i, entry := range entries {
		c, err := parseClient(entry)
		if err != nil {
			problems = append(problems, fmt.Errorf("client %d (%q): %w", i+1, c.ID, err))
		}
		if slices.ContainsFunc(list, func(other *Client) bool { return other.ID == c.ID }) {
			problems = append(problems, fmt.Errorf("client %d (%q): client_id occurs more than once", i+1, c.ID))
		}
		list = append(list, c)
	}
	return list, errors.Join(problems...)
}

func parseClient(entry map[string]json.RawMessage) (*Client, error) {
	c := &Client{AuthMethods: []string{MethodBasic}} // RFC 7591 §2: the default
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(entry)) {
		value := entry[name]
		read, known := members[name]
		switch base, _, _ := strings.Cut(name, "#"); { // name#language-tag, RFC 7591 §2.2
		case slices.Contains(informational, base):
		case !known:
			problems = append(problems, fmt.Errorf("%s has no effect here yet; take it out", name))
		default:
			if err := read(c, value); err != nil {
				problems = append(problems, fmt.Errorf("%s %w", name, err))
			}
		}
	}
	hasSecret := c.secret != nil
	switch {
	case c.ID == "":
		problems = append(problems, errors.New("client_id is missing"))
	case !hasSecret && !slices.Equal(c.AuthMethods, []string{MethodNone}):
		problems = append(problems, errors.New("client_secret is missing; a public client has token_endpoint_auth_method none"))
	case hasSecret && c.Public():
		problems = append(problems, errors.New("has a client_secret and may use the method none; decide for one"))
	}
	return c, errors.Join(problems...)
}

func readSecret(c *Client, v json.RawMessage) error {
	var secret string
	if err := text(v, &secret); err != nil {
		return err
	}
	if strings.HasPrefix(secret, "$argon2") || strings.HasPrefix(secret, "$2") {
		return errors.New("looks like a hash; hashed secrets are not built yet")
	}
	if secret == "" {
		return errors.New("is empty")
	}
	c.secret = hide(digestOf(secret))
	return nil
}

func readAuthMethods(c *Client, v json.RawMessage) error {
	var one string
	if json.Unmarshal(v, &one) == nil {
		c.AuthMethods = []string{one}
	} else if err := texts(v, &c.AuthMethods); err != nil || len(c.AuthMethods) == 0 {
		return errors.New("is neither a method nor an array of methods")
	}
	for _, method := range c.AuthMethods {
		switch method {
		case MethodBasic, MethodPost, MethodNone:
		case "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth":
			return fmt.Errorf("%s is not built yet", method)
		default:
			return fmt.Errorf("%q is not a method; use %s, %s or %s", method, MethodBasic, MethodPost, MethodNone)
		}
	}
	return nil
}

func readRedirectURIs(c *Client, v json.RawMessage) error {
	if err := texts(v, &c.RedirectURIs); err != nil {
		return err
	}
	for _, uri := range c.RedirectURIs {
		if u, err := url.Parse(uri); err != nil || u.Scheme == "" || strings.Contains(uri, "#") {
			return fmt.Errorf("has %q, which is not an absolute URI without fragment", uri)
		}
	}
	return nil
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

func text(v json.RawMessage, into *string) error {
	if err := json.Unmarshal(v, into); err != nil {
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
