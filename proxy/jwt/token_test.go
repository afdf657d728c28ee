package jwt_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pargate/proxy/jwt"
	"pargate/test/harness"
)

var (
	es256 = harness.NewSigner("ES256", "k1")
	ed    = harness.NewSigner("Ed25519", "k2")
	kind  = jwt.Kind{Types: []string{"", "jwt"}, Use: "JWT or none", Most: 100}
)

func TestAMemberThatOccursTwiceIsRefusedAtAnyDepth(t *testing.T) {
	t.Parallel()
	for _, claims := range []string{
		`{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":{"c":null,"c":null}}]}`, `{"a":{"b":1,"\u0062":2}}`,
	} {
		if _, err := jwt.Parse(es256.SignText(claims), kind); err == nil || err.Error() != "has claims that are not a JSON object without repetitions" {
			t.Errorf("%s: %v", claims, err)
		}
	}
	if _, err := jwt.Parse(es256.SignText(`{"a":{"b":1},"c":{"b":2,"B":3},"d":1e400}`), kind); err != nil {
		t.Errorf("members that are alike in different objects: %v", err)
	}
}

func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { // the object itself is one
		return `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `,"b":"[[[[\"[[["}`
	}
	if _, err := jwt.Parse(es256.SignText(nested(32)), kind); err != nil {
		t.Errorf("32 levels: %v", err)
	}
	if _, err := jwt.Parse(es256.SignText(nested(33)), kind); err == nil {
		t.Error("33 levels are taken")
	}
}

func TestBracketsAndCommasInAStringCountForNothing(t *testing.T) {
	t.Parallel()
	deep, many := strings.Repeat("[", 33), strings.Repeat(",", 200)
	for _, text := range []string{deep, `\"` + deep, `\\\"` + deep, many, `\"` + many, `\\\"` + many} {
		if _, err := jwt.Parse(es256.SignText(`{"a":"`+text+`","b":"c"}`), kind); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	values := `[1` + strings.Repeat(",1", 100) + `]`
	nested := strings.Repeat("[", 32) + strings.Repeat("]", 32) // in an object
	for _, before := range []string{`\"`, `\\`, `\\\"`, `\"\"`, `\"\"\"`} {
		for value, want := range map[string]string{nested: "has claims that are nested more than 32 times", values: "has claims that are more than 100 values"} {
			if _, err := jwt.Parse(es256.SignText(`{"a":"`+before+`","b":`+value+`}`), kind); err == nil || err.Error() != want {
				t.Errorf("behind %s: %v, want that it %s", before, err, want)
			}
		}
	}
}

func TestAnUnpairedSurrogateIsRefusedAtAnyDepth(t *testing.T) {
	t.Parallel()
	for text, right := range map[string]bool{
		`\ud83d\ude00`: true, `\ud83d\uDE00\ud83d\ude00`: true, `\\ud83d`: true, `\\\\ud83d`: true, `\ufffd\ue000\ud7ff`: true, `\"\\u`: true,
		`\ud83d`: false, `\ude00`: false, `\ude00\ud83d`: false, `\ud83d\ud83d\ude00`: false, `\ud83dx\ude00`: false, `\ud83d\n`: false, `\\\ud83d`: false,
		`\ud83d\u0041`: false, `\ud83d\\ude00`: false,
	} {
		for _, claims := range []string{`{"a":"` + text + `"}`, `{"` + text + `":1}`, `{"a":[{"b":"` + text + `"}]}`} {
			_, err := jwt.Parse(es256.SignText(claims), kind)
			if right && err != nil || !right && (err == nil || err.Error() != "has claims that are not Unicode: there is an unpaired surrogate") {
				t.Errorf("%s: %v", claims, err)
			}
		}
	}
}

func TestTheNumberOfValuesIsBounded(t *testing.T) {
	t.Parallel()
	for _, many := range []func(int) string{
		func(n int) string { return `{"a":[` + strings.Repeat("1,", n-2) + `1],"b":",,,,"}` },
		func(n int) string {
			return `{"a":{` + strings.Repeat(`"a`, 1) + `":1}` + strings.Repeat(`,"b":1`, 0) + `,"c":[` + strings.Repeat("{},", n-4) + `1]}`
		},
	} {
		_, err := jwt.Parse(es256.SignText(many(101)), kind)
		if err == nil || err.Error() != "has claims that are more than 100 values" {
			t.Errorf("%v", err)
		}
	}
	if _, err := jwt.Parse(es256.SignText(`{"a":[`+strings.Repeat("1,", 97)+`1]}`), kind); err != nil {
		t.Errorf("a hundred: %v", err)
	}
}

func TestEitherNameOfEdDSAVerifies(t *testing.T) {
	t.Parallel()
	keys, problems, err := jwt.ParseKeys([]byte(harness.KeySet(ed)))
	if err != nil || problems != nil || len(keys) != 1 {
		t.Fatal(keys, problems, err)
	}
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		token, err := jwt.Parse(ed.Sign(map[string]any{}, "alg", alg), kind)
		if err != nil {
			t.Fatal(err)
		}
		if found := token.Candidates(keys); len(found) != 1 || !token.VerifiedBy(found[0].Public) || token.Algorithm != "EdDSA" {
			t.Errorf("%s: not verified by its key", alg)
		}
	}
}

// To verify a signature costs more than to make up a token without a kid.
func TestATokenIsTriedWithEightKeysAtMost(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "k1"} { // the keys' kid, and that of the token
		var signers []*harness.Signer
		for range 9 {
			signers = append(signers, harness.NewSigner("ES256", name))
		}
		keys, problems, err := jwt.ParseKeys([]byte(harness.KeySet(signers...)))
		if err != nil || problems != nil || len(keys) != 9 {
			t.Fatal(keys, problems, err)
		}
		for i, signer := range signers {
			for what, token := range map[string]string{"its kid": signer.Sign(map[string]any{}), "no kid": signer.Sign(map[string]any{}, "kid", nil)} {
				parsed, err := jwt.Parse(token, kind)
				if err != nil {
					t.Fatal(err)
				}
				tried := parsed.Candidates(keys)
				verified := slices.ContainsFunc(tried, func(k jwt.Key) bool { return parsed.VerifiedBy(k.Public) })
				if len(tried) != 8 || verified != (i < 8) {
					t.Errorf("kid %q, key %d, %s: tried with %d keys, verified: %t", name, i+1, what, len(tried), verified)
				}
			}
		}
	}
}

// One such member is enough to have given the key away, or to make another reader take it for a private one.
func TestAKeyWithAPrivateMemberIsRefused(t *testing.T) {
	t.Parallel()
	inHeader := jwt.Kind{Types: []string{"dpop+jwt"}, Key: true, Most: 100}
	for _, signer := range []*harness.Signer{es256, ed, harness.NewSigner("PS256", "k3")} {
		if _, err := jwt.Parse(signer.Prove(map[string]any{}), inHeader); err != nil {
			t.Errorf("%s: %v", signer.Algorithm, err)
		}
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
			for _, value := range []any{"AQAB", "", []any{}, json.RawMessage("null")} {
				private := signer.JWK(member, value)
				keys, problems, err := jwt.ParseKeys([]byte(`{"keys":[` + private + `]}`))
				if err != nil || len(keys) > 0 || !slices.Equal(problems, []string{"has a key 1 that is private; take it out, and do not use it any more"}) {
					t.Errorf("%s with %s %v: %v, %v, %v", signer.Algorithm, member, value, keys, problems, err)
				}
				_, err = jwt.Parse(signer.Prove(map[string]any{}, "jwk", json.RawMessage(private)), inHeader)
				if err == nil || err.Error() != "has a private key in its header; send the public one, and do not use this key any more" {
					t.Errorf("%s with %s %v in the header: %v", signer.Algorithm, member, value, err)
				}
			}
		}
	}
}

// FuzzParse: whatever is parsed has one text, says what it says once, and is verified by no key that has not signed it.
func FuzzParse(f *testing.F) {
	foreign := harness.NewSigner("ES256", "k1")
	keys, _, err := jwt.ParseKeys([]byte(harness.KeySet(foreign)))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		es256.Sign(map[string]any{"iss": "a", "aud": []string{"b"}, "exp": 1}), es256.SignText(`{"a":{"a":[{}]}}`), ed.Sign(map[string]any{}),
		es256.Sign(map[string]any{}, "crit", []string{"b64"}, "b64", false), es256.Sign(map[string]any{}, "alg", "none"), "..", "a.b.c", "a.b.c.d.e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := jwt.Parse(text, kind)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\"\\") {
				t.Errorf("%q: the error is not plain: %v", text, err)
			}
			return
		}
		if len(text) > 32<<10 || strings.Count(text, ".") != 2 || strings.ContainsAny(text, "=\r\n") {
			t.Errorf("%q is taken", text)
		}
		if token.VerifiedBy(keys[0].Public) {
			t.Errorf("%q is verified by a key that signs nothing", text)
		}
		for name, raw := range token.Claims {
			if !json.Valid(raw) {
				t.Errorf("%q: claim %q is no JSON", text, name)
			}
		}
	})
}
