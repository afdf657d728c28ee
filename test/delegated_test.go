package test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
	"pargate/pushstore"
)

// zitadelStore is the example's storage with a client that signs assertions besides.
type zitadelStore struct {
	*storage.Storage
	key *ecdsa.PrivateKey
}

func newZitadelStore(t *testing.T, issuer string) *zitadelStore {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]*storage.Client{
		"web": storage.WebClient("web", "s3cret", "https://app.example/cb"), "spa": storage.NativeClient("spa", "https://app.example/cb"),
		"jwt": storage.WebClient("jwt", rand.Text(), "https://app.example/cb"),
	}
	return &zitadelStore{storage.NewStorageWithClients(storage.NewUserStore(issuer), clients), key}
}

// signer is a client that authenticates with assertions.
type signer struct{ op.Client }

func (signer) AuthMethod() oidc.AuthMethod { return oidc.AuthMethodPrivateKeyJWT }

func (s *zitadelStore) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err == nil && id == "jwt" {
		return signer{c}, nil
	}
	return c, err
}

func (s *zitadelStore) GetKeyByIDAndClientID(_ context.Context, keyID, clientID string) (*jose.JSONWebKey, error) {
	if keyID != "k" || clientID != "jwt" {
		return nil, errors.New("no such key")
	}
	return &jose.JSONWebKey{KeyID: keyID, Use: "sig", Key: s.key.Public()}, nil
}

// sign returns an assertion of the client id.
func (s *zitadelStore) sign(t *testing.T, issuer, id string) string {
	t.Helper()
	encode := func(v any) string {
		raw, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	now := time.Now()
	text := encode(map[string]string{"alg": "ES256", "kid": "k"}) + "." + encode(map[string]any{
		"iss": id, "sub": id, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	digest := sha256.Sum256([]byte(text))
	r, q, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), q.FillBytes(make([]byte, 32))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// delegated is a client.Delegate in front of a real server, and what it asked.
type delegated struct {
	*client.Delegate
	log *observer.ObservedLogs
	err error // of the last try

	mu    sync.Mutex
	asked []string // path, grant, method and client
	sent  map[string]int
}

func (d *delegated) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := req.GetBody()
	form := make([]byte, req.ContentLength)
	body.Read(form)
	values, _ := url.ParseQuery(string(form))
	user, _, _ := req.BasicAuth()
	d.mu.Lock()
	d.asked = append(d.asked, strings.Join([]string{req.URL.Path, values.Get("grant_type"), user + values.Get("client_id")}, " "))
	if text := values.Get("client_assertion"); text != "" {
		d.sent[text]++
	}
	d.mu.Unlock()
	return http.DefaultTransport.RoundTrip(req)
}

func delegateTo(t *testing.T, e client.Endpoints, change ...func(*client.DelegateOptions)) *delegated {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	d := &delegated{log: logs, sent: map[string]int{}}
	o := client.DelegateOptions{Transport: d, Endpoints: func() client.Endpoints { return e }, Keep: -1, Log: zap.New(core),
		Mark: pushstore.NewMemory(pushstore.MemoryOptions{}).Mark, Assertions: func(context.Context, string) client.AssertionRules {
			return client.AssertionRules{Audience: client.AudienceRFC9126, At: client.Server{Issuer: strings.TrimSuffix(e.Token, "/oauth/token")}}
		}}
	for _, c := range change {
		c(&o)
	}
	var err error
	if d.Delegate, err = client.NewDelegate(o); err != nil {
		t.Fatal(err)
	}
	return d
}

// try presents what a client sends; it returns "" for nobody, and else the client and its method.
func (d *delegated) try(t *testing.T, authorization, form string) string {
	t.Helper()
	header := http.Header{}
	if authorization != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(authorization)))
	}
	params, err := oauth.ParseForm(form)
	if err != nil {
		t.Fatal(err)
	}
	cred, _, err := client.Read(header, params)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Authenticate(t.Context(), cred)
	var told *oauth.Error
	switch {
	case err == nil:
		d.err = nil
		return c.ID + " " + strings.Join(c.AuthMethods, ",")
	case c != nil, !errors.As(err, &told):
		t.Fatalf("%v %v", c, err)
	}
	d.err = err
	return ""
}

func startZitadel(t *testing.T, wrapped bool) (string, *zitadelStore) {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	store := newZitadelStore(t, server.URL)
	handler = exampleop.SetupServer(server.URL, store, slog.New(slog.DiscardHandler), wrapped)
	return server.URL, store
}

func TestDelegatedAtZitadel(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		for name, endpoints := range map[string]func(string) client.Endpoints{
			"token endpoint alone": func(u string) client.Endpoints { return client.Endpoints{Token: u + "/oauth/token"} },
			"all endpoints": func(u string) client.Endpoints {
				return client.Endpoints{Token: u + "/oauth/token", Revocation: u + "/revoke", Introspection: u + "/oauth/introspect"}
			},
		} {
			t.Run(fmt.Sprintf("LegacyServer %t, %s", wrapped, name), func(t *testing.T) {
				u, _ := startZitadel(t, wrapped)
				d := delegateTo(t, endpoints(u))
				d.neverPass(t)
				for n := range 3 {
					if got := d.try(t, "web:s3cret", "client_id=web"); got != "web client_secret_basic" {
						t.Fatalf("Basic, time %d: %q; %v\n%v", n, got, d.asked, d.log.All())
					}
					if got := d.try(t, "", "client_id=web&client_secret=s3cret"); got != "web client_secret_post" {
						t.Errorf("post, time %d: %q; %v\n%v", n, got, d.asked, d.log.All())
					}
				}
				d.neverPass(t)
				all := endpoints(u).Revocation != ""
				if got := d.try(t, "", "client_id=spa"); (wrapped || all) && got != "spa none" {
					t.Errorf("public: %q; %v\n%v", got, d.asked, d.log.All())
				}
				if unsound := d.log.FilterMessageSnippet("not believed").Len() > 0; unsound == false && !wrapped {
					t.Error("the calibration noticed nothing on the router whose token endpoint answers everybody alike")
				}
				d.asked = nil
				want := "/oauth/token authorization_code web"
				if !wrapped {
					want = "/oauth/token refresh_token web"
				}
				if d.try(t, "web:s3cret", ""); !slices.Equal(d.asked, []string{want}) {
					t.Errorf("what is asked in the end: %v, want %s", d.asked, want)
				}
			})
		}
	}
}

// neverPass presents whatever must not pass.
func (d *delegated) neverPass(t *testing.T) {
	t.Helper()
	for what, try := range map[string][2]string{
		"wrong secret":                         {"web:wrong", ""},
		"wrong secret in the form":             {"", "client_id=web&client_secret=wrong"},
		"unknown client":                       {"nobody:s3cret", ""},
		"unknown client, secret in the form":   {"", "client_id=nobody&client_secret=s3cret"},
		"unknown client without a secret":      {"", "client_id=nobody"},
		"no secret":                            {"", "client_id=web"},
		"an empty secret":                      {"web:", ""},
		"a public client with a secret":        {"spa:s3cret", ""},
		"a public client with one in the form": {"", "client_id=spa&client_secret=s3cret"},
		"a public client's Basic":              {"spa:", ""},
		"a public client as another":           {"spa:", "client_id=web"},
		"one client's secret as another":       {"web:s3cret", "client_id=spa"},
		"who signs, with a secret":             {"jwt:x", ""},
		"who signs, with none":                 {"", "client_id=jwt"},
	} {
		if got := d.try(t, try[0], try[1]); got != "" {
			t.Errorf("%s passes as %s; %v\n%v", what, got, d.asked, d.log.All())
		}
	}
}

func TestDelegatedAssertionsAtZitadel(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		t.Run(fmt.Sprintf("LegacyServer %t", wrapped), func(t *testing.T) {
			u, store := startZitadel(t, wrapped)
			d := delegateTo(t, client.Endpoints{Token: u + "/oauth/token", Revocation: u + "/revoke", Introspection: u + "/oauth/introspect"})
			form := func(assertion string) string {
				return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + assertion
			}
			for n := range 3 {
				assertion := store.sign(t, u, "jwt")
				// Its token endpoint takes every assertion; the first one must not be spent there.
				if got := d.try(t, "", form(assertion)); got != "jwt private_key_jwt" {
					t.Fatalf("time %d: %q, %v; %v\n%v", n, got, d.err, d.asked, d.log.All())
				}
				if got := d.try(t, "", form(assertion)); got != "" { // which zitadel would take again
					t.Error("an assertion passes twice")
				}
				for what, bad := range map[string]string{
					"a wrong signature":  assertion[:len(assertion)-8] + "AAAAAAAA",
					"a client that is":   store.sign(t, u, "web"),
					"a client that isnt": store.sign(t, u, "nobody"),
					"another audience":   store.sign(t, "https://other.example", "jwt"),
				} {
					if got := d.try(t, "", form(bad)); got != "" {
						t.Errorf("%s passes as %s", what, got)
					}
				}
			}
			for text, times := range d.sent {
				if times > 1 {
					t.Errorf("an assertion was sent %d times: %.20s", times, text)
				}
			}
		})
	}
}

func TestDelegatedAtGoOAuth2(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(goOAuth2(t))
	t.Cleanup(server.Close)
	d := delegateTo(t, client.Endpoints{Token: server.URL + "/oauth/token"}, func(o *client.DelegateOptions) {
		o.RedirectURI = func(context.Context) string { return "https://app.example/cb" } // it looks at it first
	})
	d.neverPass(t)
	for range 3 {
		if got := d.try(t, "web:s3cret", ""); got != "web client_secret_basic" {
			t.Fatalf("%q, %v; %v\n%v", got, d.err, d.asked, d.log.All())
		}
	}
	d.neverPass(t)
	if got := d.try(t, "", "client_id=web&client_secret=s3cret"); got != "" {
		t.Errorf("it knows Basic alone, and %s passes", got)
	}
}

func TestDelegatedProbesAreExplained(t *testing.T) {
	u, _ := startZitadel(t, false)
	d := delegateTo(t, client.Endpoints{Token: u + "/oauth/token", Revocation: u + "/revoke", Introspection: u + "/oauth/introspect"})
	usable := map[string]bool{}
	for _, f := range d.Explain(t.Context()) {
		t.Logf("%-50s %-20s %-30s %t: %s", f.Probe, f.Method, f.Answer, f.Usable, f.Note)
		usable[f.Probe+", "+f.Method] = f.Usable
	}
	for what, want := range map[string]bool{
		"token endpoint with a made-up code, client_secret_basic": false,
		"token endpoint with a made-up code, private_key_jwt":     false,
		"revocation endpoint, client_secret_basic":                true,
		"revocation endpoint, none":                               true,
		"introspection endpoint, client_secret_basic":             true,
	} {
		if usable[what] != want {
			t.Errorf("%s: usable is %t", what, usable[what])
		}
	}
}
