//go:build compat

package compat

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// authorization is an authorization request whose every value can be recognised wherever it turns up.
type authorization struct {
	form     url.Values
	verifier string
	canaries map[string]string // what to look for, by the name of the parameter that it belongs to
}

// canary is a text that no encoding changes, but base64 and encryption.
func canary() string { return "Xq7" + rand.Text()[:16] }

// newAuthorization makes a request of the registered client, of about size bytes.
func newAuthorization(scope string, size int) authorization {
	a := authorization{verifier: rand.Text() + rand.Text(), canaries: map[string]string{"redirect_uri": "Xq7redirecturi4Wz"}}
	for _, name := range []string{"state", "nonce", "claims", "authorization_details", "x_hint"} {
		a.canaries[name] = canary()
	}
	a.canaries["code_challenge"] = challengeOf(a.verifier)
	a.form = url.Values{
		"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {redirectURI}, "scope": {scope},
		"state": {a.canaries["state"] + "+/ =&%7E"}, "nonce": {a.canaries["nonce"]}, "x_hint": {a.canaries["x_hint"]},
		"code_challenge": {a.canaries["code_challenge"]}, "code_challenge_method": {"S256"},
	}
	fill := func(filler string) {
		a.form.Set("claims", `{"id_token":{"`+a.canaries["claims"]+`":{"values":["`+filler+`"]}}}`)
		a.form.Set("authorization_details", `[{"type":"payment","note":"`+a.canaries["authorization_details"]+`","more":"`+filler+`"}]`)
	}
	fill("")
	filler := make([]byte, max(0, size-len(a.form.Encode()))/4)
	rand.Read(filler)
	fill(hex.EncodeToString(filler))
	return a
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// with returns the request with another parameter; an empty value takes it away.
func (a authorization) with(name, value string) authorization {
	a.form = maps.Clone(a.form)
	if a.form.Set(name, value); value == "" {
		a.form.Del(name)
	}
	return a
}

// seenIn returns the names of the parameters of which text shows the value, as it is or in base64.
func (a authorization) seenIn(text string) (names []string) {
	for name, value := range a.canaries {
		if slices.ContainsFunc(append(inBase64(value), value), func(v string) bool { return strings.Contains(text, v) }) {
			names = append(names, name)
		}
	}
	return names
}

// inBase64 returns what base64 makes of s somewhere in a text: one form for each place in a group of three bytes.
func inBase64(s string) []string {
	var all []string
	for shift := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
		all = append(all, encoded[4:len(encoded)-4])
	}
	return all
}
