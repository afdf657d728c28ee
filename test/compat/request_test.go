//go:build compat

package compat

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
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

// newAuthorization makes a request of the server's client, of about size bytes.
func newAuthorization(s *server) authorization {
	a := authorization{verifier: rand.Text() + rand.Text(), canaries: map[string]string{"redirect_uri": "Xq7redirecturi4Wz"}}
	for _, name := range []string{"state", "nonce", "claims", "authorization_details", "x_hint"} {
		a.canaries[name] = canary()
	}
	a.canaries["code_challenge"] = challengeOf(a.verifier)
	a.form = url.Values{
		"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {redirectURI}, "scope": {s.scope},
		"state": {a.canaries["state"] + "+/ =&%7E"}, "nonce": {a.canaries["nonce"]}, "x_hint": {a.canaries["x_hint"]},
		"code_challenge": {a.canaries["code_challenge"]}, "code_challenge_method": {"S256"},
	}
	fill := func(filler string) {
		a.form.Set("claims", `{"id_token":{"`+a.canaries["claims"]+`":{"values":["`+filler+`"]}}}`)
		a.form.Set("authorization_details", `[{"type":"payment","note":"`+a.canaries["authorization_details"]+`","more":"`+filler+`"}]`)
	}
	fill("")
	size := s.size
	if size == 0 {
		size = bigRequest
	}
	filler := make([]byte, max(0, size-len(a.form.Encode()))/4)
	rand.Read(filler)
	fill(hex.EncodeToString(filler))
	return a
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// with returns the request with one more parameter.
func (a authorization) with(name, value string) authorization {
	form := url.Values{name: {value}}
	for n, v := range a.form {
		if n != name {
			form[n] = v
		}
	}
	a.form = form
	return a
}

// seenIn returns the names of the parameters of which text shows the value.
func (a authorization) seenIn(text string) (names []string) {
	texts := unfold(text)
	for name, value := range a.canaries {
		for _, t := range texts {
			if strings.Contains(t, value) {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// unfold returns a text and what its base64 runs hide, both percent-decoded first.
func unfold(text string) []string {
	for range 3 {
		text = percentDecode(text)
	}
	all := []string{text}
	isBase64 := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+/-_", r)
	}
	for _, run := range strings.FieldsFunc(text, func(r rune) bool { return !isBase64(r) }) {
		if len(run) < 16 {
			continue
		}
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(run)
		for from := range 4 { // the run may begin before the base64 does
			if decoded, err := base64.RawStdEncoding.DecodeString(plain[from : from+(len(plain)-from)/4*4]); err == nil {
				all = append(all, percentDecode(string(decoded)))
			}
		}
	}
	return all
}

// percentDecode decodes what can be decoded, and leaves the rest.
func percentDecode(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if raw, err := hex.DecodeString(text[i+1 : i+3]); err == nil {
				b.Write(raw)
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
