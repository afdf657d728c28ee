package proxy

import (
	"encoding/json"
	"slices"

	"pargate/proxy/client"
	"pargate/proxy/jwt"
	"pargate/rewrite"
)

// patch is what the configuration changes in the metadata.
func (pol policy) patch(pushURL string) rewrite.MetadataPatch {
	patch := rewrite.MetadataPatch{PushEndpoint: pushURL, RequirePAR: pol.requirePAR, AdvertiseIssuer: pol.advertiseISS,
		OpensRequestObjects: pol.openedAlgorithms()}
	if pol.fapi {
		patch.ResponseTypes = []string{"code"}
		patch.Only = map[string][]string{
			"code_challenge_methods_supported":                 {"S256"},
			"token_endpoint_auth_methods_supported":            client.FAPIMethods(),
			"token_endpoint_auth_signing_alg_values_supported": jwt.FAPI(),
		}
	}
	return patch
}

// promises are what an upstream's metadata says about what a gateway cannot do in its place. A value of another type is no
// promise, and no reason to do without the document.
type promises struct {
	ChallengeMethods json.RawMessage `json:"code_challenge_methods_supported"`
	DPoPAlgorithms   json.RawMessage `json:"dpop_signing_alg_values_supported"`
	CertificateBound json.RawMessage `json:"tls_client_certificate_bound_access_tokens"`
	RequireSigned    json.RawMessage `json:"require_signed_request_object"`
}

const (
	refusesPlain = "the authorization server says require_signed_request_object in its metadata, so it will refuse pushed requests, which reach it as plain parameters; switch that off there"
	withoutS256  = "PROFILE=fapi2: the authorization server does not advertise PKCE with S256 (code_challenge_methods_supported), so it may not ask for the code_verifier"
	withoutBound = "PROFILE=fapi2: the authorization server advertises neither DPoP nor certificate-bound tokens (dpop_signing_alg_values_supported, tls_client_certificate_bound_access_tokens), so whoever has a token may use it"
	saysItself   = "PROFILE=fapi2: the authorization server offers PAR itself, so its metadata is left alone: clients learn from it neither the push endpoint here, nor that requests must be pushed to it, nor that responses have iss"
)

// warnings say what the upstream's documents promise, or do not, that sets those up for trouble who rely on the gateway.
func (pol policy) warnings(e *endpoints, found ...*document) (all []string) {
	var s256, bound, signedOnly bool
	for _, doc := range found {
		var says promises
		if json.Unmarshal(doc.raw, &says) != nil {
			continue
		}
		s256 = s256 || slices.Contains(textsIn(says.ChallengeMethods), "S256")
		bound = bound || len(textsIn(says.DPoPAlgorithms)) > 0 || string(says.CertificateBound) == "true"
		signedOnly = signedOnly || string(says.RequireSigned) == "true"
	}
	for _, one := range []struct {
		applies bool
		text    string
	}{{signedOnly, refusesPlain}, {pol.fapi && !s256, withoutS256}, {pol.fapi && !bound, withoutBound}, {pol.fapi && e.native != "", saysItself}} {
		if one.applies {
			all = append(all, one.text)
		}
	}
	return all
}

// textsIn returns the elements of a JSON array of strings; nil when it is none.
func textsIn(raw json.RawMessage) (texts []string) {
	if json.Unmarshal(raw, &texts) != nil {
		return nil
	}
	return texts
}
