package deploy

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pargate/config"
)

// foreign are variables of pargate's containers that are not its settings: Go's own.
var foreign = []string{"GOMEMLIMIT"}

// settings gives an environment to the program's own reader, with a file of our own for each secret. Whatever it would complain
// or warn about is an error.
func settings(t *testing.T, environment map[string]string) *config.Config {
	t.Helper()
	known := map[string]config.Setting{}
	for _, s := range config.Settings() {
		known[s.Name] = s
	}
	var environ []string
	for name, value := range environment {
		base, isFile := strings.CutSuffix(name, "_FILE")
		if s, ok := known[base]; ok && isFile && s.Secret {
			value = filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(value, []byte("s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if _, ok := known[name]; !ok && !slices.Contains(foreign, name) {
			t.Errorf("%s is not a setting", name)
		}
		environ = append(environ, name+"="+value)
	}
	cfg, warnings, err := config.Load(environ)
	if err != nil {
		t.Fatalf("the settings are wrong:\n%v", err)
	}
	for _, w := range warnings {
		t.Errorf("warning: %v", w)
	}
	return cfg
}

// confidential are the names of variables whose value must not stand in a file of ours.
var confidential = regexp.MustCompile(`PASSWORD|SECRET|TOKEN|HASH|_KEY$`)

// checkInPlain complains about a value that stands in a manifest and should not.
func checkInPlain(t *testing.T, name, value string) {
	t.Helper()
	if confidential.MatchString(name) && !strings.HasSuffix(name, "_FILE") {
		t.Errorf("the value of %s stands there in plain", name)
	}
	if u, err := url.Parse(value); err == nil && u.User != nil {
		t.Errorf("%s has an account in its URL", name)
	}
	// Kubernetes sets such names itself, for every service.
	if strings.HasSuffix(name, "_PORT") || strings.HasSuffix(name, "_HOST") {
		t.Errorf("%s is a name that Kubernetes gives to addresses of services", name)
	}
}

// tag is what an image's name must end with: a version, so that tomorrow's image is today's.
var tag = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+[-.a-z0-9]*$`)

func makefileVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^VERSION +:= (.+)$`).FindSubmatch(text)
	if match == nil {
		t.Fatal("the Makefile has no VERSION")
	}
	return string(match[1])
}
