package rewrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MetadataPatch is what the gateway changes in the metadata of an authorization server, so that it is true of both of them
// (RFC 9126 §5). Zero fields but PushEndpoint leave the members that they are about as they are.
type MetadataPatch struct {
	PushEndpoint string // pushed_authorization_request_endpoint

	// RequirePAR is require_pushed_authorization_requests. References that were not pushed are refused then, so that
	// request_uri_parameter_supported, which is true where it is absent (OpenID Connect Discovery §3), becomes false.
	RequirePAR bool

	// AdvertiseIssuer says that responses carry iss: authorization_response_iss_parameter_supported (RFC 9207 §3); false
	// leaves the member as it is.
	AdvertiseIssuer bool

	// OpensRequestObjects lists the algorithms of the request objects that the gateway opens (RFC 9101 §9, OpenID Connect
	// Discovery §3). Where the upstream opens some too it may get those of other clients, so that only what both take is
	// named; all of the gateway's, when that is nothing. Encrypted ones are opened by nobody then.
	OpensRequestObjects []string

	ResponseTypes []string // response_types_supported, whether the member is there or not

	// Only names the values that may stay in members that are lists. A member that is absent is not added, and one that
	// has none of the values stays: what the upstream lacks is not promised for it.
	Only map[string][]string
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
		members = set(members, "require_pushed_authorization_requests", isTrue)
		members = set(members, "request_uri_parameter_supported", json.RawMessage("false"))
	}
	if patch.AdvertiseIssuer {
		members = set(members, "authorization_response_iss_parameter_supported", isTrue)
	}
	if patch.OpensRequestObjects != nil {
		members = openRequestObjects(members, patch.OpensRequestObjects)
	}
	if patch.ResponseTypes != nil {
		members = set(members, "response_types_supported", array(patch.ResponseTypes))
	}
	for name, values := range patch.Only {
		if left := common(get(members, name), values); left != nil {
			members = set(members, name, array(left))
		}
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

var isTrue = json.RawMessage("true")

// openRequestObjects describes request objects that are opened before the upstream gets them. That one demands signed ones
// stays: it is about its own.
func openRequestObjects(members []jsonMember, algorithms []string) []jsonMember {
	const supported, signing = "request_parameter_supported", "request_object_signing_alg_values_supported"
	if string(get(members, supported)) == "true" {
		if both := common(get(members, signing), algorithms); both != nil {
			algorithms = both
		}
	}
	members = set(members, supported, isTrue)
	members = set(members, signing, array(algorithms))
	members = without(members, "request_object_encryption_alg_values_supported")
	return without(members, "request_object_encryption_enc_values_supported")
}

// common returns what of a JSON array of strings is among the values, in the array's order; nil when nothing is, or when
// it is no such array.
func common(raw json.RawMessage, values []string) (both []string) {
	var all []string
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	for _, one := range all {
		if slices.Contains(values, one) {
			both = append(both, one)
		}
	}
	return both
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

// get returns the value of a member; nil when it is absent.
func get(members []jsonMember, name string) json.RawMessage {
	for _, m := range members {
		if m.name == name {
			return m.value
		}
	}
	return nil
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

// array returns texts as a JSON array.
func array(texts []string) json.RawMessage {
	quoted := make([][]byte, len(texts))
	for i, one := range texts {
		quoted[i] = quote(one)
	}
	return slices.Concat([]byte("["), bytes.Join(quoted, []byte(",")), []byte("]"))
}

// quote returns s as a JSON string, without the escapes that only HTML needs.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(s) // a string always encodes
	return bytes.TrimSpace(b.Bytes())
}
