package harness

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/proxy/oauth"
)

// AuthorizationRequest is a request whose values are canaries: each has a random text in it that no encoding changes,
// and around it characters that encodings trip over.
type AuthorizationRequest struct {
	Params   oauth.Params
	Verifier string            // of the code_challenge
	canaries map[string]string // by the name of the parameter that has it
}

// CanaryURI makes a redirect_uri with a canary in it, to be registered for a client.
func CanaryURI() string { return "https://app.example/cb?tenant=S256x" + rand.Text() }

// NewAuthorizationRequest makes a request of the client web, with the changes: pairs of name and value, where an empty
// value takes the parameter away.
func NewAuthorizationRequest(redirectURI string, changes ...string) AuthorizationRequest {
	a := AuthorizationRequest{Verifier: rand.Text() + rand.Text(), canaries: map[string]string{}}
	sum := sha256.Sum256([]byte(a.Verifier))
	canary := func(name string) string {
		a.canaries[name] = "c4nary" + rand.Text()
		return a.canaries[name]
	}
	a.Params = oauth.Params{
		{Name: "response_type", Value: "code"},
		{Name: "client_id", Value: "web"},
		{Name: "redirect_uri", Value: redirectURI},
		{Name: "scope", Value: "openid profile email"},
		{Name: "state", Value: canary("state") + "+ /=&~"},
		{Name: "nonce", Value: canary("nonce") + "-._~"},
		{Name: "code_challenge", Value: base64.RawURLEncoding.EncodeToString(sum[:])},
		{Name: "code_challenge_method", Value: "S256"},
		{Name: "claims", Value: `{"id_token":{"` + canary("claims") + `":{"value":"für, 1+1 / 2"}}}`},
		{Name: "authorization_details", Value: `[{"type":"` + canary("authorization_details") + `"}]`},
		{Name: "id_token_hint", Value: canary("id_token_hint") + ".e30."},
		{Name: "x_ticket", Value: canary("x_ticket") + " ü+"},
	}
	a.canaries["code_challenge"] = a.Get("code_challenge")
	if _, tenant, found := strings.Cut(redirectURI, "?tenant="); found {
		a.canaries["redirect_uri"] = tenant
	}
	for i := 0; i+1 < len(changes); i += 2 {
		a.Params = slices.DeleteFunc(a.Params, func(p oauth.Param) bool { return p.Name == changes[i] })
		delete(a.canaries, changes[i])
		if changes[i+1] != "" {
			a.Params = append(a.Params, oauth.Param{Name: changes[i], Value: changes[i+1]})
		}
	}
	return a
}

// Get returns the value of a parameter.
func (a AuthorizationRequest) Get(name string) string { return a.Params.Get(name) }

// Names are the names of the parameters.
func (a AuthorizationRequest) Names() []string {
	var names []string
	for _, p := range a.Params {
		names = append(names, p.Name)
	}
	return names
}

// Form is the request as Push takes it.
func (a AuthorizationRequest) Form() url.Values {
	form := url.Values{}
	for _, p := range a.Params {
		form.Add(p.Name, p.Value)
	}
	return form
}

// In returns the names of the parameters whose canaries are in text, as it is or in base64.
func (a AuthorizationRequest) In(text string) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(a.canaries)) {
		if canary := a.canaries[name]; strings.Contains(text, canary) || slices.ContainsFunc(inBase64(canary), func(s string) bool { return strings.Contains(text, s) }) {
			found = append(found, name)
		}
	}
	return found
}

// inBase64 returns what a long base64 text has in it that stands for s: one text for each place in a group of three.
func inBase64(s string) []string {
	var all []string
	for shift := range 3 {
		encoded := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
		all = append(all, encoded[4:len(encoded)-4])
	}
	return all
}

// Redeem gives a code to the token endpoint, and returns what it stands for.
func (a AuthorizationRequest) Redeem(t testing.TB, endpoint, code string) map[string]any {
	t.Helper()
	form := oauth.Params{{Name: "grant_type", Value: "authorization_code"}, {Name: "code", Value: code},
		{Name: "redirect_uri", Value: a.Get("redirect_uri")}, {Name: "code_verifier", Value: a.Verifier}}
	res := NewBrowser("").Post(t, endpoint, form.Encode(), func(r *http.Request) { r.SetBasicAuth("web", "s3cret") })
	if res.Status != http.StatusOK {
		t.Fatalf("the code does not redeem: %d %s", res.Status, res.Body)
	}
	return res.JSON(t)
}

// Differences says how what a server has believed differs from the request, parameter by parameter. Parameters of the
// gateway's own are none of the request.
func (a AuthorizationRequest) Differences(believed map[string]string) []string {
	var all []string
	for _, p := range a.Params {
		if got, ok := believed[p.Name]; !ok {
			all = append(all, p.Name+" is gone")
		} else if got != p.Value {
			all = append(all, fmt.Sprintf("%s is %q", p.Name, got))
		}
	}
	for name, value := range believed {
		if !slices.Contains(a.Names(), name) && !oauth.IsOwnName(name) {
			all = append(all, fmt.Sprintf("%s is there, %q", name, value))
		}
	}
	slices.Sort(all)
	return all
}
