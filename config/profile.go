package config

// Effect is one thing that a profile changes, for people.
type Effect struct {
	Name string // a word or two
	Text string // what holds, in one sentence without a full stop
}

// fapi2 are the effects of ProfileFAPI2: what the FAPI 2.0 Security Profile demands, as far as a gateway can supply it. The
// rest is up to the authorization server (docs/fapi.md).
var fapi2 = []Effect{
	{"audience", "a client assertion is for exactly the issuer, as one string"},
	{"clients", "clients authenticate by private_key_jwt, tls_client_auth or self_signed_tls_client_auth; those with a secret and public ones are refused"},
	{"algorithms", "what clients sign, assertions, request objects and DPoP proofs, is signed with PS256, ES256 or EdDSA"},
	{"request objects", "a signed request has iss and nbf, and an exp at most 60m after its nbf"},
	{"PAR", "every authorization request must be pushed"},
	{"PKCE", "every request has a code_challenge, by S256"},
	{"redirect_uri", "every request has a redirect_uri, which is https, or http on a loopback address"},
	{"response_type", "response_type is code and nothing else"},
	{"iss", "authorization responses have iss, and the metadata says so"},
	{"expires_in", "a request_uri waits for the browser less than 600s, as without the profile"},
	{"clocks", "an nbf or iat may lie up to 30s ahead, as without the profile: FAPI 2.0 wants 10s taken and more than 60s refused"},
	{"redirects", "a form posted in a login is answered by 303 where the authorization server says 307 or 308"},
	{"metadata", "the metadata names only what of response types, PKCE methods, client authentication methods and their algorithms is left, and no implicit grant"},
}

// Effects are what the profile changes, one by one; none without a profile.
func (v Profile) Effects() []Effect {
	if v == ProfileFAPI2 {
		return fapi2
	}
	return nil
}

// profile sets what is unset to what the profile has in its place, and refuses what contradicts it: which of the two was
// meant is the operator's to say.
func (c *checker) profile() {
	if c.cfg.Profile != ProfileFAPI2 {
		return
	}
	hold(c, "PAR_REQUIRED", &c.cfg.PARRequired, true, "requires every request to be pushed")
	hold(c, "ASSERTION_AUDIENCE", &c.cfg.AssertionAudience, AudienceIssuer, "takes client assertions for the issuer alone")
	hold(c, "RESPONSE_ISS", &c.cfg.ResponseISS, ISSAdvertise, "adds iss to responses and says so in the metadata")
	// Clients take the push endpoint, and that they must use it and get iss, from the metadata. No server without PAR of
	// its own has any of that there; that of one with PAR is left alone anyway.
	hold(c, "METADATA_PATCH", &c.cfg.MetadataPatch, true, "says in the metadata where to push, and that responses have iss")
}

// hold gives a setting the value that the profile wants, or says that it has another.
func hold[T comparable](c *checker, setting string, value *T, want T, demand string) {
	switch {
	case !c.env.isSet(setting):
		*value = want
	case *value != want:
		c.fail(setting, "is %v, but %s=%s %s; set it to %v or unset it", *value, c.env.name("PROFILE"), c.cfg.Profile, demand, want)
	}
}
