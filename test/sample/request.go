// Package sample holds what benchmarks measure with: authorization requests, a login's pages and addresses, and metadata,
// as they are in use. It imports nothing of ours, so that the tests of every package can have the same. Figures before and
// after a change here have nothing to do with each other.
package sample

import (
	"fmt"
	"net/url"
	"strings"
)

// Request is an authorization request of the client web.
type Request struct {
	Name string
	Form string // form-encoded, in the order of the client
}

// Requests are an ordinary request with PKCE, and one with claims and authorization_details of 4 KiB.
var Requests = []Request{{"ordinary", ordinary}, {"large", ordinary + "&" + encode("claims", claims(), "authorization_details", details())}}

// RedirectURI and State are those of every request.
const (
	RedirectURI = "https://app.example/oidc/callback"
	State       = "qS3fD0Vt9mXz1rJcUu7yEoLw4nKbHiAg6PpTeRdYxC8"
)

// Params is how many parameters the ordinary request has; the large one has two more.
const Params = 10

var ordinary = encode(
	"response_type", "code",
	"client_id", "web",
	"redirect_uri", RedirectURI,
	"scope", "openid profile email offline_access",
	"state", State,
	"nonce", "n-0S6_WzA2Mj8kLpQrT5vYxZbCdEfGhI",
	"code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
	"code_challenge_method", "S256",
	"ui_locales", "de-AT de en",
	"login_hint", "someone+login@example.com",
)

// encode form-encodes pairs of name and value as most client libraries do, with "+" for a blank.
func encode(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pairs[i] + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}

// claims is the claims parameter of OpenID Connect Core §5.5, in 2 KiB.
func claims() string {
	var members []string
	for i := range 24 {
		members = append(members, fmt.Sprintf(`"https://claims.example/verified/%02d":{"essential":true,"values":["low","high"]}`, i))
	}
	return `{"userinfo":{` + strings.Join(members, ",") + `}}`
}

// details is the authorization_details parameter of RFC 9396 §2, in 2 KiB.
func details() string {
	var elements []string
	for i := range 9 {
		elements = append(elements, fmt.Sprintf(`{"type":"payment_initiation","actions":["initiate","status"],"locations":["https://bank.example/payments"],`+
			`"instructedAmount":{"currency":"EUR","amount":"%d.50"},"creditorName":"Händler %d","creditorAccount":{"iban":"DE021001001093071188%02d"}}`, 100+i, i, i))
	}
	return "[" + strings.Join(elements, ",") + "]"
}
