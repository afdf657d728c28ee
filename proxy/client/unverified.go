package client

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
)

// unverified is a client assertion (RFC 7523 §3) whose signature only the upstream can check.
type unverified struct {
	*assertion           // nil: nobody has made it
	text       string    // as it is sent
	header     string    // as it stands in text
	stated     statement // its claims
	signature  int       // its length in bytes
}

// statement is what an assertion states, to be stated otherwise.
type statement map[string]json.RawMessage

func unverifiedOf(a *assertion) unverified {
	parts := strings.Split(a.Text, ".")
	u := unverified{assertion: a, text: a.Text, header: parts[0], stated: statement{}, signature: base64.RawURLEncoding.DecodedLen(len(parts[2]))}
	for name, value := range a.Claims {
		u.stated[name] = json.RawMessage(value)
	}
	return u
}

// forged returns the assertion with a jti of its own and a signature that nobody has made; with issuer, of that
// client.
func (a unverified) forged(issuer *string) unverified {
	claims := maps.Clone(a.stated)
	claims["jti"] = quote(rand.Text())
	if issuer != nil {
		claims["iss"], claims["sub"] = quote(*issuer), quote(*issuer)
	}
	body, _ := json.Marshal(claims) // of valid JSON
	signature := make([]byte, a.signature)
	rand.Read(signature)
	a.assertion, a.text = nil, a.header+"."+base64.RawURLEncoding.EncodeToString(body)+"."+base64.RawURLEncoding.EncodeToString(signature)
	return a
}

func quote(s string) json.RawMessage {
	quoted, _ := json.Marshal(s) // a string always can be
	return quoted
}
