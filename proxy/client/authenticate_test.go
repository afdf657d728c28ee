package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
)

// The secret has every character on which encodings of HTTP Basic differ.
const (
	secret = "p+ss:%ü-_.!"
	id     = "web+app" // form-decoded it is another text
)

func registry(t testing.TB) *client.Registry {
	t.Helper()
	return load(t, `[
		{"client_id": "`+id+`", "client_secret": "`+secret+`"},
		{"client_id": "post", "client_secret": "`+secret+`", "token_endpoint_auth_method": "client_secret_post"},
		{"client_id": "both", "client_secret": "`+secret+`", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"]},
		{"client_id": "public", "token_endpoint_auth_method": "none"}
	]`)
}

// request is what a client sends.
type request struct {
	authorization []string
	form          string
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// everything percent-encodes each byte that is not a letter or digit, as oauth4webapi does with - _ . ! ~ * ' ( ).
func everything(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < 0x80 && (c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z') {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ways are the ways in which a client sends its id and secret.
var ways = map[string]func(id, secret string) request{
	"Basic as RFC 6749 has it": func(id, secret string) request {
		return request{[]string{basic(url.QueryEscape(id), url.QueryEscape(secret))}, ""}
	},
	"Basic with everything encoded": func(id, secret string) request {
		return request{[]string{basic(everything(id), everything(secret))}, ""}
	},
	"raw Basic": func(id, secret string) request { return request{[]string{basic(id, secret)}, ""} },
	"Basic beside a client_id": func(id, secret string) request {
		return request{[]string{basic(id, secret)}, "client_id=" + url.QueryEscape(id)}
	},
	"post": func(id, secret string) request {
		return request{nil, "client_id=" + url.QueryEscape(id) + "&client_secret=" + url.QueryEscape(secret)}
	},
	"none": func(id, _ string) request { return request{nil, "client_id=" + url.QueryEscape(id)} },
}

// authenticate is what the push endpoint does with a request.
func authenticate(t *testing.T, r *client.Registry, sent request) (*client.Client, error) {
	t.Helper()
	form, err := oauth.ParseForm(sent.form)
	if err != nil {
		t.Fatal(err)
	}
	cred, _, err := client.Read(http.Header{"Authorization": sent.authorization}, form)
	if err != nil {
		return nil, err
	}
	return authenticator(t, r).Authenticate(t.Context(), cred, server)
}

// server is where the clients of these tests authenticate.
var server = client.Server{Issuer: "https://as.example", TokenEndpoint: "https://as.example/token", PushEndpoint: "https://as.example/par"}

// authenticator authenticates the clients of r, with the named changes.
func authenticator(t testing.TB, r *client.Registry, change ...func(*client.Options)) *client.Authenticator {
	t.Helper()
	o := client.Options{Clients: r, Marks: &marks{}}
	for _, f := range change {
		f(&o)
	}
	a, err := client.NewAuthenticator(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// marks is a store of marks in memory.
type marks struct {
	mu   sync.Mutex
	seen map[string]time.Duration
	err  error
}

func (m *marks) Mark(_ context.Context, _, id string, life time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	if _, seen := m.seen[id]; seen {
		return false, nil
	}
	if m.seen == nil {
		m.seen = map[string]time.Duration{}
	}
	m.seen[id] = life
	return true, nil
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	const (
		failed = "client authentication failed"
		useOne = " was used, but this client is registered for "
	)
	// For each way: what the right secret and what a wrong one gets; empty is success.
	type outcome struct{ right, wrong string }
	isBasic, isPost := outcome{"", failed}, outcome{"", failed}
	notBasic := outcome{"client_secret_basic" + useOne + "client_secret_post", failed}
	notPost := outcome{"client_secret_post" + useOne + "client_secret_basic", failed}
	never, always := outcome{failed, failed}, outcome{"", ""}
	r := registry(t)
	for _, test := range []struct {
		id                string
		basic, post, none outcome
	}{
		{id, isBasic, notPost, never},
		{"post", notBasic, isPost, never},
		{"both", isBasic, isPost, never},
		{"public", never, never, always},
		{"nobody", never, never, never},
		{"WEB+APP", never, never, never},
		{"web app", never, never, never},
	} {
		for way, send := range ways {
			want := test.basic
			switch way {
			case "post":
				want = test.post
			case "none":
				want = test.none
			}
			if test.id == "web app" && way == "Basic as RFC 6749 has it" {
				continue // these are the bytes of web+app sent raw
			}
			t.Run(test.id+" by "+way, func(t *testing.T) {
				t.Parallel()
				check(t, r, test.id, send(test.id, secret), want.right)
				for _, wrong := range []string{"wrong", secret + "x", strings.ToUpper(secret), secret[:5], " " + secret, url.QueryEscape(url.QueryEscape(secret))} {
					check(t, r, test.id, send(test.id, wrong), want.wrong)
				}
			})
		}
	}
}

// check: the client is authenticated where want is empty, and told want where it is not.
func check(t *testing.T, r *client.Registry, id string, sent request, want string) {
	t.Helper()
	c, err := authenticate(t, r, sent)
	if want == "" {
		if err != nil || c == nil || c.ID != id {
			t.Errorf("%+v: %+v, %v, want %s", sent, c, err, id)
		}
		return
	}
	checkRefused(t, sent, c, err, http.StatusUnauthorized, "invalid_client", want)
}

func checkRefused(t *testing.T, sent request, c *client.Client, err error, status int, code, want string) {
	t.Helper()
	var e *oauth.Error
	if c != nil || !errors.As(err, &e) {
		t.Errorf("%+v: %+v, %v, want an *oauth.Error", sent, c, err)
		return
	}
	if e.Status != status || e.Code != code || e.Description != want {
		t.Errorf("%+v: %d %s %q, want %d %s %q", sent, e.Status, e.Code, e.Description, status, code, want)
	}
	if challenged := e.Header.Get("Www-Authenticate") != ""; status == http.StatusUnauthorized && challenged != (len(sent.authorization) > 0) {
		t.Errorf("%+v: WWW-Authenticate %t, want it where Authorization was (RFC 6749 §5.2)", sent, challenged)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%+v: the error tells the secret: %v", sent, err)
	}
}

func TestRequestsThatAuthenticateNobody(t *testing.T) {
	t.Parallel()
	const (
		malformed = "the Authorization header is malformed"
		scheme    = "only the Basic scheme is supported in the Authorization header"
		methods   = "more than one client authentication method was used"
		other     = "client_id in the form is not the client of the Authorization header"
		twice     = "the Authorization header occurs more than once"
		kind      = "client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
		failed    = "client authentication failed"
		missing   = "client_id is missing"
	)
	right := basic(id, secret)
	r := registry(t)
	for _, test := range []struct {
		name   string
		sent   request
		status int
		want   string
	}{
		{"nothing", request{nil, ""}, 401, missing},
		{"an empty client_id", request{nil, "client_id="}, 401, missing},
		{"a bare client_id", request{nil, "client_id"}, 401, missing},
		{"a secret without a client_id", request{nil, "client_secret=x"}, 401, missing},
		{"an empty secret of a confidential client", request{nil, "client_id=post&client_secret="}, 401, failed},
		{"an empty password", request{[]string{basic(id, "")}, ""}, 401, failed},
		{"an empty user", request{[]string{basic("", secret)}, ""}, 401, failed},
		{"a public client with an empty password", request{[]string{basic("public", "")}, ""}, 401, failed},
		{"Basic and post", request{[]string{right}, "client_secret=x"}, 400, methods},
		{"Basic and post, both right", request{[]string{basic("both", secret)}, "client_id=both&client_secret=" + url.QueryEscape(secret)}, 400, methods},
		{"Basic and an assertion", request{[]string{right}, "client_assertion=x"}, 400, methods},
		{"post and an assertion", request{nil, "client_id=post&client_secret=x&client_assertion_type=y"}, 400, methods},
		{"an assertion of another type", request{nil, "client_id=post&client_assertion=x&client_assertion_type=y"}, 401, kind},
		{"an assertion without a type", request{nil, "client_id=post&client_assertion=x"}, 401, kind},
		{"a type without an assertion", request{nil, "client_id=post&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, 401, "client_assertion is missing"},
		{"Basic and another client_id", request{[]string{right}, "client_id=post"}, 400, other},
		{"Basic and an unknown client_id", request{[]string{right}, "client_id=nobody"}, 400, other},
		{"Basic with a wrong secret and another client_id", request{[]string{basic(id, "x")}, "client_id=post"}, 400, other},
		{"two Authorization headers", request{[]string{right, right}, ""}, 400, twice},
		{"Basic and Bearer", request{[]string{right, "Bearer x"}, ""}, 400, twice},
		{"Bearer", request{[]string{"Bearer x"}, "client_id=public"}, 401, scheme},
		{"DPoP", request{[]string{"DPoP x"}, "client_id=public"}, 401, scheme},
		{"an empty header", request{[]string{""}, "client_id=public"}, 401, scheme},
		{"Basic alone", request{[]string{"Basic"}, "client_id=public"}, 401, malformed},
		{"Basic without a colon", request{[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id))}, ""}, 401, malformed},
		{"Basic that is no Base64", request{[]string{"Basic p+ss:%"}, ""}, 401, malformed},
		{"Basic that is cut off", request{[]string{strings.TrimRight(right, "=")[:len(right)-3]}, ""}, 401, malformed},
		{"Basic with something behind", request{[]string{right + ", realm=x"}, ""}, 401, malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := authenticate(t, r, test.sent)
			code := "invalid_client"
			if test.status == http.StatusBadRequest {
				code = "invalid_request"
			}
			checkRefused(t, test.sent, c, err, test.status, code, test.want)
		})
	}
}

func TestTheSchemeIsBasicInAnyCase(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, scheme := range []string{"basic ", "BASIC ", "Basic  "} {
		sent := request{[]string{scheme + strings.TrimPrefix(basic(id, secret), "Basic ")}, ""}
		check(t, r, id, sent, "")
	}
}

func TestUnknownClientsAndWrongSecretsLookAlike(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for way, send := range ways {
		want := ""
		for _, name := range []string{"nobody", id, "post", "both"} {
			_, err := authenticate(t, r, send(name, "wrong"))
			got := outside(t, err)
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%s by %s: %s, an unknown client is told %s", name, way, got, want)
			}
		}
	}
}

// outside returns everything that a client is told.
func outside(t *testing.T, err error) string {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *oauth.Error", err)
	}
	body, _ := json.Marshal(e)
	header := http.Header{}
	e.WriteHead(header)
	return fmt.Sprintf("%d %s %v", e.Status, body, header)
}

func TestTheLogKnowsWhyAuthenticationFailed(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, test := range []struct {
		sent request
		want string
	}{
		{request{[]string{basic("nobody", secret)}, ""}, "unknown client"},
		{request{[]string{basic(id, "x")}, ""}, "wrong secret"},
		{request{nil, "client_id=post"}, "a confidential client sent no credentials"},
		{request{[]string{basic("post", "x")}, ""}, "wrong secret, and client_secret_basic is not registered"},
	} {
		_, err := authenticate(t, r, test.sent)
		if got, want := fmt.Sprint(err), "invalid_client: client authentication failed: "+test.want; got != want {
			t.Errorf("%+v: %q, want %q", test.sent, got, want)
		}
	}
}

func TestIdentifyNamesAClientWithoutProof(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, test := range []struct {
		sent request
		want string
	}{
		{request{[]string{basic(id, "x")}, ""}, id},
		{request{[]string{basic(url.QueryEscape(id), "x")}, ""}, id},
		{request{nil, "client_id=post"}, "post"},
		{request{[]string{basic(id, secret)}, "client_id=post"}, ""},
		{request{nil, "client_id=nobody"}, ""},
		{request{nil, ""}, ""},
	} {
		form, _ := oauth.ParseForm(test.sent.form)
		cred, _, err := client.Read(http.Header{"Authorization": test.sent.authorization}, form)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if c := r.Identify(cred); c != nil {
			got = c.ID
		}
		if got != test.want {
			t.Errorf("Identify(%+v) = %q, want %q", test.sent, got, test.want)
		}
	}
}

func TestABasicClientCanBeCalledByEitherReadingOfItsName(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "a b", "client_secret": "s"}, {"client_id": "a+b", "client_secret": "t"}, {"client_id": "100%", "client_secret": "s"}]`)
	check(t, r, "a b", request{[]string{basic("a+b", "s")}, ""}, "")
	check(t, r, "a b", request{[]string{basic("a%20b", "s")}, ""}, "")
	check(t, r, "a+b", request{[]string{basic("a%2Bb", "t")}, ""}, "")
	check(t, r, "a+b", request{[]string{basic("a+b", "t")}, "client_id=a%2Bb"}, "") // the form says which
	check(t, r, "100%", request{[]string{basic("100%", "s")}, ""}, "")
	check(t, r, "100%", request{[]string{basic("100%25", "s")}, ""}, "")
}

func TestNoVerbOfFmtShowsASecret(t *testing.T) {
	t.Parallel()
	r := registry(t)
	var values []any
	for _, sent := range []request{{[]string{basic(id, secret)}, ""}, {nil, "client_id=post&client_secret=" + url.QueryEscape(secret)}} {
		form, _ := oauth.ParseForm(sent.form)
		cred, params, err := client.Read(http.Header{"Authorization": sent.authorization}, form)
		if err != nil {
			t.Fatal(err)
		}
		type holder struct{ inside client.Credentials } // fmt calls no method of what an unexported field holds
		values = append(values, cred, &cred, holder{cred}, &holder{cred}, []client.Credentials{cred}, map[string]client.Credentials{"": cred}, params)
	}
	c := r.Lookup("post")
	values = append(values, c, *c, []client.Client{*c}, r)
	digest := sha256.Sum256([]byte(secret))
	for _, value := range values {
		text := fmt.Sprintf("%v %+v %#v %s %q %x %X %d", value, value, value, value, value, value, value, value)
		if encoded, err := json.Marshal(value); err == nil {
			text += string(encoded)
		}
		for what, form := range map[string]string{
			"the secret": secret, "the quoted secret": strings.Trim(fmt.Sprintf("%+q", secret), `"`), "its bytes": "112 43 115 115",
			"its bytes in Go": "0x70, 0x2b, 0x73", "its hexadecimal form": hex.EncodeToString([]byte(secret)),
			"its digest": hex.EncodeToString(digest[:]), "its digest's bytes": strings.Trim(fmt.Sprint(digest[:4]), "[]"),
		} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
				t.Errorf("%T shows %s: %s", value, what, text)
			}
		}
	}
}
