//go:build compat

package compat

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func glewlwyd() *server {
	s := &server{
		name: "glewlwyd", title: "Glewlwyd", version: debianVersion("glewlwyd"),
		missing: func() string {
			for _, program := range []string{"glewlwyd", "sqlite3"} {
				if _, err := exec.LookPath(program); err != nil {
					return program
				}
			}
			return ""
		},
		authorize: "/api/oidc/auth", token: "/api/oidc/token", metadata: "/api/oidc",
		scope: "openid profile", idToken: true, formPost: true, fragment: true, escapesState: true,
		probeAccept: []string{"invalid_code"},
		noDeny:      "its login application has no such button",
		setup:       "`external_url` and the plug-in's `iss` are the public address; its own PAR off",
		notes: []string{
			"N: its login application wants `client_id` and `scope` in the address of `login.html`.",
			"N: with `form_post` it percent-encodes the `state` in the page. *form_post* was tried with a `state` of letters and digits; with PAR required, a response with another `state` is withheld.",
			"N: by POST it looks for the login application's `g_continue` in the form alone, and the login does not end. `UPSTREAM_AUTHORIZE_METHOD` must stay GET.",
		},
		act: actAtGlewlwyd,
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		host, port, _ := net.SplitHostPort(p.addr)
		dir := copySetup(t, "glewlwyd", map[string]string{"Host": host, "Port": port, "Public": p.public, "Dir": "."})
		schema, err := os.ReadFile(glewlwydSchema)
		if err != nil {
			t.Fatal(err)
		}
		load := exec.Command("sqlite3", "glewlwyd.db")
		load.Dir, load.Stdin = dir, bytes.NewReader(schema)
		if out, err := load.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		process{command: []string{"glewlwyd", "--config-file=glewlwyd.conf"}, dir: dir, addr: p.addr}.run(t)
		setUpGlewlwyd(t, p)
		return nil
	}
	return s
}

// glewlwydSchema is the database that the package brings.
const glewlwydSchema = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"

// setUpGlewlwyd makes, over its administration API, a provider, a person and a client.
func setUpGlewlwyd(t testing.TB, p place) {
	private, public := newKey(t)
	jar, _ := cookiejar.New(nil)
	admin := &http.Client{Jar: jar}
	type object map[string]any
	for _, call := range []struct {
		path string
		body object
	}{
		{"/api/auth/", object{"username": "admin", "password": "password"}},
		{"/api/mod/plugin/", object{"module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": object{
			"iss": p.public + "/api/oidc", "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public,
			"access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600, "allow-non-oidc": true,
			"auth-type-code-enabled": true, "auth-type-token-enabled": false, "auth-type-none-enabled": false,
			"auth-type-password-enabled": false, "auth-type-client-enabled": false, "auth-type-refresh-enabled": false,
			"pkce-allowed": true, "pkce-required": true, "pkce-method-plain-allowed": false,
			"request-parameter-allow": false, "oauth-par-allowed": false, "jwks-show": true,
			"scope": []object{{"name": "openid", "refresh-token-rolling": false}},
		}}},
		{"/api/scope/", object{"name": "profile", "display_name": "Profile", "password_required": true, "scheme": object{}}},
		{"/api/user/", object{"username": userName, "password": userPassword, "scope": []string{"g_profile", "openid", "profile"}, "enabled": true}},
		{"/api/client/", object{
			"client_id": clientID, "client_secret": clientSecret, "password": clientSecret, "confidential": true,
			"enabled": true, "redirect_uri": []string{redirectURI, otherURI}, "authorization_type": []string{"code"},
			"scope": []string{"openid", "profile"}, "token_endpoint_auth_method": []string{"client_secret_basic", "client_secret_post"},
		}},
		{"/api/client/", object{
			"client_id": publicID, "confidential": false,
			"enabled": true, "redirect_uri": []string{redirectURI, otherURI}, "authorization_type": []string{"code"},
			"scope": []string{"openid", "profile"}, "token_endpoint_auth_method": []string{"none"},
		}},
	} {
		body, err := json.Marshal(call.body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := admin.Post("http://"+p.addr+call.path, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", call.path, res.Status, text)
		}
	}
}

// actAtGlewlwyd does what the script of login.html does: it talks to the API, and then goes on to callback_url with
// g_continue after it.
func actAtGlewlwyd(b *browser, p person, page *page) request {
	at, err := url.Parse(page.url)
	if err != nil || !strings.HasSuffix(at.Path, "/login.html") {
		return request{}
	}
	api := func(method, path string, body map[string]string) int {
		text, _ := json.Marshal(body)
		return b.send(request{method: method, url: b.base + path, contentType: "application/json", body: string(text), script: true, referer: page.url}).status
	}
	logIn := func(password string) int {
		return api(http.MethodPost, "/api/auth/", map[string]string{"username": p.server.userName(), "password": password})
	}
	query := at.Query()
	if api(http.MethodGet, "/api/profile_list", nil) != http.StatusOK {
		if p.wrongPassword && logIn("wrong") != http.StatusUnauthorized {
			b.t.Error("a wrong password was not refused")
		}
		if status := logIn(p.server.userPassword()); status != http.StatusOK {
			b.t.Errorf("the password was refused: %d", status)
		}
	}
	if api(http.MethodPut, "/api/auth/grant/"+clientID, map[string]string{"scope": query.Get("scope")}) != http.StatusOK {
		return request{}
	}
	return request{method: http.MethodGet, url: query.Get("callback_url") + "&g_continue", referer: page.url}
}
