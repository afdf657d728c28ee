package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// startAndStop runs the program for a moment, and returns what it logs.
func startAndStop(t *testing.T, environ ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupt)
	var stdout, stderr logBuffer
	environ = append([]string{"UPSTREAM_URL=http://127.0.0.1:1", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0"}, environ...)
	if code := run(ctx, nil, environ, &stdout, &stderr); code != exitOK || stdout.String() != "" {
		t.Errorf("%d %s%s", code, &stdout, &stderr)
	}
	return stderr.String()
}

// matchLines reports whether there is a match in text for each pattern.
func matchLines(text string, patterns ...string) bool {
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(text) {
			return false
		}
	}
	return true
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		level      string
		info, warn bool
	}{{"", true, true}, {"debug", true, true}, {"info", true, true}, {"warn", false, true}, {"error", false, false}} {
		logs := startAndStop(t, "LOG_LEVEL="+c.level)
		if info, warn := strings.Contains(logs, `"level":"info"`), strings.Contains(logs, `"level":"warn"`); info != c.info || warn != c.warn {
			t.Errorf("%q: info %v, warn %v:\n%s", c.level, info, warn, logs)
		}
	}
	var logs bytes.Buffer
	for _, level := range []string{"debug", "info"} {
		newLogger(load(t, "UPSTREAM_URL=http://127.0.0.1:1", "LOG_LEVEL="+level), &logs).Debug("at " + level)
	}
	if !strings.Contains(logs.String(), "at debug") || strings.Contains(logs.String(), "at info") {
		t.Errorf("debug lines: %s", &logs)
	}
}

func TestLogFormat(t *testing.T) {
	t.Parallel()
	for format, isJSON := range map[string]bool{"": true, "auto": true, "json": true, "console": false} {
		logs := startAndStop(t, "LOG_FORMAT="+format)
		for line := range strings.Lines(logs) {
			var entry struct{ Level, Time, Msg string }
			err := json.Unmarshal([]byte(line), &entry)
			if isJSON && (err != nil || entry.Level == "" || entry.Time == "" || entry.Msg == "") {
				t.Errorf("%q: %v: %s", format, err, line)
			}
			if !isJSON && (err == nil || !matchLines(line, `^\d{4}-\d\d-\d\dT\S+\t(INFO|WARN)\t\w`)) {
				t.Errorf("%q: %s", format, line)
			}
		}
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	newLogger(load(t, "UPSTREAM_URL=http://127.0.0.1:1"), file).Info("hello")
	text, err := os.ReadFile(file.Name())
	if err != nil || !json.Valid(text) {
		t.Errorf("%v %s", err, text)
	}
}

func TestWhatIsRiskyIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	logs := startAndStop(t, "TRUSTED_PROXIES=::/0")
	for setting, text := range map[string]string{"REDIS_URL": "kept in memory", "TRUSTED_PROXIES": "trusts every address"} {
		if !matchLines(logs, `"level":"warn".*"msg":"`+setting+` .*`+text+`.*"setting":"`+setting+`"`) {
			t.Errorf("no warning about %s:\n%s", setting, logs)
		}
	}
	if logs := startAndStop(t, "REDIS_URL=redis://127.0.0.1:1", "CLIENTS_FILE="+writeFile(t, "[]")); strings.Contains(logs, `"setting"`) {
		t.Errorf("warnings without a reason:\n%s", logs)
	}
}
