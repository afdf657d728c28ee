package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pargate/config"
)

// An unusual word, so that finding it means that it leaked.
const canary = "cAnArY-7f3e"

// everything is all that can be printed of one environment.
func everything(environ []string) string {
	c, warnings, err := config.Load(environ)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v\n%+v\n%#v\n", err, err, err)
	fmt.Fprintf(&b, "%v\n%+v\n%#v\n", warnings, warnings, warnings)
	if c == nil {
		return b.String()
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
		fmt.Fprintf(&b, verb+verb+verb+"\n", c, *c, c.RedisPassword)
	}
	// fmt cannot call methods of what it finds in unexported fields.
	hidden := struct {
		c config.Config
		s config.Secret
		m map[string]config.Secret
	}{*c, c.RedisURL, map[string]config.Secret{"x": c.RedisPassword}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		fmt.Fprintf(&b, verb+"\n", hidden)
	}
	data, err := json.Marshal(c)
	fmt.Fprintf(&b, "%s %v\n%v\n", data, err, c.Summary())
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "config", c, "secret", c.RedisPassword)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "config", c, "secret", c.RedisURL)
	return b.String()
}

func leaks(text string) bool {
	return strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", canary))
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{upstream, "REDIS_URL=redis://u:" + canary + "@r:6379", "REDIS_PASSWORD=" + canary},
		{upstream, "REDIS_URL_FILE=" + file(t, "redis://u:"+canary+"@r"), "REDIS_PASSWORD_FILE=" + file(t, canary)},
		{upstream, "REDIS_URL=redis://r", "REDIS_PASSWORD=" + canary, "REDIS_PASSWORD_FILE=/x"},
		{upstream, "REDIS_PASSWORD_FILE=" + file(t, canary+strings.Repeat("x", 70<<10))},
		{upstream, "REDIS_PASSWORD=" + canary},
		{upstream, "REDIS_URL=" + canary},
		{upstream, "REDIS_URL=" + canary + "@r:6379"},
		{upstream, "REDIS_URL=redis://:" + canary + "#@r"},
		{upstream, "REDIS_URL=redis://:" + canary},
		{upstream, "REDIS_URL=redis://:" + canary + "\x7f@r"},
		{upstream, "REDIS_URL=redis://[" + canary},
		{upstream, "REDIS_URL=" + canary + "://r"},
		{upstream, "REDIS_URI=redis://:" + canary + "@r", "PARGATE_FOO=" + canary, "PAR_REQUIERD=" + canary},
		{"UPSTREAM_URL=https://u:" + canary + "@as", "PUBLIC_URL=" + canary + "@as", "LISTEN_ADDR=" + canary + "@x", "PAR_TTL=x:" + canary + "@x"},
		{"UPSTREAM_URL=https://u:" + canary + "%zz@as", "PUBLIC_URL=https://" + canary + "/@as", "TRUSTED_PROXIES=" + canary + "@1"},
	} {
		if text := everything(environ); leaks(text) {
			t.Errorf("%q shows it:\n%s", environ, text)
		}
	}
}

func TestSecretPrintsRedacted(t *testing.T) {
	t.Parallel()
	s := config.NewSecret(canary)
	data, err := json.Marshal(map[string]any{"a": s, "b": &s})
	if got, want := string(data), `{"a":"[redacted]","b":"[redacted]"}`; got != want || err != nil {
		t.Errorf("JSON is %s (%v), want %s", got, err, want)
	}
	if got, want := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), strings.Repeat(" [redacted]", 7)[1:]; got != want {
		t.Errorf("fmt prints %s", got)
	}
	if s.Reveal() != canary || !s.IsSet() || (config.Secret{}).IsSet() || (config.Secret{}).Reveal() != "" {
		t.Error("Reveal or IsSet")
	}
}

// Whatever the environment, Load does not panic and nothing it returns shows a secret.
func FuzzLoad(f *testing.F) {
	f.Add("PAR_TTL=60\nTRUSTED_PROXIES=10.0.0.0/8", "@r:6379")
	f.Add("UPSTREAM_URL=localhost:9998\nPARGATE_=x\nPARGATE_PORT=tcp://x\n=x", "#@r")
	f.Add("LISTEN_ADDR=unix:x\nADMIN_ADDR=off\nRATE_LIMIT=1/m\nPAR_MAX_BYTES=1KiB\nTRUSTED_PROXY=x", "%zz@r")
	f.Add("PAR_PATH=/par\nAUTHORIZE_PATH=/a /b\nRESUME_PARAMS=x\nCLIENT_AUTH=file\nREDIS_MODE=sentinel", "@r?master_name=x")
	f.Fuzz(func(t *testing.T, lines, rest string) {
		environ := []string{upstream, "REDIS_URL=redis://u:" + canary + rest, "REDIS_PASSWORD=" + canary + rest}
		for _, line := range strings.Split(lines, "\n") {
			// Files of this machine are none of the fuzzer's business.
			if !strings.Contains(line, "_FILE") {
				environ = append(environ, line)
			}
		}
		if text := everything(environ); leaks(text) {
			t.Errorf("%q shows a secret:\n%s", environ, text)
		}
	})
}
