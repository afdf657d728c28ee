package client_test

import (
	"errors"
	"net/http"
	"testing"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
)

// FuzzRead: whatever a push has in its Authorization header and form, the parameters that are left hold nothing that
// authenticates a client or belongs to the token endpoint, and none that was not sent; and an error is for the client.
func FuzzRead(f *testing.F) {
	for _, seed := range [][2]string{
		{"", "client_id=web&response_type=code"}, {"Basic d2ViOnMzY3JldA==", "client_id=web&scope=a"}, {"basic  d2ViOnMzY3JldA==", ""}, {"Basic d2Vi", ""},
		{"Bearer x", ""}, {"Basic", "client_secret=s"}, {"", "client_id=web&client_secret=s&code_verifier=v&request=a.b.c"},
		{"", "client_assertion=a.b.c&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, {"Basic JTN6Oit4", "x&y=&client_id="},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, authorization, body string) {
		form, err := oauth.ParseForm(body)
		if err != nil {
			return
		}
		h := http.Header{}
		if authorization != "" {
			h.Set("Authorization", authorization)
		}
		cred, params, err := client.Read(h, form)
		var told *oauth.Error
		if err != nil {
			if !errors.As(err, &told) || params != nil {
				t.Fatalf("%q, %q: %v", authorization, body, err)
			}
			return
		}
		sent := map[oauth.Param]bool{}
		for _, p := range form {
			sent[p] = true
		}
		for _, p := range params {
			if oauth.IsCredentialName(p.Name) || oauth.IsNeverKept(p.Name) || !sent[p] {
				t.Errorf("%q, %q: %s is left", authorization, body, p.Name)
			}
		}
		if authorization != "" && cred.Method != client.MethodBasic {
			t.Errorf("%q is read as %s", authorization, cred.Method)
		}
	})
}
