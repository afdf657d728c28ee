package proxy

import (
	"encoding/base64"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"pargate/proxy/client"
	"pargate/proxy/dpop"
	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// bindToKey returns the DPoP proof of a push, and the request bound to the proof's key by its dpop_jkt (RFC 9449 §10.1).
// Without a proof, or where the upstream does not know DPoP, the proof is nil and the request stays as it is.
func (s *Server) bindToKey(r *http.Request, params oauth.Params) (*dpop.Proof, oauth.Params, error) {
	fields, e := r.Header.Values("DPoP"), exchangeOf(r).endpoints
	if len(fields) == 0 {
		return nil, params, nil
	}
	if e.proofs == nil {
		s.Metrics.Proofs.Inc(metrics.ProofIgnored)
		// As by any server that does not know it. A dpop_jkt would bind nothing there.
		s.Log.Debug("a DPoP header is ignored: the authorization server's metadata does not advertise DPoP, or only with algorithms that are not taken here", zap.Inline(exchangeOf(r)))
		return nil, params, nil
	}
	proof, err := dpop.Verify(fields, dpop.Request{Method: http.MethodPost, URI: e.pushURL(), Algorithms: e.proofs, Time: s.Now()})
	if err != nil {
		s.Metrics.Proofs.Inc(metrics.ProofRefused)
		return nil, nil, oauth.InvalidDPoPProof("the DPoP proof " + err.Error())
	}
	switch params.Get(oauth.ParamDPoPJKT) {
	case proof.Thumbprint:
		return proof, params, nil
	case "": // an empty one is none
		others := slices.DeleteFunc(slices.Clone(params), func(p oauth.Param) bool { return p.Name == oauth.ParamDPoPJKT })
		return proof, append(others, oauth.Param{Name: oauth.ParamDPoPJKT, Value: proof.Thumbprint}), nil
	}
	s.Metrics.Proofs.Inc(metrics.ProofRefused)
	return nil, nil, oauth.InvalidDPoPProof("dpop_jkt is not the thumbprint of the key of the DPoP proof; use one key for both, or leave dpop_jkt out")
}

// useUp sees to it that the proof is taken once, by all replicas together (RFC 9449 §11.1).
func (s *Server) useUp(r *http.Request, c *client.Client, proof *dpop.Proof) error {
	if proof == nil {
		return nil
	}
	first, err := s.Store.Mark(r.Context(), "proofs "+exchangeOf(r).endpoints.issuer+" "+c.ID, proof.ID, dpop.Window)
	switch {
	case err != nil:
		return oauth.TemporarilyUnavailable("the DPoP proof could not be checked; make a new one").Because(err)
	case !first:
		s.Metrics.Proofs.Inc(metrics.ProofRefused)
		return oauth.InvalidDPoPProof("the DPoP proof was used before; make one for each request, with a jti of its own")
	}
	s.Metrics.Proofs.Inc(metrics.ProofTaken)
	return nil
}

// checkDPoPJKT: a thumbprint (RFC 9449 §10). Where DPoP is not known it is a parameter like any other.
func (p *pushed) checkDPoPJKT() error {
	value := p.params.Get(oauth.ParamDPoPJKT)
	if p.known.proofs == nil || value == "" {
		return nil
	}
	if sum, err := base64.RawURLEncoding.Strict().DecodeString(value); err != nil || len(sum) != 32 || len(value) != 43 {
		return oauth.InvalidRequest("dpop_jkt is not the SHA-256 thumbprint of a key, in 43 characters of base64url")
	}
	return nil
}
