package config

import "strings"

// requestParams are the names that RESUME_PARAMS cannot have. A resume parameter is kept beside a pushed request, so
// one of these would let a browser change the request, or send a client's credentials through the browser: RFC 6749,
// 7636, 8707, 9101, 9396, 9449 and OpenID Connect. The gateway has the full list; this one catches the mistake early.
const requestParams = ` client_id client_secret client_assertion client_assertion_type response_type response_mode
	redirect_uri scope state nonce code_challenge code_challenge_method code_verifier request request_uri resource
	audience authorization_details dpop_jkt prompt max_age display ui_locales claims_locales id_token_hint login_hint
	acr_values claims registration grant_type refresh_token `

func (c *checker) resumeParams() {
	reserved := strings.Fields(requestParams)
	for _, name := range c.cfg.ResumeParams {
		folded := foldName(name)
		switch {
		case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`&=+%#;"\[]`, r) }):
			c.fail("RESUME_PARAMS", "%s is not a parameter name", quote(name))
		case strings.HasPrefix(folded, "pargate"):
			c.fail("RESUME_PARAMS", "%s begins with pargate, which is ours", quote(name))
		}
		for _, word := range reserved {
			if folded == word {
				c.fail("RESUME_PARAMS", "%s belongs to authorization requests; a browser must not add it", quote(name))
			}
		}
	}
}

// foldName spells a name as the frameworks of authorization servers read it: PHP turns . into _.
func foldName(name string) string { return strings.ReplaceAll(strings.ToLower(name), ".", "_") }
