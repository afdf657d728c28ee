package rewrite_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pargate/rewrite"
)

const pushEndpoint = "https://as.example/par"

func TestMetadata(t *testing.T) {
	t.Parallel()
	const (
		added    = `"pushed_authorization_request_endpoint":"https://as.example/par"`
		required = `"require_pushed_authorization_requests":true`
		unpushed = `"request_uri_parameter_supported":false`
	)
	for _, test := range []struct {
		name, doc  string
		requirePAR bool
		want       string
	}{
		{"an empty object", `{}`, false, `{` + added + `}`},
		{"PAR required", `{}`, true, `{` + added + `,` + required + `,` + unpushed + `}`},
		{"order is kept", `{"z":1,"issuer":"https://as.example","a":2}`, false, `{"z":1,"issuer":"https://as.example","a":2,` + added + `}`},
		{"the issuer's bytes are kept", `{"issuer":"https:\/\/as.example\/"}`, false, `{"issuer":"https:\/\/as.example\/",` + added + `}`},
		{"numbers keep their form", `{"a":1e3,"b":1.0,"c":-0,"d":12345678901234567890}`, false, `{"a":1e3,"b":1.0,"c":-0,"d":12345678901234567890,` + added + `}`},
		{"unicode keeps its form", `{"a":"ü\u00fc🔑\ud83d\udd11","ü":1}`, false, `{"a":"ü\u00fc🔑\ud83d\udd11","ü":1,` + added + `}`},
		{"HTML's characters keep their form", `{"a<b>&":"<&>"}`, false, `{"a<b>&":"<&>",` + added + `}`},
		{"nested members are not looked at", `{"x":{"b":[1, {"signed_metadata":2}],"a":null,"a":null}}`, false, `{"x":{"b":[1, {"signed_metadata":2}],"a":null,"a":null},` + added + `}`},
		{"an endpoint that is there is replaced in its place", `{"pushed_authorization_request_endpoint":"http://old","a":1}`, false, `{` + added + `,"a":1}`},
		{"false becomes true where it is required", `{"require_pushed_authorization_requests":false,"a":1}`, true, `{"require_pushed_authorization_requests":true,"a":1,` + added + `,` + unpushed + `}`},
		{"references that were not pushed are refused where it is required", `{"request_uri_parameter_supported":true,"a":1}`, true, `{` + unpushed + `,"a":1,` + added + `,` + required + `}`},
		{"and are the server's business where it is not", `{"request_uri_parameter_supported":true}`, false, `{"request_uri_parameter_supported":true,` + added + `}`},
		{"and stays as it is where it is not", `{"require_pushed_authorization_requests":false}`, false, `{"require_pushed_authorization_requests":false,` + added + `}`},
		{"signed_metadata goes", `{"a":1,"signed_metadata":"ey.ey.","b":2}`, false, `{"a":1,"b":2,` + added + `}`},
		{"signed_metadata goes when it is alone", `{"signed_metadata":"ey.ey."}`, false, `{` + added + `}`},
		{"the aliases for clients with certificates get it too", `{"mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/t"}}`, false,
			`{"mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/t",` + added + `},` + added + `}`},
		{"empty aliases", `{"mtls_endpoint_aliases":{}}`, false, `{"mtls_endpoint_aliases":{` + added + `},` + added + `}`},
		{"aliases that are null are none", `{"mtls_endpoint_aliases":null}`, false, `{"mtls_endpoint_aliases":null,` + added + `}`},
		{"white space between members is nobody's", " \r\n{ \"a\" : [ 1 ] }\n\t ", false, `{"a":[ 1 ],` + added + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := rewrite.Metadata([]byte(test.doc), rewrite.MetadataPatch{PushEndpoint: pushEndpoint, RequirePAR: test.requirePAR})
			if err != nil {
				t.Fatalf("Metadata(%s): %v", test.doc, err)
			}
			if string(got) != test.want {
				t.Errorf("Metadata(%s)\n got %s\nwant %s", test.doc, got, test.want)
			}
		})
	}
}

func TestMetadataThatReadersWouldReadInTwoWaysIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, doc, want string }{
		{"nothing", ``, "not a JSON object"},
		{"an array", `[]`, "not a JSON object"},
		{"a string", `"a"`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"a page", `<html>`, "not a JSON object"},
		{"a byte order mark", "\ufeff{}", "not a JSON object"},
		{"a cut-off document", `{"a":1`, "not a JSON object"},
		{"a cut-off member", `{"a":`, "not a JSON object"},
		{"a comma too much", `{"a":1,}`, "not a JSON object"},
		{"a comma too few", `{"a":1 "b":2}`, "not a JSON object"},
		{"a name that is no string", `{1:2}`, "not a JSON object"},
		{"a broken value", `{"a":01}`, "not a JSON object"},
		{"the wrong bracket", `{"a":1]`, "not a JSON object"},
		{"two objects", `{"a":1}{"b":2}`, "something stands behind the JSON object"},
		{"a bracket too much", `{"a":1}}`, "something stands behind the JSON object"},
		{"an array's bracket too much", `{"a":1}]`, "something stands behind the JSON object"},
		{"a comma behind", `{"a":1},`, "something stands behind the JSON object"},
		{"text behind", `{"a":1} x`, "something stands behind the JSON object"},
		{"a member twice", `{"issuer":"a","issuer":"b"}`, `member "issuer" occurs more than once`},
		{"a member twice, once escaped", `{"issuer":"a","\u0069ssuer":"b"}`, `member "issuer" occurs more than once`},
		{"signed_metadata twice", `{"signed_metadata":"a","signed_metadata":"b"}`, `member "signed_metadata" occurs more than once`},
		{"an alias twice", `{"mtls_endpoint_aliases":{"a":1,"a":2}}`, `mtls_endpoint_aliases: member "a" occurs more than once`},
		{"aliases that are no object", `{"mtls_endpoint_aliases":[]}`, "mtls_endpoint_aliases: not a JSON object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := rewrite.Metadata([]byte(test.doc), rewrite.MetadataPatch{PushEndpoint: pushEndpoint})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("Metadata(%s) = %s, %v, want the error %q", test.doc, got, err, test.want)
			}
		})
	}
}

func TestMetadataQuotesTheEndpoint(t *testing.T) {
	t.Parallel()
	const endpoint = `https://as.example/<&>"\par`
	got, err := rewrite.Metadata([]byte(`{}`), rewrite.MetadataPatch{PushEndpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"pushed_authorization_request_endpoint":"https://as.example/<&>\"\\par"}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// upstreamsOwn are members about request objects and the profile, as a server without PAR has them.
const upstreamsOwn = `"request_object_signing_alg_values_supported":["none", "RS256", "ES256"],"request_object_encryption_alg_values_supported":["RSA-OAEP"],` +
	`"request_object_encryption_enc_values_supported":["A256GCM"],"require_signed_request_object":true,"request_uri_parameter_supported":true,` +
	`"response_types_supported":["code", "code id_token"],"code_challenge_methods_supported":["plain", "S256"],` +
	`"token_endpoint_auth_methods_supported":["client_secret_basic", "private_key_jwt"],` +
	`"token_endpoint_auth_signing_alg_values_supported":["RS256", "ES256", "PS256"],"dpop_signing_alg_values_supported":["RS256"]`

func TestMetadataIsTrueInEveryCombination(t *testing.T) {
	t.Parallel()
	var (
		par      = rewrite.MetadataPatch{PushEndpoint: pushEndpoint}
		required = rewrite.MetadataPatch{PushEndpoint: pushEndpoint, RequirePAR: true}
		opens    = rewrite.MetadataPatch{PushEndpoint: pushEndpoint, OpensRequestObjects: []string{"PS256", "ES256"}}
		fapi     = rewrite.MetadataPatch{PushEndpoint: pushEndpoint, RequirePAR: true, AdvertiseIssuer: true, ResponseTypes: []string{"code"}, Only: map[string][]string{
			"code_challenge_methods_supported": {"S256"}, "token_endpoint_auth_methods_supported": {"private_key_jwt", "tls_client_auth"},
			"token_endpoint_auth_signing_alg_values_supported": {"PS256", "ES256"},
		}}
		never = rewrite.MetadataPatch{PushEndpoint: pushEndpoint, Never: map[string][]string{"grant_types_supported": {"implicit"}}}
		named = rewrite.MetadataPatch{PushEndpoint: pushEndpoint, OpensRequestObjects: []string{"EdDSA"}, Aliases: map[string]string{"Ed25519": "EdDSA"},
			Only: map[string][]string{"token_endpoint_auth_signing_alg_values_supported": {"PS256", "EdDSA"}}}
		all = fapi
	)
	all.OpensRequestObjects = opens.OpensRequestObjects
	for _, test := range []struct {
		name, doc string
		patch     rewrite.MetadataPatch
		want      string // without the push endpoint, at the end
	}{
		{"nothing but PAR changes nothing else", upstreamsOwn, par, upstreamsOwn},
		{"a server that opens none", `"request_parameter_supported":false,"z":1`, opens,
			`"request_parameter_supported":true,"z":1,ENDPOINT,"request_object_signing_alg_values_supported":["PS256","ES256"]`},
		{"a server that says nothing", ``, opens, `ENDPOINT,"request_parameter_supported":true,"request_object_signing_alg_values_supported":["PS256","ES256"]`},
		{"a list of a server that opens none says nothing", `"request_object_signing_alg_values_supported":["none", "RS256"]`, opens,
			`"request_object_signing_alg_values_supported":["PS256","ES256"],ENDPOINT,"request_parameter_supported":true`},
		{"what both take, in the server's order", `"request_parameter_supported":true,"request_object_signing_alg_values_supported":["none","ES256","RS256", "PS256"]`, opens,
			`"request_parameter_supported":true,"request_object_signing_alg_values_supported":["ES256","PS256"]`},
		{"nothing that both take", `"request_parameter_supported":true,"request_object_signing_alg_values_supported":["none","RS256"]`, opens,
			`"request_parameter_supported":true,"request_object_signing_alg_values_supported":["PS256","ES256"]`},
		{"a list that is none", `"request_parameter_supported":true,"request_object_signing_alg_values_supported":"none"`, opens,
			`"request_parameter_supported":true,"request_object_signing_alg_values_supported":["PS256","ES256"]`},
		{"encrypted ones are refused, signed ones may be demanded",
			`"request_object_encryption_enc_values_supported":["A256GCM"],"require_signed_request_object":true,"request_object_encryption_alg_values_supported":["RSA-OAEP"]`, opens,
			`"require_signed_request_object":true,ENDPOINT,"request_parameter_supported":true,"request_object_signing_alg_values_supported":["PS256","ES256"]`},
		{"where PAR is not required, and none are opened, they are the server's business", `"request_parameter_supported":true,` + upstreamsOwn, par,
			`"request_parameter_supported":true,` + upstreamsOwn},
		{"where PAR is required, and none are opened, nobody opens any",
			`"request_object_encryption_enc_values_supported":["A256GCM"],"request_parameter_supported":true,"request_object_signing_alg_values_supported":["none"],"request_object_encryption_alg_values_supported":["RSA-OAEP"],"z":1`, required,
			`"request_parameter_supported":false,"z":1,ENDPOINT,"require_pushed_authorization_requests":true,"request_uri_parameter_supported":false`},
		{"algorithms by their other names", `"request_parameter_supported":true,"request_object_signing_alg_values_supported":["Ed25519","RS256","ES256"],"token_endpoint_auth_signing_alg_values_supported":["RS256","Ed25519"]`, named,
			`"request_parameter_supported":true,"request_object_signing_alg_values_supported":["Ed25519"],"token_endpoint_auth_signing_alg_values_supported":["Ed25519"]`},
		{"what may not stay goes", `"grant_types_supported":["authorization_code", "implicit", "urn:x"]`, never, `"grant_types_supported":["authorization_code","urn:x"]`},
		{"what may not stay, alone", `"grant_types_supported":["implicit"]`, never, `"grant_types_supported":["implicit"]`},
		{"what may not stay, where there is no list", `"grant_types_supported":"implicit"`, never, `"grant_types_supported":"implicit"`},
		{"what may not stay, where there is nothing", `"z":1`, never, `"z":1`},
		{"the profile with a server that says nothing", ``, fapi,
			`ENDPOINT,"require_pushed_authorization_requests":true,"request_uri_parameter_supported":false,"authorization_response_iss_parameter_supported":true,"response_types_supported":["code"]`},
		{"the profile promises nothing that the server lacks",
			`"code_challenge_methods_supported":["plain"],"token_endpoint_auth_methods_supported":["client_secret_basic"],"token_endpoint_auth_signing_alg_values_supported":["RS256"]`, fapi,
			`"code_challenge_methods_supported":["plain"],"token_endpoint_auth_methods_supported":["client_secret_basic"],"token_endpoint_auth_signing_alg_values_supported":["RS256"],` +
				`ENDPOINT,"require_pushed_authorization_requests":true,"request_uri_parameter_supported":false,"authorization_response_iss_parameter_supported":true,"response_types_supported":["code"]`},
		{"the profile and lists that are none", `"code_challenge_methods_supported":{"S256":1},"token_endpoint_auth_methods_supported":null,"response_types_supported":null`, fapi,
			`"code_challenge_methods_supported":{"S256":1},"token_endpoint_auth_methods_supported":null,"response_types_supported":["code"],` +
				`ENDPOINT,"require_pushed_authorization_requests":true,"request_uri_parameter_supported":false,"authorization_response_iss_parameter_supported":true`},
		{"all of it", upstreamsOwn, all,
			`"request_object_signing_alg_values_supported":["PS256","ES256"],"require_signed_request_object":true,"request_uri_parameter_supported":false,` +
				`"response_types_supported":["code"],"code_challenge_methods_supported":["S256"],"token_endpoint_auth_methods_supported":["private_key_jwt"],` +
				`"token_endpoint_auth_signing_alg_values_supported":["ES256","PS256"],"dpop_signing_alg_values_supported":["RS256"],` +
				`ENDPOINT,"require_pushed_authorization_requests":true,"authorization_response_iss_parameter_supported":true,"request_parameter_supported":true`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const endpoint = `"pushed_authorization_request_endpoint":"` + pushEndpoint + `"`
			want := test.want + "," + endpoint
			if strings.Contains(test.want, "ENDPOINT") {
				want = strings.Replace(test.want, "ENDPOINT", endpoint, 1)
			}
			got, err := rewrite.Metadata([]byte("{"+test.doc+"}"), test.patch)
			if err != nil || string(got) != "{"+want+"}" {
				t.Errorf("Metadata({%s})\n got %s %v\nwant {%s}", test.doc, got, err, want)
			}
		})
	}
}

// FuzzMetadata: it never panics; valid JSON stays valid, and every member but ours keeps its value's bytes; patching
// twice is patching once.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{`{}`, `{"issuer":"https://as.example","x":[1e3,{"a":null}]}`, `{"signed_metadata":"a"}`,
		`{"mtls_endpoint_aliases":{"token_endpoint":"x"}}`, `{"a":1}}`, `{"a":1,"\u0061":2}`, `[]`, `{"\ud800":1}`, "{\"\u2028\":\"\xff\"}",
		`{"pushed_authorization_request_endpoint":1,"require_pushed_authorization_requests":[]}`, `{"mtls_endpoint_aliases":null}`} {
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, true)
	}
	f.Add([]byte(`{"request_parameter_supported":true,`+upstreamsOwn+`}`), true, true)
	f.Add([]byte(`{"request_parameter_supported":true,`+upstreamsOwn+`}`), true, false)
	f.Fuzz(func(t *testing.T, doc []byte, requirePAR, opens bool) {
		patch := rewrite.MetadataPatch{PushEndpoint: pushEndpoint, RequirePAR: requirePAR}
		if opens {
			patch.OpensRequestObjects, patch.ResponseTypes = []string{"PS256", "ES256"}, []string{"code"}
			patch.Only = map[string][]string{"code_challenge_methods_supported": {"S256"}}
		}
		before := bytes.Clone(doc)
		got, err := rewrite.Metadata(doc, patch)
		if !bytes.Equal(doc, before) {
			t.Fatalf("Metadata(%s) changed its argument to %s", before, doc)
		}
		var in, out map[string]json.RawMessage
		if err != nil {
			return
		}
		if err := json.Unmarshal(doc, &in); err != nil || in == nil {
			t.Fatalf("Metadata took %s: %v", doc, err)
		}
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatalf("Metadata(%s) = %s: %v", doc, got, err)
		}
		delete(in, "signed_metadata")
		in["pushed_authorization_request_endpoint"] = json.RawMessage(`"` + pushEndpoint + `"`)
		if requirePAR {
			in["require_pushed_authorization_requests"] = json.RawMessage("true")
			in["request_uri_parameter_supported"] = json.RawMessage("false")
		}
		if requirePAR && !opens {
			if in["request_parameter_supported"] != nil {
				in["request_parameter_supported"] = json.RawMessage("false")
			}
			delete(in, "request_object_signing_alg_values_supported")
			delete(in, "request_object_encryption_alg_values_supported")
			delete(in, "request_object_encryption_enc_values_supported")
		}
		if opens {
			in["request_parameter_supported"] = json.RawMessage("true")
			in["response_types_supported"] = json.RawMessage(`["code"]`)
			in["request_object_signing_alg_values_supported"] = out["request_object_signing_alg_values_supported"]
			var algorithms []string
			if json.Unmarshal(out["request_object_signing_alg_values_supported"], &algorithms) != nil || len(algorithms) == 0 ||
				slices.ContainsFunc(algorithms, func(s string) bool { return s != "PS256" && s != "ES256" }) {
				t.Errorf("Metadata(%s) = %s", doc, got)
			}
			if methods := string(out["code_challenge_methods_supported"]); strings.Contains(methods, `"S256"`) && methods != `["S256"]` && json.Unmarshal(in["code_challenge_methods_supported"], &algorithms) == nil {
				t.Errorf("Metadata(%s) = %s", doc, got)
			}
			delete(in, "request_object_encryption_alg_values_supported")
			delete(in, "request_object_encryption_enc_values_supported")
			if in["code_challenge_methods_supported"] != nil {
				in["code_challenge_methods_supported"] = out["code_challenge_methods_supported"]
			}
		}
		if len(in) != len(out) {
			t.Errorf("Metadata(%s) = %s: %d members, want %d", doc, got, len(out), len(in))
		}
		for name, value := range in {
			if name != "mtls_endpoint_aliases" && !bytes.Equal(out[name], value) {
				t.Errorf("Metadata(%s) = %s: %s is %s, want %s", doc, got, name, out[name], value)
			}
		}
		again, err := rewrite.Metadata(got, patch)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("Metadata(%s) = %s, %v, want it unchanged", got, again, err)
		}
	})
}

func TestMetadataSaysThatResponsesCarryIss(t *testing.T) {
	t.Parallel()
	const member = `"authorization_response_iss_parameter_supported":`
	for doc, wants := range map[string][2]string{ // without and with AdvertiseIssuer
		`{}`:                    {"", member + "true"},
		`{` + member + `false}`: {member + "false", member + "true"},
		`{` + member + `true}`:  {member + "true", member + "true"},
	} {
		for i, want := range wants {
			got, err := rewrite.Metadata([]byte(doc), rewrite.MetadataPatch{PushEndpoint: pushEndpoint, AdvertiseIssuer: i == 1})
			if err != nil || want == "" && strings.Contains(string(got), member) || !strings.Contains(string(got), want) {
				t.Errorf("Metadata(%s), advertising %t: %s, %v", doc, i == 1, got, err)
			}
		}
	}
}
