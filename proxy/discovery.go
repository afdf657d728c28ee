package proxy

import (
	"encoding/json"
	"slices"
	"strings"
)

// Discovery is what the gateway has learned of its upstream.
type Discovery struct {
	Issuer       string
	Source       string          // where: the path of its metadata, or settings
	Authorize    []string        // protected paths
	Push         string          // the push endpoint's URL; empty when the upstream's own has its path
	NativePush   string          // the upstream's own push endpoint; empty when it has none
	Endpoints    []NamedEndpoint // that are known beside these
	Capabilities []Capability    // that its metadata speaks of; nil: it has none
	Warnings     []string        // what is wrong with it; nil: nothing
}

// NamedEndpoint is one of the upstream's endpoints as clients know it.
type NamedEndpoint struct{ Name, URL string }

// Capability is what the upstream's metadata says, or does not, of something that matters here.
type Capability struct {
	Name string // a word
	Text string // for people, continuing the name of the upstream
}

// String describes the discovery in a line.
func (d Discovery) String() string {
	text := "issuer " + d.Issuer
	if d.Push != "" {
		text += ", push endpoint " + d.Push
	}
	if d.NativePush != "" {
		text += ", already offers PAR at " + d.NativePush
	}
	return text
}

// Discovery says what has been learned.
func (i *Inspection) Discovery() Discovery {
	e := i.known
	d := Discovery{Issuer: e.issuer, Source: e.source, Authorize: e.authorize, NativePush: e.native, Capabilities: e.says, Warnings: i.server.upstream.warnings(e)}
	if e.push != "" {
		d.Push = e.pushURL()
	}
	for _, one := range []NamedEndpoint{{"token", e.token}, {"revocation", e.revocation}, {"introspection", e.introspection}, {"end session", e.endSession}} {
		if one.URL != "" {
			d.Endpoints = append(d.Endpoints, one)
		}
	}
	return d
}

// said are the members that tell what an upstream can do (RFC 8414 §2, RFC 9101 §10.5, RFC 9207 §3, OpenID Connect
// Discovery §3). A value of another type is no promise.
type said struct {
	ChallengeMethods names           `json:"code_challenge_methods_supported"`
	ObjectAlgorithms names           `json:"request_object_signing_alg_values_supported"`
	RequestParameter json.RawMessage `json:"request_parameter_supported"`
	ISS              json.RawMessage `json:"authorization_response_iss_parameter_supported"`
	ResponseModes    names           `json:"response_modes_supported"`
}

// whatIsSaid reads all documents as one.
func whatIsSaid(found ...*document) (all []Capability, endSession string) {
	var pkce, dpop, objects, modes []string
	var native, iss, takesObjects bool
	for _, doc := range found {
		var says said
		_ = json.Unmarshal(doc.raw, &says) // it was read before
		pkce, objects = append(pkce, says.ChallengeMethods...), append(objects, says.ObjectAlgorithms...)
		dpop, modes = append(dpop, doc.ProofAlgorithms...), append(modes, says.ResponseModes...)
		native = native || doc.PushEndpoint != ""
		iss = iss || string(says.ISS) == "true"
		takesObjects = takesObjects || string(says.RequestParameter) == "true"
		if endSession == "" {
			endSession = doc.EndSessionEndpoint
		}
	}
	takesObjects = takesObjects || len(objects) > 0
	return []Capability{
		{"par", "PAR of its own: " + yesOrNo(native)},
		{"pkce", "PKCE: " + listOr(pkce, "not advertised")},
		{"dpop", "DPoP: " + listOr(dpop, "not advertised")},
		{"jar", "request objects of its own: " + listOr(objects, yesOrNo(takesObjects))},
		{"iss", "iss in responses of its own: " + yesOrNo(iss)},
		{"response_modes", "response modes: " + listOr(modes, "not advertised, so query and fragment")},
	}, endSession
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// listOr joins what is advertised. It is printed on a terminal.
func listOr(advertised []string, otherwise string) string {
	if len(advertised) == 0 {
		return otherwise
	}
	slices.Sort(advertised)
	return forTerminal(strings.Join(slices.Compact(advertised), ", "), 200)
}
