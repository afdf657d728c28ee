package jwt_test

import (
	"encoding/json"
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

func TestHalfOfASurrogatePairIsRefusedAtAnyDepth(t *testing.T) {
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
