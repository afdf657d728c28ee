package proxy

import (
	"slices"

	"pargate/proxy/client"
	"pargate/proxy/jwt"
	"pargate/rewrite"
)

// patch is what the configuration changes in the metadata of an upstream of which e is known.
func (pol policy) patch(e *endpoints) rewrite.MetadataPatch {
	patch := rewrite.MetadataPatch{PushEndpoint: e.pushURL(), RequirePAR: pol.requirePAR, AdvertiseIssuer: pol.advertiseISS,
		OpensRequestObjects: pol.openedAlgorithms(), Aliases: jwt.Aliases(), Only: map[string][]string{"dpop_signing_alg_values_supported": e.proofs}}
	if pol.fapi {
		patch.ResponseTypes = []string{"code"}
		patch.Never = map[string][]string{"grant_types_supported": {"implicit"}} // which no response_type is left for
		patch.Only["code_challenge_methods_supported"] = []string{"S256"}
		patch.Only["token_endpoint_auth_methods_supported"] = client.FAPIMethods()
		patch.Only["token_endpoint_auth_signing_alg_values_supported"] = jwt.FAPI()
	}
	return patch
}

// algorithms are those with which clients sign.
func (pol policy) algorithms() []string {
	if pol.fapi {
		return jwt.FAPI()
	}
	return jwt.Asymmetric()
}

// proofs are the algorithms of DPoP proofs that the upstream and the gateway take, as jwt.Canonical has them, of the first
// document that has one. Nil: the upstream does not know DPoP, or only with algorithms that are not taken here, and a client
// that follows its metadata could make no proof.
func (pol policy) proofs(found ...*document) []string {
	for _, doc := range found {
		if both := takenOf(doc.ProofAlgorithms, pol.algorithms()); both != nil {
			return both
		}
	}
	return nil
}

// takenOf returns which of the algorithms a list names, in its order.
func takenOf(list names, algorithms []string) (taken []string) {
	for _, name := range list {
		if name = jwt.Canonical(name); slices.Contains(algorithms, name) && !slices.Contains(taken, name) {
			taken = append(taken, name)
		}
	}
	return taken
}
