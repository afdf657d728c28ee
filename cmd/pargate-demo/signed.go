package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keySet is the client's public key as it is registered (RFC 7591 §2).
func (r registration) keySet() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: r.key.Public(), KeyID: "demo", Algorithm: string(jose.ES256), Use: "sig"}}}
}

// requestObject signs the parameters of a request (RFC 9101 §4).
func requestObject(key *ecdsa.PrivateKey, query url.Values, audience string) (string, error) {
	now := time.Now()
	claims := map[string]any{"aud": audience, "iss": query.Get("client_id"), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for name, values := range query {
		claims[name] = values[0]
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("oauth-authz-req+jwt").WithHeader(jose.HeaderKey("kid"), "demo")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
