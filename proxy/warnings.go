package proxy

import (
	"encoding/json"
	"slices"

	"pargate/proxy/client"
)

// promises are what an upstream's metadata says about what a gateway cannot do in its place. A value of another type is no
// promise, and no reason to do without the document.
type promises struct {
	ChallengeMethods names           `json:"code_challenge_methods_supported"`
	AuthMethods      names           `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms   names           `json:"token_endpoint_auth_signing_alg_values_supported"`
	CertificateBound json.RawMessage `json:"tls_client_certificate_bound_access_tokens"`
	RequireSigned    json.RawMessage `json:"require_signed_request_object"`
}

const (
	refusesPlain   = "the authorization server says require_signed_request_object in its metadata, so it will refuse pushed requests, which reach it as plain parameters; switch that off there"
	unknownProofs  = "the authorization server advertises DPoP with no algorithm that is taken here (dpop_signing_alg_values_supported), so a DPoP proof at the push is ignored"
	withoutS256    = "PROFILE=fapi2: the authorization server does not advertise PKCE with S256 (code_challenge_methods_supported), so it may not ask for the code_verifier"
	withoutBound   = "PROFILE=fapi2: the authorization server advertises neither DPoP nor certificate-bound tokens (dpop_signing_alg_values_supported, tls_client_certificate_bound_access_tokens), so whoever has a token may use it"
	withoutMethods = "PROFILE=fapi2: the authorization server advertises none of the client authentication methods that are left (token_endpoint_auth_methods_supported), so the metadata names what the push endpoint refuses, and a client that can push may not get a token"
	withoutSigned  = "PROFILE=fapi2: the authorization server advertises none of the algorithms for client assertions that are left (token_endpoint_auth_signing_alg_values_supported), so the metadata names what the push endpoint refuses, and a client that can push may not get a token"
	saysItself     = "PROFILE=fapi2: the authorization server offers PAR itself, so its metadata is left alone: clients learn from it neither the push endpoint here, nor that requests must be pushed to it, nor that responses have iss"
)

// warnings say what the upstream's documents promise, or do not, that sets those up for trouble who rely on the gateway.
func (pol policy) warnings(e *endpoints, found ...*document) (all []string) {
	var s256, dpop, bound, signedOnly, otherMethods, otherAlgorithms bool
	for _, doc := range found {
		var says promises
		if json.Unmarshal(doc.raw, &says) != nil {
			continue
		}
		s256 = s256 || slices.Contains(says.ChallengeMethods, "S256")
		dpop = dpop || len(doc.ProofAlgorithms) > 0
		bound = bound || string(says.CertificateBound) == "true"
		signedOnly = signedOnly || string(says.RequireSigned) == "true"
		allowed := func(method string) bool { return slices.Contains(client.FAPIMethods(), method) }
		otherMethods = otherMethods || len(says.AuthMethods) > 0 && !slices.ContainsFunc(says.AuthMethods, allowed)
		otherAlgorithms = otherAlgorithms || len(says.AuthAlgorithms) > 0 && takenOf(says.AuthAlgorithms, pol.algorithms()) == nil
	}
	for _, one := range []struct {
		applies bool
		text    string
	}{
		{signedOnly, refusesPlain}, {dpop && e.proofs == nil, unknownProofs},
		{pol.fapi && !s256, withoutS256}, {pol.fapi && !dpop && !bound, withoutBound},
		{pol.fapi && otherMethods, withoutMethods}, {pol.fapi && otherAlgorithms, withoutSigned}, {pol.fapi && e.native != "", saysItself},
	} {
		if one.applies {
			all = append(all, one.text)
		}
	}
	return all
}
