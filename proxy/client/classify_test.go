package client_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"pargate/proxy/client"
)

func decodeClaims(t *testing.T, part string) (claims map[string]any) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		t.Fatalf("%q: %v", part, err)
	}
	return claims
}

// The probes, in their order.
const (
	codeProbe = iota
	refreshProbe
	revocationProbe
	introspectionProbe
)

func TestClassifierKnowsAnswersOfRealServers(t *testing.T) {
	const yes, no, perhaps = "authenticated", "refused", "cannot tell"
	for _, c := range []struct {
		probe  int
		status int
		kind   string
		body   string
		want   string
	}{
		{codeProbe, 400, "application/json", `{"error":"invalid_grant"}`, yes},
		{codeProbe, 401, "application/json;charset=UTF-8", `{"error":"invalid_grant"}`, yes},    // go-oauth2
		{refreshProbe, 403, "application/problem+json", `{"error":"invalid_grant","x":1}`, yes}, // oauth2orize's status
		{codeProbe, 403, "application/json", `{"error":"invalid_code"}`, yes},                   // Glewlwyd, with PROBE_ACCEPT
		{codeProbe, 400, "application/json", "\ufeff" + `{"error":"invalid_grant"}`, yes},
		{codeProbe, 400, "application/json", `{"error":"invalid_client"}`, no},
		{codeProbe, 200, "text/html", `{"error":"invalid_client"}`, no},
		{codeProbe, 401, "text/plain", "Unauthorized", no},
		{codeProbe, 401, "", "", no},
		{codeProbe, 401, "application/json", `"unauthorized"`, no},
		{codeProbe, 401, "text/html", `{"error":"invalid_grant"}`, no},
		{codeProbe, 402, "application/json", `{"error":"invalid_grant"}`, perhaps},
		{codeProbe, 500, "application/json", `{"error":"invalid_grant"}`, perhaps},
		{codeProbe, 400, "application/json", `{"Error":"invalid_grant"}`, perhaps},
		{codeProbe, 400, "application/json", `{"error":["invalid_grant"]}`, perhaps},
		{codeProbe, 400, "application/json", `{"error":"invalid_grant"} {}`, perhaps},
		{codeProbe, 400, "application/json", `[{"error":"invalid_grant"}]`, perhaps},
		{codeProbe, 400, "application/json", `null`, perhaps},
		{codeProbe, 400, "", `{"error":"invalid_grant"}`, perhaps},
		{codeProbe, 400, "application/json", `{"error":"jti_known"}`, perhaps}, // hydra
		{codeProbe, 200, "application/json", `{"active":false}`, perhaps},
		{codeProbe, 302, "", "", perhaps},
		{revocationProbe, 200, "text/html", "", yes}, // Django OAuth Toolkit
		{revocationProbe, 200, "application/json", "{}", yes},
		{revocationProbe, 200, "text/html", "<html>", perhaps}, // LemonLDAP::NG
		{revocationProbe, 200, "", " \n<!DOCTYPE html>", perhaps},
		{revocationProbe, 200, "application/json", `{"error":"server_error"}`, perhaps},
		{revocationProbe, 204, "", "", perhaps},
		{revocationProbe, 400, "application/json", `{"error":"invalid_grant"}`, perhaps},
		{introspectionProbe, 200, "application/json", `{"active":false}`, yes},
		{introspectionProbe, 200, "application/json", `{"active":true}`, perhaps},
		{introspectionProbe, 200, "application/json", `{"active":"false"}`, perhaps},
		{introspectionProbe, 200, "text/html", `{"active":false}`, perhaps},
		{introspectionProbe, 200, "application/json", `{}`, perhaps},
		{introspectionProbe, 403, "text/html", "<h1>403", perhaps},
	} {
		authenticated, refusal, _ := client.Classify(c.probe, []string{"invalid_code"}, c.status, http.Header{"Content-Type": {c.kind}}, []byte(c.body))
		got := perhaps
		if authenticated {
			got = yes
		}
		if refusal {
			got += no
		}
		if strings.TrimPrefix(got, perhaps) != c.want && got != c.want {
			t.Errorf("probe %d, %d %s %q: %s, want %s", c.probe, c.status, c.kind, c.body, got, c.want)
		}
	}
}

// An answer authenticates only in the few forms that are meant: at the token endpoint as an OAuth error in JSON with
// 400, 401 or 403, elsewhere with 200. It never does and refuses both, nor with invalid_client, nor as a page; and what
// is logged of it repeats no text of its own.
func FuzzClassify(f *testing.F) {
	for _, l := range legacies() {
		for n, m := range []*manners{l.code, l.refresh, l.revocation, l.introspection} {
			if m == nil {
				continue
			}
			for _, r := range []reply{m.right, m.wrong, m.unknown, m.missing, m.public, m.publicSecret} {
				f.Add(n, r.status, r.contentType, "", r.body)
			}
		}
	}
	f.Add(0, 429, "", "Thu, 01 Jan 1970 00:00:01 GMT", "")
	f.Add(0, 429, "", "99999999999999", `{"error":"\u0000<\"`+"`"+`"}`)
	f.Fuzz(func(t *testing.T, probe, status int, contentType, retryAfter, body string) {
		probe &= 3
		header := http.Header{"Content-Type": {contentType}, "Retry-After": {retryAfter}}
		authenticated, refusal, text := client.Classify(probe, nil, status, header, []byte(body))
		if authenticated && refusal {
			t.Error("both")
		}
		if len(text) > 80 || strings.ContainsFunc(text, func(r rune) bool {
			return r > unicode.MaxASCII || unicode.IsControl(r) || strings.ContainsRune(`"<>`, r)
		}) {
			t.Errorf("logged: %q", text)
		}
		if !authenticated {
			return
		}
		var object map[string]any
		isObject := json.Unmarshal([]byte(strings.TrimPrefix(body, "\ufeff")), &object) == nil && object != nil
		switch {
		case object["error"] == "invalid_client", strings.HasPrefix(strings.TrimSpace(body), "<"):
			t.Error("it says no")
		case probe <= refreshProbe && (!isObject || object["error"] != "invalid_grant" || status != 400 && status != 401 && status != 403):
			t.Error("no OAuth error")
		case probe > refreshProbe && status != 200:
			t.Error("not 200")
		case probe == introspectionProbe && (!isObject || object["active"] != false):
			t.Error("not introspected")
		}
	})
}
