//go:build compat

package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

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
