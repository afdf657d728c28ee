package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// secretNames are the parameters of the token endpoint that are not printed in full.
var secretNames = []string{"code", "code_verifier", "client_secret", "refresh_token"}

// tokenRequest: the client redeems the code, through the gateway, which changes nothing here.
func (s *story) tokenRequest(context.Context) error {
	x, err := s.only("the client has redeemed the code", s.demo.clientTap.all(func(x exchange) bool {
		return strings.Contains(string(x.body), "grant_type=")
	}))
	if err != nil {
		return err
	}
	s.token = x
	form, err := parse(string(x.body))
	if err != nil {
		return err
	}
	s.seen(x.method, x.url.String(), inBytes(x.bytesOfURL()))
	for _, p := range form {
		value := p.value
		if slices.Contains(secretNames, p.name) {
			value = mask(value)
		}
		s.seen(p.name, value, inBytes(len(p.value)))
	}
	s.same("it goes to the gateway", s.demo.gatewaySite.url.Host, x.url.Host)
	s.sameSecret("it has the code", s.response.location().Query().Get("code"), form.get("code"))
	s.same("its code_verifier is the one whose S256 was pushed", s.pushed.get("code_challenge"), oauth2.S256ChallengeFromVerifier(form.get("code_verifier")))

	got, err := s.only("the legacy server got it", s.demo.legacy.all(to(x.method, x.url.Path)))
	if err != nil {
		return err
	}
	s.sameSecret(fmt.Sprintf("the legacy server got the same body, byte for byte: %d bytes", len(got.body)), string(x.body), string(got.body))
	s.sameSecret("and the same Authorization header", x.header.Get("Authorization"), got.header.Get("Authorization"))
	s.sameSecret("the client was given the legacy server's answer, byte for byte", string(got.answer), string(x.answer))
	return nil
}

// tokens: what the client has in the end.
func (s *story) tokens(context.Context) error {
	s.seen("answer", fmt.Sprint(s.token.status, " ", http.StatusText(s.token.status)), inBytes(len(s.token.answer)))
	if !s.sameNumber("status 200", http.StatusOK, s.token.status) {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(s.token.answer, &members); err != nil {
		return err
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		var value string
		if err := json.Unmarshal(members[name], &value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.seen(name, mask(value), inBytes(len(value)))
	}
	o := s.demo.client.outcome()
	if o == nil || o.err != nil || o.idToken == nil || o.userInfo == nil {
		problem := "the client has nothing"
		if o != nil && o.err != nil {
			problem = o.err.Error()
		}
		s.missed("the client has verified the ID token", "verified", problem)
		return errors.New(problem)
	}
	s.seen("the ID token says", fmt.Sprintf("iss %s, sub %s, aud %s", o.idToken.Issuer, o.idToken.Subject, strings.Join(o.idToken.Audience, " ")), "")
	s.sameNumber("the client has let the browser in", http.StatusOK, s.page.status)
	keys := s.keysSeen()
	s.holds("the client has verified the ID token with a key from "+keys, keys != "", "a key set", "none")
	s.same("iss is the issuer", s.issuer, o.idToken.Issuer)
	s.same("nonce is the one that was pushed", s.pushed.get("nonce"), o.idToken.Nonce)
	s.holds("it has not expired", o.idToken.Expiry.After(time.Now()), "a time to come", o.idToken.Expiry.String())
	s.same("the access token opens the userinfo endpoint, for the same sub", o.idToken.Subject, o.userInfo.Subject)
	// A gateway delivers authorization_details. To grant them is up to the server.
	_, granted := members["authorization_details"]
	s.seen("granted by the server", map[bool]string{true: "authorization_details", false: "no authorization_details: it got them, and does not know RFC 9396"}[granted], "")
	return nil
}

// keysSeen is where the client has read the keys with which it has verified; empty when it has read none.
func (s *story) keysSeen() string {
	for _, x := range s.demo.clientTap.all(nil) {
		if strings.Contains(string(x.answer), `"keys"`) {
			return fmt.Sprintf("%s (%d bytes)", x.url, len(x.answer))
		}
	}
	return ""
}
