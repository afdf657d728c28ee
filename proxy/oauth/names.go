package oauth

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Parameter names (RFC 6749, RFC 7521, RFC 8707, RFC 9101, RFC 9396, RFC 9449, OpenID Connect Core §3.1.2.1).
const (
	ParamAuthorizationDetails = "authorization_details"
	ParamClaims               = "claims"
	ParamClientAssertion      = "client_assertion"
	ParamClientAssertionType  = "client_assertion_type"
	ParamClientID             = "client_id"
	ParamClientSecret         = "client_secret"
	ParamCodeChallenge        = "code_challenge"
	ParamCodeChallengeMethod  = "code_challenge_method"
	ParamDPoPJKT              = "dpop_jkt"
	ParamIss                  = "iss"
	ParamMaxAge               = "max_age"
	ParamPrompt               = "prompt"
	ParamRedirectURI          = "redirect_uri"
	ParamRequest              = "request"
	ParamRequestURI           = "request_uri"
	ParamResource             = "resource"
	ParamResponseType         = "response_type"
	ParamScope                = "scope"
	ParamState                = "state"
)

// RequestURIPrefix stands before the reference of a pushed request (RFC 9126 §2.2).
const RequestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// authorizationRequestNames are the parameters with which an authorization request is made. Names of tokens and
// of responses (code, error, username, password) are never among them: login forms have those.
var authorizationRequestNames = map[string]bool{
	ParamResponseType: true, ParamClientID: true, ParamRedirectURI: true, ParamScope: true, ParamState: true, // RFC 6749
	ParamCodeChallenge: true, ParamCodeChallengeMethod: true, // RFC 7636
	ParamResource: true,                        // RFC 8707
	ParamRequest:  true, ParamRequestURI: true, // RFC 9101
	ParamAuthorizationDetails: true,                                                                       // RFC 9396
	ParamDPoPJKT:              true,                                                                       // RFC 9449
	"response_mode":           true, "nonce": true, "display": true, ParamPrompt: true, ParamMaxAge: true, // OpenID Connect
	"ui_locales": true, "claims_locales": true, "id_token_hint": true, "login_hint": true, "acr_values": true,
	ParamClaims: true, "registration": true,
}

// IsAuthorizationRequestName reports whether name, exactly or folded, is a parameter with which an authorization
// request is made.
func IsAuthorizationRequestName(name string) bool { return authorizationRequestNames[name] }

// AuthorizationRequestNames returns them all, sorted.
func AuthorizationRequestNames() []string {
	return slices.Sorted(maps.Keys(authorizationRequestNames))
}

// neverKept are the parameters that authenticate a client or belong to the token endpoint. They have no meaning
// in a pushed request (RFC 9126 §2.1) and are neither stored nor forwarded.
var neverKept = []string{
	ParamClientSecret, ParamClientAssertion, ParamClientAssertionType,
	"code_verifier", "code", "grant_type", "refresh_token",
}

// IsNeverKept reports whether a pushed parameter called name is neither stored nor forwarded.
func IsNeverKept(name string) bool { return slices.Contains(neverKept, name) }

// IsCredentialName reports whether name carries what a client proves itself with (RFC 6749 §2.3.1, RFC 7521 §4.2).
func IsCredentialName(name string) bool {
	return name == ParamClientSecret || name == ParamClientAssertion || name == ParamClientAssertionType
}

// IsOwnName reports whether name is one of the gateway's own parameters.
func IsOwnName(name string) bool { return strings.HasPrefix(name, "pargate") }

// Fold returns what the most generous parser in use would take a decoded parameter name for: without regard to
// case, without blanks and control characters around it and anything behind a NUL, as Rack and qs do it without
// brackets around it, and as PHP does it, cut at "[", with " " and "." as "_", and in narrow letters. What is refused by its folded name
// cannot be smuggled past by another spelling.
func Fold(name string) string {
	if isFolded(name) {
		return name
	}
	name = Narrow(name)
	name = strings.TrimLeftFunc(name, func(r rune) bool { return isBlank(r) || r == '[' || r == ']' })
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.TrimRightFunc(name, isBlank)
	// Upper-casing first also folds letters such as the dotless i, as a comparison by upper case would.
	name = strings.ToLower(strings.ToUpper(name))
	// A "[" that is never closed is "_" to PHP, and to Rack the end of the name.
	if i := strings.IndexAny(name, "[]"); i >= 0 && !isKnown(underscored(name)) {
		name = strings.TrimRightFunc(name[:i], isBlank)
	}
	return underscored(name)
}

// Narrow returns s with ASCII in place of its full-width forms, as Windows does it where a code page has only the former.
func Narrow(s string) string {
	if !strings.Contains(s, "\xef") { // with which each of them begins
		return s
	}
	return strings.Map(func(r rune) rune {
		if '！' <= r && r <= '～' {
			return r - '！' + '!'
		}
		return r
	}, s)
}

func isKnown(name string) bool { return IsAuthorizationRequestName(name) || IsNeverKept(name) }

func underscored(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '.' || r == '[' {
			return '_'
		}
		return r
	}, name)
}

// isBlank reports whether parsers trim r: Java everything up to the blank, others what Unicode calls a space, or a
// byte order mark.
func isBlank(r rune) bool { return r <= ' ' || unicode.IsSpace(r) || r == '\ufeff' }

// isFolded reports whether Fold has nothing to do, which is so for nearly every name that arrives.
func isFolded(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
