package proxy

import (
	"net/http"
	"slices"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/rewrite"
)

// addIssuer puts iss into the response (RFC 9207 §2), once. A response that names another issuer is not passed on. One in
// a refresh, which no response mode knows, stays as it is.
func (r *reply) addIssuer() error {
	switch {
	case r.response == nil || !r.server.AddIssuer || r.response.refresh:
		return nil
	case r.response.form != nil:
		return r.addIssuerToForms()
	}
	location, err := r.response.WithIssuer(r.x.endpoints.issuer)
	if err != nil {
		return r.otherIssuer()
	}
	r.Header.Set("Location", location)
	return nil
}

// addIssuerToForms adds a field to the form of the response, and to its like for browsers without script.
func (r *reply) addIssuerToForms() error {
	var last *rewrite.Form
	for _, sent := range slices.Backward(r.sent) { // from behind, so that those before it stay where they are
		if sent.form == last || sent.Signed || sent.form != r.response.form && !r.response.sameAs(sent) {
			continue
		}
		last = sent.form
		if err := r.addIssuerTo(sent.form); err != nil {
			return err
		}
	}
	return nil
}

func (r *reply) addIssuerTo(form *rewrite.Form) error {
	issuer, there := r.x.endpoints.issuer, false
	for _, field := range form.Fields {
		if field.Name != oauth.ParamIss {
			continue
		}
		if there = true; field.Value != issuer {
			return r.otherIssuer()
		}
	}
	if !there {
		r.page.text, r.page.changed = form.WithField(r.page.text, oauth.ParamIss, issuer), true
	}
	return nil
}

func (r *reply) otherIssuer() error {
	r.server.Metrics.Responses.Inc(metrics.ResponseOtherIssuer)
	r.server.Log.Error("an authorization response with another iss was withheld", zap.Inline(r.x))
	return &refusal{told: (&oauth.Error{Status: http.StatusBadGateway, Code: oauth.CodeServerError,
		Description: "the authorization response names another issuer", Setting: "RESPONSE_ISS"}).Because(rewrite.ErrOtherIssuer), page: pageOtherIssuer}
}
