package config_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pargate/config"
)

// Users script against the names, and the order is the manual's.
func TestNamesAreFixed(t *testing.T) {
	t.Parallel()
	const want = `
everyday UPSTREAM_URL PUBLIC_URL LISTEN_ADDR ADMIN_ADDR REDIS_URL PAR_REQUIRED PAR_TTL CLIENTS_FILE TRUSTED_PROXIES LOG_LEVEL LOG_FORMAT
endpoints PAR_PATH AUTHORIZE_PATH TOKEN_PATH METADATA_PATCH RESPONSE_ISS RESUME_PARAMS
upstream UPSTREAM_AUTHORIZE_METHOD UPSTREAM_MAX_REQUEST UPSTREAM_TIMEOUT UPSTREAM_CA_FILE UPSTREAM_DRY_RUN
clients CLIENT_AUTH ASSERTION_AUDIENCE PROBE_ACCEPT CORS_ORIGINS RATE_LIMIT PAR_MAX_BYTES PROFILE CLIENT_CERT_HEADER
store FLOW_TTL REDIS_MODE REDIS_USERNAME REDIS_PASSWORD REDIS_CA_FILE REDIS_CERT_FILE REDIS_KEY_FILE REDIS_KEY_PREFIX REDIS_WAIT_REPLICAS
serving TLS_CERT_FILE TLS_KEY_FILE TLS_CLIENT_CA_FILE SHUTDOWN_DELAY SHUTDOWN_TIMEOUT OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`
	got, group := "", ""
	for _, s := range config.Settings() {
		if s.Group != group {
			group = s.Group
			got += "\n" + group
		}
		got += " " + s.Name
	}
	if got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	// Kubernetes makes variables of these shapes for every service.
	link := regexp.MustCompile(`_PORT$|_HOST$|_SERVICE_`)
	var names []string
	for _, s := range config.Settings() {
		if s.Name == "" || s.Help == "" || (s.Default == "") == (s.Unset == "") || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%+v: want a name, a help text that is a sentence, and a default or what unset means", s)
		}
		if link.MatchString(s.Name) || slices.Contains(names, s.Name) {
			t.Errorf("%s looks like a service link or is there twice", s.Name)
		}
		names = append(names, s.Name)
	}
	// The library reports bad values by the name of the field, so there must be one field of each name.
	fields := reflect.VisibleFields(reflect.TypeFor[config.Config]())
	if len(fields) != len(names) {
		t.Errorf("%d fields, %d settings", len(fields), len(names))
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.Name] || f.Anonymous || !f.IsExported() {
			t.Errorf("field %s is there twice, embedded or unexported", f.Name)
		}
		seen[f.Name] = true
	}
}

func TestMarkdownTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := config.WriteMarkdownTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Variable | Default | What it does |\n|---|---|---|\n| **Everyday** | | |\n| `UPSTREAM_URL` | required | Address ",
		"| `PAR_TTL` | `60s` | How long a request_uri waits for the browser, 5s to 599s. Clients see it as expires_in. |\n",
		"| `REDIS_PASSWORD`, `REDIS_PASSWORD_FILE` | from REDIS_URL | Redis password. The file is read again for every new connection. |\n| `REDIS_CA_FILE` |",
		"or unix:/path for a socket, which its group may use too (0660). |\n",
		"Origins whose scripts may push, as https://app.example. |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestHelpNamesEverything(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := config.WriteHelp(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		if !strings.Contains(b.String(), "\n  "+s.Name+" ") {
			t.Errorf("no %s", s.Name)
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if len(line) > 84 {
			t.Errorf("long line: %s", line)
		}
	}
}
