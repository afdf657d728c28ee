package client_test

import (
	"net/http"
	"reflect"
	"testing"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
)

func TestReadKeepsCredentialsAndTokenParametersOutOfTheRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, form, want string
	}{
		{"a request passes in its order", "state=1&client_id=web&scope=a&x=y", "state=1&client_id=web&scope=a&x=y"},
		{"a secret does not", "client_id=web&client_secret=s&state=1", "client_id=web&state=1"},
		{"token parameters do not", "client_id=web&code_verifier=v&code=c&grant_type=g&refresh_token=r&state=1", "client_id=web&state=1"},
		{"bare token parameters do not", "client_id=web&code_verifier&code&grant_type&refresh_token&client_secret", "client_id=web"},
		{"an empty value is absent", "client_id=web&prompt=&x=&client_secret=&client_assertion=", "client_id=web"},
		{"a bare parameter of OAuth is absent", "client_id=web&prompt&state&max_age", "client_id=web"},
		{"a bare flag of others stays", "client_id=web&g_continue", "client_id=web&g_continue"},
		{"resource repeats", "client_id=web&resource=b&resource=&resource=a", "client_id=web&resource=b&resource=a"},
		{"request stays for whoever opens it", "client_id=web&request=ey", "client_id=web&request=ey"},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			form, err := oauth.ParseForm(test.form)
			if err != nil {
				t.Fatal(err)
			}
			before := append(oauth.Params{}, form...)
			_, params, err := client.Read(http.Header{}, form)
			if err != nil {
				t.Fatal(err)
			}
			if got := params.Encode(); got != test.want {
				t.Errorf("Read(%q) leaves %q, want %q", test.form, got, test.want)
			}
			if !reflect.DeepEqual(form, before) {
				t.Errorf("Read changed the form to %+v", form)
			}
		})
	}
}

// A bare client_id beside Basic must not stand in the request next to the one that the gateway fills in.
func TestABareClientIDBesideBasicIsAbsent(t *testing.T) {
	t.Parallel()
	form, err := oauth.ParseForm("client_id&state=1")
	if err != nil {
		t.Fatal(err)
	}
	cred, params, err := client.Read(http.Header{"Authorization": {basic("web", "s")}}, form)
	if err != nil || cred.ClientID != "" || params.Encode() != "state=1" {
		t.Errorf("Read = %q, %q, %v, want no client_id", cred.ClientID, params.Encode(), err)
	}
}

func TestReadSaysWhichMethodWasUsed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, form, authorization, method, id string
	}{
		{"nothing is none", "", "", "none", ""},
		{"a client_id is none", "client_id=web", "", "none", "web"},
		{"an empty secret is none", "client_id=web&client_secret=", "", "none", "web"},
		{"a secret is post", "client_id=web&client_secret=s", "", "client_secret_post", "web"},
		{"a header is Basic", "", basic("web", "s"), "client_secret_basic", ""},
		{"a header and an empty secret is Basic", "client_id=web&client_secret=", basic("web", "s"), "client_secret_basic", "web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			form, err := oauth.ParseForm(test.form)
			if err != nil {
				t.Fatal(err)
			}
			header := http.Header{}
			if test.authorization != "" {
				header.Set("Authorization", test.authorization)
			}
			cred, _, err := client.Read(header, form)
			if err != nil || cred.Method != test.method || cred.ClientID != test.id || cred.Challenged() != (test.authorization != "") {
				t.Errorf("Read = %+v, %v, want %s of %q", cred, err, test.method, test.id)
			}
		})
	}
}
