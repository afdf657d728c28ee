//go:build compat

package compat

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// systemPython is the one that the system's Python packages are for.
const systemPython = "/usr/bin/python3"

func djangoOAuthToolkit() *server {
	s := &server{
		name: "django-oauth-toolkit", title: "django-oauth-toolkit", version: debianVersion("python3-django-oauth-toolkit"),
		missing:   pythonMissing("oauth2_provider", "gunicorn"),
		authorize: "/o/authorize/", token: "/o/token/", metadata: "/o", ownsHost: true,
		scope: "openid profile", idToken: true, fragment: true, hidden: true,
		setup: "gunicorn `--limit-request-line 0` (its default of 4094 bytes refuses big requests), `SECURE_PROXY_SSL_HEADER`",
		notes: []string{"Its issuer is the address that it is asked at, unless `OIDC_ISS_ENDPOINT` is set. So pargate must be told `PUBLIC_URL`."},
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		dir := copySetup(t, "django", nil)
		private, _ := newKey(t)
		if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte(private), 0o600); err != nil {
			t.Fatal(err)
		}
		env := append(s.environment(p), "SITE_DIR="+dir)
		prepare := exec.Command(systemPython, "dotsite.py")
		prepare.Dir, prepare.Env = dir, append(os.Environ(), env...)
		if out, err := prepare.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		gunicorn(p, "dotsite:application", dir, env).run(t)
		return nil
	}
	return s
}

func authlib() *server {
	s := &server{
		name: "authlib", title: "Authlib, a Flask application", version: debianVersion("python3-authlib"),
		missing:   pythonMissing("authlib", "flask", "gunicorn"),
		authorize: "/authorize", token: "/token",
		scope: "openid profile", idToken: true, losesPlus: true,
		setup: "gunicorn `--limit-request-line 0`",
		notes: []string{"Without pargate a `+` in the `state` comes back as a space, because Werkzeug writes the address anew. With pargate it comes back as it was."},
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		dir := copySetup(t, "authlib", nil)
		gunicorn(p, "authlib_app:app", dir, append(s.environment(p), "AUTHLIB_INSECURE_TRANSPORT=1")).run(t)
		return nil
	}
	return s
}

func doorkeeperSession() *server {
	return doorkeeper("doorkeeper-session", "Doorkeeper, a login that keeps the request in the session", "session", 1500,
		"N: the session is a cookie of 4 KB, into which a request of 2.5 KB does not fit.")
}

func doorkeeperAddress() *server {
	return doorkeeper("doorkeeper-address", "Doorkeeper, a login that keeps the request in its address", "address", 0)
}

func doorkeeper(name, title, remember string, size int, notes ...string) *server {
	s := &server{
		name: name, title: title, version: debianVersion("ruby-doorkeeper"),
		missing: func() string {
			if exec.Command("ruby", "-rrails", "-rsqlite3", "-rpuma", "-rdoorkeeper/openid_connect", "-e1").Run() != nil {
				return "rails, sqlite3, puma or doorkeeper-openid_connect of ruby"
			}
			return ""
		},
		authorize: "/oauth/authorize", token: "/oauth/token", metadata: "/",
		scope: "openid profile", idToken: true, hidden: true, formPost: true, losesNonce: true, size: size,
		setup: "`protocol` of doorkeeper-openid_connect is the public address's",
		notes: append(notes, "Its consent page forgets the `nonce`; with pargate the ID token has it.", "*Deny* is a form with `_method=delete`."),
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		dir := copySetup(t, "doorkeeper", nil)
		private, _ := newKey(t)
		if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte(private), 0o600); err != nil {
			t.Fatal(err)
		}
		process{
			command: []string{"puma", "--bind", "tcp://" + p.addr, "--environment", "production", "--threads", "4:4", "--quiet", "config.ru"},
			dir:     dir, env: append(s.environment(p), "REMEMBER="+remember), addr: p.addr,
		}.run(t)
		return func() { // it asks for no consent to what a token was given for
			clear := exec.Command("sqlite3", "-cmd", ".timeout 5000", "site.sqlite3", "DELETE FROM oauth_access_tokens")
			clear.Dir = dir
			if out, err := clear.CombinedOutput(); err != nil {
				t.Errorf("%v %s", err, out)
			}
		}
	}
	return s
}

// gunicorn serves a Python application, with request lines as long as they come.
func gunicorn(p place, application, dir string, env []string) process {
	return process{
		command: []string{systemPython, "-m", "gunicorn", "--bind", p.addr, "--limit-request-line", "0", "--log-level", "warning", "--threads", "4", application},
		dir:     dir, env: append(env, "PYTHONDONTWRITEBYTECODE=1"), addr: p.addr,
	}
}

func lemonLDAP() *server {
	s := &server{
		name: "lemonldap-ng", title: "LemonLDAP::NG", version: debianVersion("liblemonldap-ng-portal-perl"),
		missing: func() string {
			if _, err := exec.LookPath("plackup"); err != nil {
				return "plackup"
			}
			// The portal needs what its package only recommends.
			if exec.Command("perl", "-MLemonldap::NG::Portal", "-MGD::SecurityImage", "-MImage::Magick", "-MString::Random", "-MIO::String", "-e1").Run() != nil {
				return "Lemonldap::NG::Portal, GD::SecurityImage, Image::Magick, String::Random or IO::String of perl"
			}
			return ""
		},
		authorize: "/oauth2/authorize", token: "/oauth2/token", metadata: "/",
		scope: "openid profile", idToken: true, formPost: true, fragment: true, hidden: true, takesPOST: true,
		act:  refuseAtLemonLDAP,
		host: "localhost", // its cookies name a domain, which an address is not
		user: "rtyler", password: "rtyler",
		setup: "`portal` and the OpenID Connect issuer are the public address; behind nginx, `large_client_header_buffers` of 16 KB for big requests",
		notes: []string{"It was run by plackup, without nginx."},
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		host, port, _ := net.SplitHostPort(p.addr)
		private, public := newKey(t)
		values := map[string]string{
			"Public": p.public, "Domain": s.host, "PrivateKey": private, "PublicKey": public,
			"ClientID": clientID, "ClientSecret": clientSecret, "RedirectURIs": redirectURI + " " + otherURI,
			"Dir": t.TempDir(),
		}
		dir := copySetup(t, "lemonldap", values)
		for _, sub := range []string{"conf", "sessions", "lock", "psessions", "cache"} {
			if err := os.Mkdir(filepath.Join(values["Dir"], sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(filepath.Join(dir, "lmConf-1.json"), filepath.Join(values["Dir"], "conf", "lmConf-1.json")); err != nil {
			t.Fatal(err)
		}
		process{
			command: []string{"plackup", "-E", "deployment", "-s", "HTTP::Server::PSGI", "--host", host, "--port", port, "portal.psgi"},
			dir:     dir, env: []string{"LLNG_DEFAULTCONFFILE=" + filepath.Join(dir, "lemonldap-ng.ini")}, addr: p.addr,
		}.run(t)
		return func() { // consents are kept in the persistent session
			kept, _ := filepath.Glob(filepath.Join(values["Dir"], "psessions", "*"))
			for _, file := range kept {
				os.Remove(file)
			}
		}
	}
	return s
}

// refuseAtLemonLDAP does what the script of the consent page does when its second button is pressed.
func refuseAtLemonLDAP(_ *browser, p person, page *page) request {
	for _, f := range page.forms {
		for _, button := range f.buttons {
			if p.deny && button.label == "Refuse" {
				return f.submit(page, nil, func(f field) string {
					if f.name == "confirm" {
						return "-" + f.value
					}
					return f.value
				})
			}
		}
	}
	return request{}
}

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
		noDeny: "its login application has no such button",
		setup:  "`external_url` and the plug-in's `iss` are the public address; its own PAR off",
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
		{"/api/client/", object{"client_id": clientID, "client_secret": clientSecret, "password": clientSecret, "confidential": true,
			"enabled": true, "redirect_uri": []string{redirectURI, otherURI}, "authorization_type": []string{"code"},
			"scope": []string{"openid", "profile"}, "token_endpoint_auth_method": []string{"client_secret_basic"}}},
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

// pythonMissing reports which of the modules the system's Python lacks.
func pythonMissing(modules ...string) func() string {
	return func() string {
		for _, module := range modules {
			if exec.Command(systemPython, "-c", "import "+module).Run() != nil {
				return "python3's " + module
			}
		}
		return ""
	}
}

// debianVersion asks which version of a package is installed, and returns the part of it that its authors gave.
func debianVersion(name string) func() (string, error) {
	return func() (string, error) {
		out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
		return regexp.MustCompile(`^\d[\d.]*\d`).FindString(string(out)), err
	}
}

// newKey returns an RSA key and its public half, for servers that sign. It is made once.
func newKey(t testing.TB) (private, public string) {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
