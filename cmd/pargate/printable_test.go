package main

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"unicode"

	"go.uber.org/zap"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// steering is what terminals and readers of lines take for more than text: an escape sequence in both of its spellings, ends
// of lines that are none of ASCII, a change of direction, and a tag beyond 16 bits.
const steering = "\x1b[31m\u009b31m\u2028\u2029\u0085\u202e\x7f\U000e0041 \u00b5\u00fc"

func steers(line string) bool {
	return strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) && c != '\t' })
}

func TestNothingInTheLogIsMoreThanText(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "console"} {
		var logs logBuffer
		log := newLogger(load(t, "UPSTREAM_URL=http://127.0.0.1:1", "LOG_FORMAT="+format), &logs)
		log.Info("message "+steering, zap.String("field", steering), zap.Strings("several", []string{steering}))
		line := strings.TrimSuffix(logs.String(), "\n")
		if steers(line) || !strings.Contains(line, `\u009b31m\u2028\u2029\u0085\u202e\u007f\udb40\udc41 µü`) {
			t.Errorf("%s: %+q", format, line)
		}
		var read struct{ Field string }
		if err := json.Unmarshal([]byte(line[strings.Index(line, "{"):]), &read); err != nil || read.Field != steering {
			t.Errorf("%s: %v, read as %+q", format, err, read.Field)
		}
	}
}

// A path may have any bytes above those of ASCII.
func TestALineAboutARequestIsOneLine(t *testing.T) {
	t.Parallel()
	up := upstream.New(t, func(r *upstream.Recorder) { r.Issuer = r.URL })
	s := start(t, "UPSTREAM_URL="+up.URL)
	s.waitReady(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /authorize/\u2028{\"level\":\"error\"}\u009b31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	io.Copy(io.Discard, c)
	harness.WaitFor(t, "the line", func() bool {
		return strings.Contains(s.logs.String(), `"path":"/authorize/\u2028{\"level\":\"error\"}\u009b31m"`)
	})
}

// What an authorization server publishes, or answers with, is printed on a terminal.
func TestNothingThatCheckPrintsIsMoreThanText(t *testing.T) {
	t.Parallel()
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Issuer = r.URL
		r.Metadata = map[string]string{"/.well-known/openid-configuration": r.Document(`,"revocation_endpoint":"` + r.URL + `/r\u009b31m\u2028\u202e"`)}
	})
	environ := []string{"UPSTREAM_URL=" + up.URL}
	_, lines, _ := call(t, environ, "check", "-connect")
	for line := range strings.Lines(lines) {
		if steers(strings.TrimSuffix(line, "\n")) {
			t.Errorf("%+q", line)
		}
	}
	if !strings.Contains(lines, `/r\u009b31m\u2028\u202e`) {
		t.Errorf("%+q", lines)
	}
	c, stdout := checkJSON(t, environ, "-connect")
	if !strings.Contains(stdout, `/r\u009b31m\u2028\u202e`) || !strings.Contains(c.text(aboutEndpoint), "/r\u009b31m\u2028\u202e") {
		t.Errorf("%+q", stdout)
	}
	var f findings
	var out strings.Builder
	f.lines = &out
	f.fail(aboutUpstream, "", "two\nlines\r", "")
	if got, want := out.String(), `fail  two\u000alines\u000d`+"\n"; got != want {
		t.Errorf("%q", got)
	}
}
