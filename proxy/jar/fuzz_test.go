package jar_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pargate/proxy/jar"
	"pargate/proxy/oauth"
	"pargate/test/harness"
)

// FuzzRead: whatever is read is one text for one object, of an algorithm that is accepted, and is proven by no key that has
// not signed it. Whatever is refused is refused as a request object, plainly, and in words of our own.
func FuzzRead(f *testing.F) {
	for _, test := range hostile {
		f.Add(test.object)
	}
	f.Add(signed())
	stranger := harness.NewSigner("ES256", "")
	d := newDesk(f, `[{"client_id":"web","client_secret":"s","jwks":`+harness.KeySet(stranger)+`}]`)
	f.Fuzz(func(t *testing.T, text string) {
		token, err := jar.Read(text)
		var e *oauth.Error
		switch {
		case err == nil:
		case !errors.As(err, &e) || e.Status != 400 || e.Code != oauth.CodeInvalidRequestObject:
			t.Fatalf("%q: %v", text, err)
		default:
			wantPlain(t, e.Description)
			if len(text) > 40 && strings.Contains(err.Error(), text) {
				t.Errorf("%q is repeated: %v", text, err)
			}
			return
		}
		parts := strings.Split(text, ".")
		if len(parts) != 3 || len(text) > 32<<10 {
			t.Fatalf("%q is read", text)
		}
		for i, part := range parts {
			decoded, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != part {
				t.Errorf("%q: part %d has another text: %v", text, i, err)
			}
		}
		if token.Algorithm == "" || strings.EqualFold(token.Algorithm, "none") || strings.HasPrefix(token.Algorithm, "HS") {
			t.Errorf("%q: alg %s", text, token.Algorithm)
		}
		if d.VerifyRequestObject(t.Context(), d.registry.Lookup("web"), token) == nil {
			t.Errorf("%q is proven by a key that has signed nothing", text)
		}
	})
}

// FuzzParams: what is opened can be sent as a form that a push takes, has no claim of the envelope and no credential, has
// no name twice but resource, and is what encoding/json says the claims are.
func FuzzParams(f *testing.F) {
	for _, claims := range []string{
		`"state":"a"`, `"max_age":0`, `"max_age":1e3,"x":1.50,"y":-0`, `"x":true,"y":false,"z":null`, `"claims":{"id_token":{"acr":null}}`,
		`"claims":"{}"`, `"authorization_details":[{"type":"a"}]`, `"resource":["https://a.example","https://b.example"]`, `"resource":"https://a.example"`,
		`"scope":["openid"]`, `"State":"a"`, `"request":"a"`, `"code":"a","client_secret":"b"`, `"pargate":"1"`, `"\u0000":"a"`, `"a":"\ud800"`, `"a":"\ud83d\ude00"`,
		`"a":1,"\u0061":2`, `"iss":"web","jti":"j","nbf":1,"iat":1,"sub":"s"`, `"a b":"c d","ä":"&=+%;"`, `"":"a"`, `"registration":{}`, manyClaims(99), manyClaims(100),
	} {
		f.Add(claims)
	}
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`))
	f.Fuzz(func(t *testing.T, others string) {
		text := `{"client_id":"web","aud":"` + issuer + `","exp":1800000060,` + others + `}`
		token, err := jar.Read(header + "." + base64.RawURLEncoding.EncodeToString([]byte(text)) + ".AA")
		if err != nil {
			return
		}
		request, err := jar.Open(token, rules)
		var e *oauth.Error
		switch {
		case err == nil:
		case !errors.As(err, &e) || e.Code != oauth.CodeInvalidRequestObject:
			t.Fatalf("%s: %v", text, err)
		default:
			wantPlain(t, e.Description)
			return
		}
		again, err := oauth.ParseForm(request.Params.Encode())
		if err != nil || !slices.Equal(again, request.Params) {
			t.Fatalf("%s: %v, as a form %v, %v", text, request.Params, again, err)
		}
		wantClaims(t, text, request.Params)
	})
}

// wantClaims checks parameters against the claims from which they were made.
func wantClaims(t *testing.T, text string, params oauth.Params) {
	t.Helper()
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		t.Fatalf("%s is opened: %v", text, err)
	}
	got := map[string][]string{}
	for _, p := range params {
		if got[p.Name] = append(got[p.Name], p.Value); len(got[p.Name]) > 1 && p.Name != oauth.ParamResource {
			t.Errorf("%s: %s is there twice", text, p.Name)
		}
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "request", "request_uri",
		"client_secret", "client_assertion", "client_assertion_type", "code_verifier", "code", "grant_type", "refresh_token"} {
		if got[name] != nil {
			t.Errorf("%s: %s is a parameter", text, name)
		}
		delete(claims, name)
	}
	for name, claim := range claims {
		if !saysTheSame(name, claim, got[name]) {
			t.Errorf("%s: %s is %q, want %v", text, name, got[name], claim)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("%s: %v is nowhere in it", text, got)
	}
}

// saysTheSame reports whether the values of a parameter are what the claim says.
func saysTheSame(name string, claim any, values []string) bool {
	switch claim := claim.(type) {
	case []any:
		if name == oauth.ParamResource {
			claim = slices.DeleteFunc(claim, func(each any) bool { return each == "" })
			return len(claim) == len(values) && !slices.ContainsFunc(claim, func(each any) bool { return !slices.Contains(values, each.(string)) })
		}
	case map[string]any:
	case nil:
		return len(values) == 0
	case string:
		return claim == "" && len(values) == 0 || len(values) == 1 && values[0] == claim
	case bool:
		return len(values) == 1 && values[0] == map[bool]string{true: "true", false: "false"}[claim]
	case json.Number:
		return len(values) == 1 && isNumber(values[0], claim)
	}
	var decoded any
	decoder := json.NewDecoder(strings.NewReader(strings.Join(values, " ")))
	decoder.UseNumber()
	return len(values) == 1 && decoder.Decode(&decoded) == nil && reflect.DeepEqual(decoded, claim)
}

// isNumber reports whether text is the number, as exactly as programs have it that know numbers by floating point.
func isNumber(text string, number json.Number) bool {
	if text == number.String() {
		return true
	}
	sent, err := number.Float64()
	whole, isWhole := new(big.Int).SetString(text, 10)
	if err != nil || !isWhole {
		return false
	}
	n, accuracy := new(big.Float).SetInt(whole).Float64()
	return n == sent && accuracy == big.Exact && !strings.ContainsAny(text, ".eE+")
}
