package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// call runs the program with these settings until it ends.
func call(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs logBuffer
	code = run(t.Context(), args, environ, &out, &errs)
	return code, out.String(), errs.String()
}

func TestWrongSettingsEndTheProgramWithAllOfThem(t *testing.T) {
	t.Parallel()
	code, _, stderr := call(t, []string{"UPSTREAM_URL=localhost:1", "PAR_TTL=1s", "TRUSTED_PROXYS=10.0.0.1"})
	if code != exitConfig || !strings.Contains(stderr, "3 problems") || !strings.Contains(stderr, "did you mean http://localhost:1") {
		t.Errorf("%d %s", code, stderr)
	}
	if code, _, stderr := call(t, nil); code != exitConfig || !strings.Contains(stderr, "UPSTREAM_URL") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestABrokenClientFileEndsTheProgram(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(file, []byte(`[{"client_id": "web", "client_secret": "t0psecret", "jwks": {}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", "CLIENTS_FILE=" + file}, "check")
	if code != exitConfig || !strings.Contains(stderr, "jwks") || strings.Contains(stderr, "t0psecret") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		code   int
		output string
	}{
		{[]string{"version"}, exitOK, "pargate "},
		{[]string{"--version"}, exitOK, "pargate "},
		{[]string{"help"}, exitOK, "healthcheck"},
		{[]string{"help", "env"}, exitOK, "UPSTREAM_URL"},
		{[]string{"check"}, exitOK, "ok    the configuration is valid"},
		{[]string{"check", "extra"}, exitConfig, "unexpected argument"},
		{[]string{"check", "-nope"}, exitConfig, "not defined"},
		{[]string{"chek"}, exitConfig, "pargate help"},
	} {
		code, stdout, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1"}, c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.output) {
			t.Errorf("%v: %d %s%s", c.args, code, stdout, stderr)
		}
	}
}

// served is a pargate that serves.
type served struct {
	public, admin string
	environ       []string
	logs          *logBuffer
	stop          context.CancelCauseFunc
	ended         chan int
}

// logBuffer collects what the program writes. It is locked because the Redis library logs for the whole process, to
// whichever program of these tests has started last, also when that has ended.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// field returns a field of the first line with this message.
func (l *logBuffer) field(message, name string) string {
	for line := range strings.Lines(l.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			return fmt.Sprint(entry[name])
		}
	}
	return ""
}

func start(t *testing.T, environ ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &served{logs: &logBuffer{}, stop: cancel, ended: make(chan int, 1)}
	environ = append([]string{"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "SHUTDOWN_DELAY=0s"}, environ...)
	go func() { s.ended <- run(ctx, nil, environ, io.Discard, s.logs) }()
	t.Cleanup(func() {
		cancel(errInterrupt)
		select {
		case code := <-s.ended:
			s.ended <- code
		case <-time.After(30 * time.Second):
			t.Error("the program does not end")
		}
	})
	harness.WaitFor(t, "the listeners", func() bool { return s.logs.field("listening", "public") != "" })
	s.public, s.admin = "http://"+s.logs.field("listening", "public"), "http://"+s.logs.field("listening", "admin")
	s.environ = append(environ, "ADMIN_ADDR="+strings.TrimPrefix(s.admin, "http://"))
	return s
}

// waitReady waits until the program says of itself that it is ready.
func (s *served) waitReady(t *testing.T) {
	t.Helper()
	harness.WaitFor(t, "readiness", func() bool { status, _ := getText(t, s.admin+"/readyz"); return status == 200 })
}

// wait returns the exit code once the program has ended.
func (s *served) wait(t *testing.T) int {
	t.Helper()
	select {
	case code := <-s.ended:
		s.ended <- code // for the cleanup
		return code
	case <-time.After(20 * time.Second):
		t.Fatalf("the program does not end:\n%s", s.logs)
		return 0
	}
}

func getText(t *testing.T, address string) (int, string) {
	t.Helper()
	status, body, err := get(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

func TestServeLearnsServesAndEnds(t *testing.T) {
	t.Parallel()
	up := upstream.New(t)
	s := start(t, "UPSTREAM_URL="+up.URL, "AUTHORIZE_PATH=/authorize", "TOKEN_PATH=/token")
	// The upstream has no metadata under the name that it is asked by, until it knows its public one.
	up.SetIssuer(s.public)
	s.waitReady(t)
	if status, body := getText(t, s.admin+"/livez"); status != 200 || !strings.Contains(body, `"ok"`) {
		t.Errorf("livez: %d %s", status, body)
	}
	if status, body := getText(t, s.public+"/.well-known/openid-configuration"); status != 200 || !strings.Contains(body, s.public+"/par") {
		t.Errorf("metadata: %d %s", status, body)
	}
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "-ready"}} {
		if code, _, stderr := call(t, s.environ, args...); code != exitOK {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
	if code, stdout, stderr := call(t, s.environ, "check", "--connect"); code != exitOK || !strings.Contains(stdout, "issuer "+s.public) {
		t.Errorf("check --connect: %d %s%s", code, stdout, stderr)
	}
	s.stop(errInterrupt)
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

func TestAnUpstreamThatIsNotUpIsNoCrash(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	s := start(t, "UPSTREAM_URL=http://"+address, "PAR_REQUIRED=true")
	if status, body := getText(t, s.admin+"/readyz"); status != 503 || !strings.Contains(body, "upstream") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, _ := getText(t, s.admin+"/livez"); status != 200 {
		t.Errorf("livez: %d", status)
	}
	if status, _ := getText(t, s.public+"/anything"); status != 503 {
		t.Errorf("a request before the endpoints are known: %d", status)
	}
	if code, _, _ := call(t, s.environ, "healthcheck", "-ready"); code != exitFailure {
		t.Errorf("healthcheck -ready: %d", code)
	}
	if code, stdout, _ := call(t, s.environ, "check", "--connect"); code != exitFailure || !strings.Contains(stdout, "fail  upstream") {
		t.Errorf("check --connect: %d %s", code, stdout)
	}
	harness.WaitFor(t, "some retries", func() bool { return strings.Count(s.logs.String(), "upstream is not known yet") > 0 })
	listener, err = net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	document := fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":%q}`, s.public, s.public+"/authorize")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, document) })}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	s.waitReady(t)
	if n := strings.Count(s.logs.String(), "upstream is not known yet"); n != 1 {
		t.Errorf("%d lines about one trouble:\n%s", n, s.logs)
	}
}

func TestStopWaitsForRequestsInFlight(t *testing.T) {
	t.Parallel()
	arrived, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Handlers["/slow"] = func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-released
			io.WriteString(w, "done")
		}
	})
	s := start(t, "UPSTREAM_URL="+up.URL, "SHUTDOWN_DELAY=50ms")
	up.SetIssuer(s.public)
	s.waitReady(t)
	answer := make(chan string, 1)
	go func() {
		_, body, err := get(context.Background(), s.public+"/slow")
		answer <- fmt.Sprint(body, err)
	}()
	<-arrived
	s.stop(nil) // SIGTERM
	harness.WaitFor(t, "readiness to fail", func() bool {
		status, body, err := get(t.Context(), s.admin+"/readyz")
		return err != nil || status == 503 && strings.Contains(body, "stopping")
	})
	harness.WaitFor(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.public, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	release()
	if got := <-answer; got != "done<nil>" {
		t.Errorf("the request in flight got %s", got)
	}
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

func TestListenersThatCannotBeOpenedAreNamed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().String()
	for _, name := range []string{"LISTEN_ADDR", "ADMIN_ADDR"} {
		environ := []string{"UPSTREAM_URL=http://127.0.0.1:1", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0"}
		code, _, stderr := call(t, append(environ, name+"="+taken))
		if code != exitFailure || !strings.Contains(stderr, name) {
			t.Errorf("%d %s", code, stderr)
		}
	}
}
