package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pargate/pushstore/storetest"
	"pargate/test/harness"
)

// What must not be in a log, whatever its level: it opens something, or it is what was pushed.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, redisUser...)
	environ := []string{"LOG_LEVEL=debug", "REDIS_KEY_PREFIX=gate:", "REDIS_URL=redis://gate:g%40te%3Apw@" + server.Addr}
	s, p := logIn(t, environ...)
	browser := harness.NewBrowser(s.public)
	var told strings.Builder
	note := func(res harness.Response) { fmt.Fprintln(&told, res.Status, res.Header, res.Body) }
	note(browser.Get(t, harness.Short("web", p.requestURI))) // another browser
	badPush := func() harness.Response {
		return browser.Post(t, "/par", harness.Form().Encode(), func(r *http.Request) { r.SetBasicAuth("web", "gu3ssed") })
	}
	note(badPush())
	server.Stop()
	note(browser.Post(t, "/par", harness.Form().Encode(), func(r *http.Request) { r.SetBasicAuth("web", "s3cret") }))
	note(browser.Get(t, harness.Short("web", p.requestURI)))
	_, readiness := getText(t, s.admin+"/readyz")
	for _, args := range [][]string{{"check"}, {"check", "--connect"}, {"healthcheck", "-ready"}} {
		_, stdout, stderr := call(t, append(s.environ, environ...), args...)
		fmt.Fprintln(&told, stdout, stderr)
	}
	s.stop(errInterrupt)
	s.wait(t)
	logs := s.logs.String()
	if !strings.Contains(logs, `"level":"debug"`) || !strings.Contains(logs, `"path":"/par"`) {
		t.Errorf("the log has not what this test reads:\n%s", logs)
	}
	reference := p.requestURI[strings.LastIndex(p.requestURI, ":")+1:]
	for _, secret := range []string{"g@te", "g%40te", "s3cret", "gu3ssed", reference, "st4te", "c0de", "E9Melhoa2Owv", "p%E4ss"} {
		if strings.Contains(logs, secret) {
			t.Errorf("the log has %s:\n%s", secret, logs)
		}
	}
	for _, secret := range []string{"g@te", "g%40te", "s3cret", "gu3ssed"} {
		if strings.Contains(told.String()+readiness, secret) {
			t.Errorf("it tells %s:\n%s%s", secret, &told, readiness)
		}
	}
}

func TestNoSecretIsInAComplaint(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"REDIS_URL=redis://gate:hunter2/@h"},
		{"REDIS_URL=gate:hunter2@h:6379"},
		{"REDIS_URL=redis://gate:hunter2@h:6379/zero"},
		{"REDIS_URL=http://gate:hunter2@h"},
		{"REDIS_URL=redis://h", "REDIS_PASSWORD=hunter2", "REDIS_PASSWORD_FILE=/dev/null"},
		{"REDIS_PASSWORD=hunter2"},
		{"UPSTREAM_URL=http://gate:hunter2@h"},
		{"CLIENTS_FILE=" + writeFile(t, `[{"client_id": "web", "client_secret": "hunter2", "client_secret": 7}]`)},
		{"CLIENTS_FILE=" + writeFile(t, `[{"client_id": "web", "client_secret": "hunter2"`)},
		{"CLIENTS_FILE=" + writeFile(t, `{"client_id": "web", "client_secret": "hunter2"}`)},
	} {
		for _, verb := range []string{"check", "serve", "healthcheck"} {
			code, stdout, stderr := call(t, append([]string{"UPSTREAM_URL=http://127.0.0.1:1", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:1"}, environ...), verb)
			if verb != "healthcheck" && code != exitConfig {
				t.Errorf("%s with %v: %d", verb, environ, code)
			}
			if strings.Contains(stdout+stderr, "hunter2") {
				t.Errorf("%s with %v tells: %s%s", verb, environ, stdout, stderr)
			}
		}
	}
}
