package jar_test

import (
	"testing"
	"time"

	"pargate/proxy/jar"
	"pargate/test/harness"
)

const issuer = "https://login.example"

var (
	now   = time.Unix(1_800_000_000, 500_000_000)
	es256 = harness.NewSigner("ES256", "k1")
	rules = jar.Rules{Issuer: issuer, ClientID: "web", Now: now}
)

// open reads and opens a request object with those claims beside the right ones of its envelope.
func open(t *testing.T, claims string) (string, error) {
	t.Helper()
	token, err := jar.Read(es256.SignText(`{"client_id":"web","iss":"web","aud":"` + issuer + `","exp":1800000060,` + claims + `}`))
	if err != nil {
		return "", err
	}
	request, err := jar.Open(token, rules)
	return request.Params.Encode(), err
}

func TestClaimsBecomeParameters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, claims, want string }{
		{"a text stays as it is", `"state":" a+b\u00e4\ud83d\ude00 "`, "client_id=web&state=%20a%2Bb%C3%A4%F0%9F%98%80%20"},
		{"an empty text is none", `"state":"","nonce":"n"`, "client_id=web&nonce=n"},
		{"null is none", `"state":null`, "client_id=web"},
		{"zero", `"max_age":0`, "client_id=web&max_age=0"},
		{"a number", `"max_age":86400`, "client_id=web&max_age=86400"},
		{"a number with an exponent", `"max_age":1e3`, "client_id=web&max_age=1000"},
		{"a whole number with a point", `"max_age":5.0`, "client_id=web&max_age=5"},
		{"a number with a fraction", `"x":1.5`, "client_id=web&x=1.5"},
		{"a number beyond the precision of floating point", `"x":12345678901234567891`, "client_id=web&x=12345678901234567891"},
		{"a truth", `"x":true,"y":false`, "client_id=web&x=true&y=false"},
		{"claims keep everything but blanks between", `"claims": { "id_token" : {"acr":{ "essential":true}, "n": 1.50, "é":"\u00e9 <&>" } }`,
			"claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%7D%2C%22n%22%3A1.50%2C%22%C3%A9%22%3A%22%5Cu00e9%20%3C%26%3E%22%7D%7D&client_id=web"},
		{"claims as a text", `"claims":"{ \"userinfo\":{}}"`, "claims=%7B%20%22userinfo%22%3A%7B%7D%7D&client_id=web"},
		{"authorization_details", `"authorization_details":[ {"type":"a"}, {"type":"b"} ]`,
			"authorization_details=%5B%7B%22type%22%3A%22a%22%7D%2C%7B%22type%22%3A%22b%22%7D%5D&client_id=web"},
		{"several resources", `"resource":["https://b.example","https://a.example"]`, "client_id=web&resource=https%3A%2F%2Fb.example&resource=https%3A%2F%2Fa.example"},
		{"one resource", `"resource":"https://b.example"`, "client_id=web&resource=https%3A%2F%2Fb.example"},
		{"the envelope stays behind", `"nbf":1,"iat":1,"jti":"j","sub":"somebody"`, "client_id=web"},
		{"credentials and what belongs to tokens stay behind", `"client_secret":"s","client_assertion":"a","code_verifier":"v","grant_type":"g","code":"c"`, "client_id=web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := open(t, test.claims); err != nil || got != test.want {
				t.Errorf("{%s}\ngot  %s, %v\nwant %s", test.claims, got, err, test.want)
			}
		})
	}
}
