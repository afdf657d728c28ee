//go:build compat

package compat

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func oidcProvider9() *server {
	return nodeServer("oidc-provider-9", server{
		title: "oidc-provider 9", version: npmVersion("oidc-provider"),
		authorize: "/auth", token: "/token", metadata: "/",
		scope: "openid profile", idToken: true, formPost: true, fragment: true,
		setup: "`features.pushedAuthorizationRequests` off, `provider.proxy = true`",
		notes: []string{"It gives `iss` itself, and there is no second one."},
	})
}

func oidcProvider6() *server {
	return nodeServer("oidc-provider-6", server{
		title: "oidc-provider 6", version: npmVersion("oidc-provider-6"),
		authorize: "/auth", token: "/token", metadata: "/",
		scope: "openid profile", idToken: true, formPost: true, fragment: true, takesPOST: true,
		noWrong: "its development pages take any password",
		setup:   "`provider.proxy = true`",
		notes:   []string{"N: its development pages print the whole request. They are for development; pages of one's own need not."},
	})
}

func oauth2orize() *server {
	return nodeServer("oauth2orize", server{
		title: "oauth2orize with connect-ensure-login", version: npmVersion("oauth2orize"),
		authorize: "/dialog/authorize", token: "/oauth/token",
		scope: "openid profile", noPublic: true,
	})
}

func expressOAuthServer() *server {
	return nodeServer("express-oauth-server", server{
		title: "@node-oauth/express-oauth-server", version: npmVersion("@node-oauth/express-oauth-server"),
		authorize: "/oauth/authorize", token: "/oauth/token",
		scope: "openid profile", noPublic: true,
		asked: []string{"It knows a public client by its `code_verifier`, and a probe has none: public clients must be in `CLIENTS_FILE`."},
		notes: []string{"A form at its authorization endpoint is the consent. `UPSTREAM_AUTHORIZE_METHOD` must stay GET, or nobody is asked."},
	})
}

// nodeServer completes a server whose set-up is servers/node/name.mjs.
func nodeServer(name string, s server) *server {
	s.name = name
	s.missing = func() string {
		if _, err := exec.LookPath("node"); err != nil {
			return "node"
		}
		if _, err := os.Stat(nodeModules()); err != nil {
			return "npm's " + name
		}
		return ""
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		dir := copySetup(t, "node", nil)
		if err := os.Symlink(nodeModules(), filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		process{command: []string{"node", name + ".mjs"}, dir: dir, env: s.environment(p), addr: p.addr}.run(t)
		return nil
	}
	return &s
}

// nodeModules is where .ci/compat puts what servers/node/package-lock.json names.
func nodeModules() string {
	cache := os.Getenv("PARGATE_COMPAT_CACHE")
	if cache == "" {
		home, _ := os.UserHomeDir()
		cache = filepath.Join(cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache")), "pargate-compat")
	}
	return filepath.Join(cache, "node", "node_modules")
}

// npmVersion reads which version of a package is asked for.
func npmVersion(name string) func() (string, error) {
	return func() (string, error) {
		text, err := setups.ReadFile("servers/node/package.json")
		if err != nil {
			return "", err
		}
		var manifest struct{ Dependencies map[string]string }
		if err := json.Unmarshal(text, &manifest); err != nil {
			return "", err
		}
		version := manifest.Dependencies[name]
		return version[strings.LastIndex(version, "@")+1:], nil
	}
}
