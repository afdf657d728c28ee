package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// health is an admin listener that answers with that status. It returns its port.
func health(t *testing.T, status int) (port string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte("asked for " + r.URL.Path))
	}))
	t.Cleanup(server.Close)
	_, port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return port
}

func TestHealthcheckAsksAtAnAddressThatCanBeDialled(t *testing.T) {
	t.Parallel()
	port := health(t, http.StatusOK)
	for _, host := range []string{"", "0.0.0.0", "[::]", "127.0.0.1", "localhost"} {
		environ := []string{"UPSTREAM_URL=http://127.0.0.1:1", "ADMIN_ADDR=" + host + ":" + port}
		if code, stdout, stderr := call(t, environ, "healthcheck"); code != exitOK || stdout != "asked for /livez" {
			t.Errorf("%q: %d %s%s", host, code, stdout, stderr)
		}
		if code, stdout, stderr := call(t, environ, "healthcheck", "-ready"); code != exitOK || stdout != "asked for /readyz" {
			t.Errorf("%q -ready: %d %s%s", host, code, stdout, stderr)
		}
	}
}

func TestHealthcheckFindsWhatListensEverywhere(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		if l, err := net.Listen("tcp", addr); err != nil { // a machine without IPv6
			t.Logf("%s: %v", addr, err)
			continue
		} else {
			l.Close()
		}
		s := start(t, "UPSTREAM_URL=http://127.0.0.1:1", "ADMIN_ADDR="+addr)
		_, port, _ := net.SplitHostPort(s.logs.field("listening", "admin"))
		environ := append(s.environ, "ADMIN_ADDR="+strings.TrimSuffix(addr, "0")+port)
		if code, stdout, stderr := call(t, environ, "healthcheck"); code != exitOK {
			t.Errorf("%s: %d %s%s", addr, code, stdout, stderr)
		}
	}
}

func TestHealthcheckFailsOnAnyOtherStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{201, 302, 404, 500, 503} {
		environ := []string{"UPSTREAM_URL=http://127.0.0.1:1", "ADMIN_ADDR=127.0.0.1:" + health(t, status)}
		if code, stdout, stderr := call(t, environ, "healthcheck"); code != exitFailure || stdout != "" || !strings.Contains(stderr, "asked for /livez") {
			t.Errorf("%d: %d %s%s", status, code, stdout, stderr)
		}
	}
}

func TestHealthcheckNeedsAnAdminListener(t *testing.T) {
	t.Parallel()
	code, _, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", "ADMIN_ADDR=off"}, "healthcheck")
	if code != exitConfig || !strings.Contains(stderr, "ADMIN_ADDR is off") {
		t.Errorf("%d %s", code, stderr)
	}
	if code, _, stderr := call(t, nil, "healthcheck"); code != exitConfig || !strings.Contains(stderr, "UPSTREAM_URL") {
		t.Errorf("without settings: %d %s", code, stderr)
	}
}
