package proxy

import (
	"net/http"

	"go.uber.org/zap"

	"pargate/proxy/oauth"
)

// addIssuer puts iss into the response (RFC 9207 §2). A response that names another issuer is not passed on.
func (r *reply) addIssuer() error {
	if r.response == nil || !r.server.AddIssuer {
		return nil
	}
	location, err := r.response.WithIssuer(r.x.endpoints.issuer)
	if err != nil {
		r.server.Log.Error("an authorization response with another iss was withheld", zap.String("request_id", r.x.id))
		return &refusal{told: (&oauth.Error{Status: http.StatusBadGateway, Code: oauth.CodeServerError,
			Description: "the authorization response names another issuer"}).Because(err),
			title: "This sign-in went wrong", text: "The answer to this sign-in does not come from where it should." + startAgain}
	}
	r.Header.Set("Location", location)
	return nil
}
