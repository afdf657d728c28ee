package rewrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MetadataPatch is what the gateway adds to the metadata of an authorization server (RFC 9126 §5).
type MetadataPatch struct {
	PushEndpoint string // pushed_authorization_request_endpoint
	RequirePAR   bool   // require_pushed_authorization_requests; false leaves the member as it is

	// AdvertiseIssuer says that responses carry iss: authorization_response_iss_parameter_supported (RFC 9207 §3); false
	// leaves the member as it is.
	AdvertiseIssuer bool
}

type jsonMember struct {
	name  string
	value json.RawMessage
}

// Metadata returns doc, a JSON object, with the patch in it. Every other member keeps its place and its bytes.
// signed_metadata is taken out: clients that honour it would believe it before the plain members, and it does not
// know the push endpoint (RFC 8414 §2.1).
func Metadata(doc []byte, patch MetadataPatch) ([]byte, error) {
	members, err := parseObject(doc)
	if err != nil {
		return nil, err
	}
	endpoint := quote(patch.PushEndpoint)
	members = without(members, "signed_metadata")
	members = set(members, "pushed_authorization_request_endpoint", endpoint)
	if patch.RequirePAR {
		members = set(members, "require_pushed_authorization_requests", json.RawMessage("true"))
	}
	if patch.AdvertiseIssuer {
		members = set(members, "authorization_response_iss_parameter_supported", json.RawMessage("true"))
	}
	for i, m := range members {
		if m.name != "mtls_endpoint_aliases" || string(m.value) == "null" {
			continue
		}
		// A client with a certificate uses the aliases alone (RFC 8705 §5).
		aliases, err := parseObject(m.value)
		if err != nil {
			return nil, fmt.Errorf("mtls_endpoint_aliases: %w", err)
		}
		members[i].value = object(set(aliases, "pushed_authorization_request_endpoint", endpoint))
	}
	return object(members), nil
}

// parseObject reads the members of a JSON object in their order. A name that occurs twice is an error, since
// readers disagree on which one counts.
func parseObject(doc []byte) ([]jsonMember, error) {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var members []jsonMember
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("not a JSON object: %w", err)
		}
		m := jsonMember{name: token.(string)}
		if err := decoder.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("not a JSON object: %w", err)
		}
		if seen[m.name] {
			return nil, fmt.Errorf("member %q occurs more than once", m.name)
		}
		seen[m.name] = true
		members = append(members, m)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the JSON object")
	}
	return members, nil
}

func set(members []jsonMember, name string, value json.RawMessage) []jsonMember {
	for i := range members {
		if members[i].name == name {
			members[i].value = value
			return members
		}
	}
	return append(members, jsonMember{name, value})
}

func without(members []jsonMember, name string) []jsonMember {
	for i := range members {
		if members[i].name == name {
			return append(members[:i:i], members[i+1:]...)
		}
	}
	return members
}

func object(members []jsonMember) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote returns s as a JSON string, without the escapes that only HTML needs.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(s) // a string always encodes
	return bytes.TrimSpace(b.Bytes())
}
