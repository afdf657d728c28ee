package client

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"pargate/proxy/oauth"
)

// jwtBearer is the one client_assertion_type (RFC 7523 §2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	unverifiedLeeway = 10 * time.Second // between our clock and the client's
	longestLife      = time.Hour        // an assertion that lasts longer is refused: its jti would have to be kept as long
	longestJTI       = 256              // bytes
)

// assertionText is the client assertion that was sent; empty when there was none.
func (p proof) assertionText() string {
	if p.assertion == nil {
		return ""
	}
	return p.assertion.Text
}

// unverified is a client assertion (RFC 7523 §3) whose signature only the upstream can check.
type unverified struct {
	text      string
	header    string // as it stands in text
	claims    map[string]json.RawMessage
	signature int // its length in bytes
	client    string
	jti       string
	expires   time.Time
}

// readUnverified reads an assertion of the client that names itself clientID in the form, if it does. Its text must be
// the only one that says the same, so that a repetition is seen.
func readUnverified(text, clientID string) (unverified, error) {
	a := unverified{text: text}
	malformed := func(cause string) (unverified, error) {
		return a, oauth.InvalidClient("the client assertion is malformed", false).Because(errors.New(cause))
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return malformed("not three parts")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		// The decoder skips line ends.
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return malformed("not base64url")
		}
	}
	header, err := readObject(decoded[0])
	if err != nil {
		return malformed("header " + err.Error())
	}
	if a.claims, err = readObject(decoded[1]); err != nil {
		return malformed("claims " + err.Error())
	}
	a.header, a.signature = parts[0], len(decoded[2])
	if alg := stringOf(header["alg"]); alg == "" || strings.EqualFold(alg, "none") || a.signature == 0 {
		return malformed("not signed")
	}
	a.client, a.jti = stringOf(a.claims["sub"]), stringOf(a.claims["jti"])
	var seconds float64
	switch {
	case a.client == "" || stringOf(a.claims["iss"]) != a.client:
		return a, oauth.InvalidClient("iss and sub of the client assertion must both be the client_id", false)
	case clientID != "" && clientID != a.client:
		return a, oauth.InvalidRequest("client_id in the form is not the client of the assertion")
	case a.jti == "" || len(a.jti) > longestJTI:
		return a, oauth.InvalidClient("the client assertion has no usable jti", false)
	case isNull(a.claims["exp"]) || json.Unmarshal(a.claims["exp"], &seconds) != nil || seconds < 0 || seconds > 1<<40:
		return a, oauth.InvalidClient("the client assertion has no usable exp", false)
	}
	a.expires = time.UnixMilli(int64(seconds * 1000))
	return a, nil
}

// checkTime reports whether the assertion can be used at the time now: upstreams have been seen that forget to.
func (a unverified) checkTime(now time.Time) error {
	switch left := a.expires.Sub(now); {
	case left <= -unverifiedLeeway:
		return oauth.InvalidClient("the client assertion has expired", false)
	case left > longestLife:
		return oauth.InvalidClient("the client assertion lasts longer than an hour", false)
	}
	return nil
}

// forged returns the assertion with a jti of its own and a signature that nobody has made; with issuer, of that
// client.
func (a unverified) forged(issuer *string) unverified {
	claims := maps.Clone(a.claims)
	claims["jti"] = quote(rand.Text())
	if issuer != nil {
		claims["iss"], claims["sub"] = quote(*issuer), quote(*issuer)
	}
	body, _ := json.Marshal(claims) // of valid JSON
	signature := make([]byte, a.signature)
	rand.Read(signature)
	a.text = a.header + "." + base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(signature)
	return a
}

// readObject reads a JSON object in which no member occurs twice: parsers differ in which one counts.
func readObject(raw []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(raw) || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return nil, errors.New("is not a JSON object")
	}
	object := map[string]json.RawMessage{}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.Token()
	for decoder.More() {
		token, _ := decoder.Token()
		name, _ := token.(string)
		if _, twice := object[name]; twice {
			return nil, errors.New("has a member twice")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("is not a JSON object")
		}
		object[name] = value
	}
	return object, nil
}

// stringOf returns the string that v is; empty when it is none.
func stringOf(v json.RawMessage) (s string) {
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

func quote(s string) json.RawMessage {
	quoted, _ := json.Marshal(s) // a string always can be
	return quoted
}
