package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pargate/config"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestAnInterruptSkipsTheDelay(t *testing.T) {
	t.Parallel()
	s := start(t, "UPSTREAM_URL=http://127.0.0.1:1", "SHUTDOWN_DELAY=5m")
	s.stop(errInterrupt)
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

// For as long as others may still believe that this process takes requests, it does, and sends each client to another
// connection, which whoever distributes them gives to another process.
func TestATerminationIsServedThroughItsDelay(t *testing.T) {
	t.Parallel()
	up := upstream.New(t)
	s := start(t, "UPSTREAM_URL="+up.URL, "SHUTDOWN_DELAY=2s")
	up.SetIssuer(s.public)
	s.waitReady(t)
	if res := fetch(t, s.public+"/page"); res.Close || res.StatusCode != 200 {
		t.Errorf("before the stop: %d, Connection: close = %v", res.StatusCode, res.Close)
	}
	began := time.Now()
	s.stop(nil) // SIGTERM
	harness.WaitFor(t, "readiness to fail", func() bool {
		status, body := getText(t, s.admin+"/readyz")
		return status == 503 && strings.Contains(body, "stopping")
	})
	for _, path := range []string{"/page", "/.well-known/openid-configuration", "/par"} {
		if res := fetch(t, s.public+path); !res.Close || res.StatusCode >= 500 {
			t.Errorf("%s while stopping: %d, Connection: close = %v", path, res.StatusCode, res.Close)
		}
	}
	if status, _ := getText(t, s.admin+"/livez"); status != 200 {
		t.Errorf("livez while stopping: %d", status)
	}
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it ended after %v", took)
	}
}

// fetch sends one request on a connection that it would keep.
func fetch(t *testing.T, address string) *http.Response {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res
}

func TestARequestThatNeverEndsIsCutAtTheTimeout(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Handlers["/endless"] = func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		}
	})
	s := start(t, "UPSTREAM_URL="+up.URL, "SHUTDOWN_TIMEOUT=1s")
	up.SetIssuer(s.public)
	s.waitReady(t)
	cut := make(chan error, 1)
	go func() {
		_, _, err := get(context.Background(), s.public+"/endless")
		cut <- err
	}()
	<-arrived
	began := time.Now()
	s.stop(nil)
	if code := s.wait(t); code != exitFailure || !strings.Contains(s.logs.String(), "requests were still in flight") {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
	if took := time.Since(began); took < time.Second || took > 10*time.Second {
		t.Errorf("it ended after %v", took)
	}
	if err := <-cut; err == nil {
		t.Error("the request was answered")
	}
}

// serving is the inside of the program, on listeners that the test has in its hands.
type serving struct {
	gateway   *gateway
	listeners []listener
	logs      *logBuffer
	stop      context.CancelCauseFunc
	ended     chan error
}

func serveInside(t *testing.T, environ ...string) *serving {
	t.Helper()
	cfg := load(t, append([]string{"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "LOG_FORMAT=json"}, environ...)...)
	s := &serving{logs: &logBuffer{}, ended: make(chan error, 1)}
	log := newLogger(cfg, s.logs)
	var err error
	if s.gateway, err = build(cfg, log); err != nil {
		t.Fatal(err)
	}
	if s.listeners, err = listen(cfg); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancelCause(context.Background())
	t.Cleanup(func() { s.stop(errInterrupt) })
	go func() { s.ended <- serveOn(ctx, s.listeners, cfg, s.gateway, log) }()
	harness.WaitFor(t, "the listeners", func() bool { return s.logs.field("listening", "public") != "" })
	return s
}

func load(t testing.TB, environ ...string) *config.Config {
	t.Helper()
	cfg, _, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func (s *serving) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("serving does not end:\n%s", s.logs)
		return nil
	}
}

func TestAListenerThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	for i, setting := range []string{"LISTEN_ADDR", "ADMIN_ADDR"} {
		for _, stopping := range []bool{false, true} {
			s := serveInside(t, "UPSTREAM_URL=http://127.0.0.1:1", "SHUTDOWN_DELAY=5m")
			if stopping {
				s.stop(nil)
				harness.WaitFor(t, "the delay", func() bool { return strings.Contains(s.logs.String(), "still serving") })
			}
			s.listeners[i].Close()
			if err := s.wait(t); err == nil || !strings.Contains(err.Error(), setting) {
				t.Errorf("%s, stopping=%v: %v", setting, stopping, err)
			}
			if _, err := net.Dial("tcp", s.listeners[1-i].Addr().String()); err == nil {
				t.Errorf("%s, stopping=%v: the other listener is still open", setting, stopping)
			}
		}
	}
}

// What runs in the background uses the store, which is closed next. Not parallel: it looks at all goroutines.
func TestNothingRunsInTheBackgroundOnceServingHasEnded(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing: a Redis that is stalled
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	clients := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(clients, []byte(harness.Clients), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveInside(t, "UPSTREAM_URL=http://"+silent.Addr().String(), "CLIENTS_FILE="+clients, "REDIS_URL=redis://"+silent.Addr().String())
	background := []string{"(*Server).Run", "(*gateway).watchClients", "(*redisWatch).run"}
	harness.WaitFor(t, "the background", func() bool {
		for _, name := range background {
			if !strings.Contains(stacks(), name) {
				return false
			}
		}
		return true
	})
	s.stop(errInterrupt)
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
	for _, name := range background {
		if strings.Contains(stacks(), name) {
			t.Errorf("%s still runs", name)
		}
	}
	s.gateway.server.Store.Close()
}

func stacks() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}
