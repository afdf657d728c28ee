package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pargate/config"
)

const upstream = "UPSTREAM_URL=http://127.0.0.1:9998"

// load fails the test unless upstream and environ are a good configuration.
func load(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	c, _, err := config.Load(append([]string{upstream}, environ...))
	if err != nil {
		t.Fatalf("Load(%q):\n%v", environ, err)
	}
	return c
}

// problems returns what is wrong with upstream and environ.
func problems(t *testing.T, environ ...string) config.Problems {
	t.Helper()
	c, _, err := config.Load(append([]string{upstream}, environ...))
	var all config.Problems
	if err != nil && !errors.As(err, &all) {
		t.Fatalf("Load(%q) = %v, which is not Problems", environ, err)
	}
	if err != nil && c != nil {
		t.Errorf("Load(%q) gave a Config and problems", environ)
	}
	return all
}

// show returns a setting as the summary prints it.
func show(t *testing.T, c *config.Config, name string) string {
	t.Helper()
	for _, v := range c.Summary() {
		if v.Name == name {
			return v.Value
		}
	}
	t.Fatalf("no setting %s", name)
	return ""
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOnlyTheUpstreamIsRequired(t *testing.T) {
	t.Parallel()
	c := load(t)
	if got := c.UpstreamURL.String(); got != "http://127.0.0.1:9998" {
		t.Errorf("UpstreamURL = %s", got)
	}
	if c.PublicURL != nil || c.RedisURL.IsSet() || c.PARRequired || !c.MetadataPatch || c.TrustedProxies.Any() {
		t.Errorf("defaults: %+v", c)
	}
	if c.PARTTL != time.Minute || c.FlowTTL != 30*time.Minute || c.PARMaxBytes != 64<<10 || c.RateLimit != 50 {
		t.Errorf("defaults: %+v", c)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ set, want string }{
		{"PAR_TTL=90", "90s"},    // bare seconds are no duration to the library
		{"PAR_TTL=1m30s", "90s"}, // Go's syntax
		{"PAR_TTL= 90s\n", "90s"},
		{"PAR_TTL=", "1m"}, // set to nothing is unset
		{"PAR_TTL=  ", "1m"},
		{"FLOW_TTL=1h", "1h"},
		{"SHUTDOWN_DELAY=0", "0s"},
		{"PAR_REQUIRED=on", "true"},
		{"METADATA_PATCH=off", "false"},
		{"ADMIN_ADDR=off", "off"},
		{"ADMIN_ADDR=", ":8081"}, // nothing means the default, which is why off exists
		{"ADMIN_ADDR=localhost:0", "localhost:0"},
		{"LISTEN_ADDR=[::1]:8080", "[::1]:8080"},
		{"PAR_MAX_BYTES=65536", "64KiB"},
		{"PAR_MAX_BYTES=1mib", "1MiB"},
		{"PAR_MAX_BYTES=1025", "1025"},
		{"RATE_LIMIT=off", "off"},
		{"RATE_LIMIT=90/m", "90/m"},
		{"RATE_LIMIT=600/m", "10/s"},
		{"TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.1 2001:db8::1", "10.0.0.0/8,192.0.2.1/32,2001:db8::1/128"},
		{"LISTEN_ADDR=unix:/run/pargate.sock", "unix:/run/pargate.sock"},
		{"TRUSTED_PROXIES=::ffff:10.0.0.0/104 ::ffff:192.0.2.1", "10.0.0.0/8,192.0.2.1/32"},
		{"AUTHORIZE_PATH=/auth,/o/authorize/  ,/x", "/auth,/o/authorize/,/x"},
		{"RESUME_PARAMS=hop step", "hop,step"},
		{"LOG_LEVEL=WARN", "warn"},
		{"LOG_FORMAT=json", "json"},
		{"CLIENT_AUTH=auto", "auto"},
		{"RESPONSE_ISS=off", "off"},
		{"UPSTREAM_AUTHORIZE_METHOD=get", "GET"},
		{"UPSTREAM_DRY_RUN=no", "false"},
		{"REDIS_WAIT_REPLICAS=0", "0"},
		{"PUBLIC_URL=https://login.example.com/realms/a", "https://login.example.com/realms/a"},
		{"PUBLIC_URL=http://[::1]:8080", "http://[::1]:8080"},
		{"PUBLIC_URL=http://localhost:8080", "http://localhost:8080"},
		{"PAR_PATH=/oauth2/par", "/oauth2/par"},
	} {
		name, _, _ := strings.Cut(tt.set, "=")
		if got := show(t, load(t, tt.set), name); got != tt.want {
			t.Errorf("%q gives %s, want %s", tt.set, got, tt.want)
		}
	}
}

func TestPrefixedNamesWin(t *testing.T) {
	t.Parallel()
	c := load(t, "PAR_TTL=61", "PARGATE_PAR_TTL=62", "PARGATE_FLOW_TTL=1h", "LOG_LEVEL=warn", "PARGATE_LOG_LEVEL=")
	if c.PARTTL != 62*time.Second || c.FlowTTL != time.Hour || c.LogLevel != config.LogWarn {
		t.Errorf("PARTTL %v, FlowTTL %v, LogLevel %v", c.PARTTL, c.FlowTTL, c.LogLevel)
	}
	// The problem has the name that was written.
	if got := problems(t, "PARGATE_PAR_TTL=1s"); len(got) != 1 || got[0].Name != "PARGATE_PAR_TTL" {
		t.Errorf("problems: %v", got)
	}
}

// Not parallel: it changes the environment of the process, which must not count.
func TestOnlyTheGivenEnvironmentIsRead(t *testing.T) {
	t.Setenv("PAR_TTL", "99s")
	t.Setenv("UPSTREAM_URL", "https://process.example")
	if c := load(t); c.PARTTL != time.Minute || c.UpstreamURL.Port() != "9998" {
		t.Errorf("the environment of the process was read: %v %v", c.PARTTL, c.UpstreamURL)
	}
	if _, _, err := config.Load(nil); err == nil {
		t.Error("UPSTREAM_URL came from the environment of the process")
	}
	// The library looks up the empty name, and 0_X for elements of lists.
	load(t, "=nonsense", "0_=x", "0_TRUSTED_PROXIES=x")
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"s3cret": "s3cret", "s3cret\n": "s3cret", "s3cret\r\n": "s3cret", " s 3\n\n": " s 3"} {
		c := load(t, "REDIS_URL=redis://r:6379", "REDIS_PASSWORD_FILE="+file(t, content))
		if got := c.RedisPassword.Reveal(); got != want {
			t.Errorf("file %q gives %q, want %q", content, got, want)
		}
	}
	path := file(t, "x")
	if got := load(t, "REDIS_URL=redis://r:6379", "REDIS_PASSWORD_FILE= "+path).RedisPassword.File(); got != path {
		t.Errorf("read from %q, want %q", got, path)
	}
	if got := load(t, "REDIS_URL=redis://r:6379", "REDIS_PASSWORD=x").RedisPassword.File(); got != "" {
		t.Errorf("read from %q, want no file", got)
	}
	c := load(t, "PARGATE_REDIS_URL_FILE="+file(t, "redis://u:p@r:6379/3\n"))
	if got := c.RedisURL.Reveal(); got != "redis://u:p@r:6379/3" {
		t.Errorf("RedisURL = %q", got)
	}
	// A password in a variable is taken as it is.
	if got := load(t, "REDIS_URL=redis://r", "REDIS_PASSWORD= x ").RedisPassword.Reveal(); got != " x " {
		t.Errorf("RedisPassword = %q", got)
	}
}

func TestSecretFileProblems(t *testing.T) {
	t.Parallel()
	dir, redis := t.TempDir(), "REDIS_URL=redis://r:6379"
	gone, empty, large := filepath.Join(dir, "gone"), file(t, "\n"), file(t, strings.Repeat("x", 65<<10))
	for _, tt := range []struct {
		environ []string
		want    string
	}{
		{[]string{redis, "REDIS_PASSWORD=a", "REDIS_PASSWORD_FILE=b"}, "REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set; keep one"},
		{[]string{redis, "REDIS_PASSWORD=a", "PARGATE_REDIS_PASSWORD_FILE=b"}, "REDIS_PASSWORD and PARGATE_REDIS_PASSWORD_FILE are both set; keep one"},
		{[]string{redis, "REDIS_URL_FILE=" + gone}, "REDIS_URL and REDIS_URL_FILE are both set; keep one"},
		{[]string{"REDIS_URL_FILE=" + gone}, `REDIS_URL_FILE "` + gone + `" cannot be read: no such file or directory`},
		{[]string{redis, "REDIS_PASSWORD_FILE=" + dir}, `REDIS_PASSWORD_FILE "` + dir + `" cannot be read: is a directory`},
		{[]string{redis, "REDIS_PASSWORD_FILE=" + empty}, `REDIS_PASSWORD_FILE "` + empty + `" is empty`},
		{[]string{redis, "REDIS_PASSWORD_FILE=" + large}, `REDIS_PASSWORD_FILE "` + large + `" holds more than 64KiB, which is no secret`},
	} {
		expect(t, tt.want, tt.environ...)
	}
}

// expect wants exactly one problem, or none when want is empty.
func expect(t *testing.T, want string, environ ...string) {
	t.Helper()
	var got []string
	for _, p := range problems(t, environ...) {
		got = append(got, p.Name+" "+p.Text)
	}
	if strings.Join(got, "\n") != want {
		t.Errorf("%q:\n got %s\nwant %s", environ, strings.Join(got, "\n"), want)
	}
}
