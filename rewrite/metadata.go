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
	// request_uri_parameter_supported, which is true where it is absent (OpenID Connect Discovery §3), becomes false. So
	// does request_parameter_supported, where it is there, unless OpensRequestObjects says who opens them: the upstream,
	// which gets plain parameters, does not.
	RequirePAR bool

	// AdvertiseIssuer says that responses carry iss: authorization_response_iss_parameter_supported (RFC 9207 §3); false
	// leaves the member as it is.
	AdvertiseIssuer bool

	// OpensRequestObjects lists the algorithms of the request objects that the gateway opens (RFC 9101 §9, OpenID Connect
	// Discovery §3). Where the upstream opens some too it may get those of other clients, so that only what both take is
	// named; all of the gateway's, when that is nothing. Encrypted ones are opened by nobody then. Nil: the gateway opens
	// none.
	OpensRequestObjects []string

	ResponseTypes []string // response_types_supported, whether the member is there or not

	// Only names the values that may stay in members that are lists, Never those that may not. A member that is absent is
	// not added, and one of which nothing would be left stays: what the upstream lacks is not promised for it.
	Only, Never map[string][]string

	// Aliases are other names that algorithms have in the upstream's lists, each with the name that it has here. A list
	// keeps the name that it has.
	Aliases map[string]string
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
		members = set(members, "request_uri_parameter_supported", isFalse)
	}
	if patch.AdvertiseIssuer {
		members = set(members, "authorization_response_iss_parameter_supported", isTrue)
	}
	switch {
	case patch.OpensRequestObjects != nil:
		members = patch.openRequestObjects(members)
	case patch.RequirePAR:
		members = openNoRequestObjects(members)
	}
	if patch.ResponseTypes != nil {
		members = set(members, "response_types_supported", array(patch.ResponseTypes))
	}
	for name, values := range patch.Only {
		members = keep(members, name, func(one string) bool { return patch.isAmong(values, one) })
	}
	for name, values := range patch.Never {
		members = keep(members, name, func(one string) bool { return !slices.Contains(values, one) })
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

var isTrue, isFalse = json.RawMessage("true"), json.RawMessage("false")

// The members about request objects. Encrypted ones are never opened here.
const (
	requestSupported  = "request_parameter_supported"
	requestSigning    = "request_object_signing_alg_values_supported"
	requestEncryption = "request_object_encryption_alg_values_supported"
	requestContent    = "request_object_encryption_enc_values_supported"
)

// openRequestObjects describes request objects that are opened before the upstream gets them. That one demands signed ones
// stays: it is about its own.
func (p MetadataPatch) openRequestObjects(members []jsonMember) []jsonMember {
	algorithms := p.OpensRequestObjects
	if string(get(members, requestSupported)) == "true" {
		if both := only(get(members, requestSigning), func(one string) bool { return p.isAmong(algorithms, one) }); both != nil {
			algorithms = both
		}
	}
	members = set(members, requestSupported, isTrue)
	members = set(members, requestSigning, array(algorithms))
	return without(without(members, requestEncryption), requestContent)
}

// openNoRequestObjects says that nobody opens any: where the member is absent that is so already (OpenID Connect Discovery
// §3).
func openNoRequestObjects(members []jsonMember) []jsonMember {
	if get(members, requestSupported) != nil {
		members = set(members, requestSupported, isFalse)
	}
	return without(without(without(members, requestSigning), requestEncryption), requestContent)
}

// isAmong reports whether one of the values is called so, here or in the upstream's lists.
func (p MetadataPatch) isAmong(values []string, name string) bool {
	return slices.Contains(values, name) || slices.Contains(values, p.Aliases[name])
}

// keep takes what is not wanted out of a member that is a list, unless nothing would be left.
func keep(members []jsonMember, name string, wanted func(string) bool) []jsonMember {
	if left := only(get(members, name), wanted); left != nil {
		return set(members, name, array(left))
	}
	return members
}

// only returns what is wanted of a JSON array of strings, in its order; nil when nothing is, or when it is no such array.
func only(raw json.RawMessage, wanted func(string) bool) (left []string) {
	var all []string
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	for _, one := range all {
		if wanted(one) {
			left = append(left, one)
		}
	}
	return left
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
