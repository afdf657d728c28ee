//go:build compat

package compat

import (
	"os"
	"os/exec"
	"path/filepath"
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
		notes: []string{
			"Without pargate a `+` in the `state` comes back as a space, because Werkzeug writes the address anew. With pargate it comes back as it was.",
			"A form at this application's authorization endpoint is the consent. `UPSTREAM_AUTHORIZE_METHOD` must stay GET, or everybody is denied.",
		},
	}
	s.start = func(t *testing.T, p place) (forget func()) {
		dir := copySetup(t, "authlib", nil)
		gunicorn(p, "authlib_app:app", dir, append(s.environment(p), "AUTHLIB_INSECURE_TRANSPORT=1")).run(t)
		return nil
	}
	return s
}

// gunicorn serves a Python application, with request lines as long as they come.
func gunicorn(p place, application, dir string, env []string) process {
	return process{
		command: []string{
			systemPython, "-m", "gunicorn", "--bind", p.addr, "--limit-request-line", "0", "--log-level", "warning", "--threads", "4", application,
		},
		dir: dir, env: append(env, "PYTHONDONTWRITEBYTECODE=1"), addr: p.addr,
	}
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
