package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/config"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// socketDir is a directory with a name that is short enough.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startAt is start with both listeners at sockets. The public address is that of the upstream's metadata alone.
func startAt(t *testing.T, dir string, up *upstream.Recorder, environ ...string) *served {
	t.Helper()
	up.SetIssuer("http://127.0.0.1:1")
	return start(t, append([]string{"UPSTREAM_URL=" + up.URL, "PUBLIC_URL=http://127.0.0.1:1", "LISTEN_ADDR=unix:" + dir + "/public.sock",
		"ADMIN_ADDR=unix:" + dir + "/admin.sock"}, environ...)...)
}

// dialAt returns what connects to a socket, with a socket of that name; empty means one without.
func dialAt(path, own string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := &net.Dialer{}
		if own != "" {
			d.LocalAddr = &net.UnixAddr{Name: own, Net: "unix"}
		}
		return d.DialContext(ctx, "unix", path)
	}
}

// ask sends a GET to a socket, and returns the status; zero when there was no answer.
func ask(t *testing.T, path, target string, change ...func(*http.Request)) (status int) {
	t.Helper()
	return askAs(t, dialAt(path, ""), target, change...)
}

func askAs(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), target string, change ...func(*http.Request)) (status int) {
	t.Helper()
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://127.0.0.1:1"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestASocketServesAndGoesWithTheProcess(t *testing.T) {
	t.Parallel()
	dir, up := socketDir(t), upstream.New(t)
	s := startAt(t, dir, up, "TRUSTED_PROXIES=unix")
	admin := []string{"UPSTREAM_URL=" + up.URL, "ADMIN_ADDR=unix:" + dir + "/admin.sock"}
	harness.WaitFor(t, "readiness", func() bool { code, _, _ := call(t, admin, "healthcheck", "-ready"); return code == exitOK })
	if code, stdout, stderr := call(t, admin, "healthcheck"); code != exitOK || !strings.Contains(stdout, `"ok"`) {
		t.Errorf("healthcheck: %d %s%s", code, stdout, stderr)
	}
	if got := ask(t, dir+"/public.sock", "/page"); got != 200 {
		t.Errorf("a page: %d", got)
	}
	for _, name := range []string{"public.sock", "admin.sock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != os.ModeSocket|0o660 { // as the manual says
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	s.stop(errInterrupt)
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
	if code, _, stderr := call(t, admin, "healthcheck"); code != exitFailure || !strings.Contains(stderr, "admin.sock") {
		t.Errorf("healthcheck afterwards: %d %s", code, stderr)
	}
}

func TestASocketMayCarryTLS(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	dir, up := socketDir(t), upstream.New(t)
	startAt(t, dir, up, environ...)
	c, err := net.Dial("unix", dir+"/public.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}).Handshake(); err != nil {
		t.Error(err)
	}
}

// Who comes through the socket is nobody, however its own socket is called, unless sockets are trusted.
func TestWhoComesThroughASocketIsBelievedOnlyWhereTheSettingSaysSo(t *testing.T) {
	up := upstream.New(t)
	dirs := map[string]string{"": socketDir(t), "unix": socketDir(t), "10.0.0.0/8": socketDir(t)}
	for trusted, dir := range dirs {
		startAt(t, dir, up, "TRUSTED_PROXIES="+trusted, "LOG_LEVEL=debug")
	}
	t.Chdir(socketDir(t)) // a name that looks like an address is one of this directory
	for trusted, want := range map[string]string{"": "", "unix": "203.0.113.7", "10.0.0.0/8": ""} {
		for _, own := range []string{"", "10.0.0.1:80"} {
			os.Remove("10.0.0.1:80")
			harness.WaitFor(t, "an answer", func() bool {
				os.Remove("10.0.0.1:80")
				return askAs(t, dialAt(dirs[trusted]+"/public.sock", own), "/page", func(r *http.Request) {
					r.Header["X-Forwarded-For"] = []string{"203.0.113.7"}
				}) == 200
			})
			if got := up.Last().Header.Get("X-Forwarded-For"); got != want {
				t.Errorf("TRUSTED_PROXIES=%s, from %q: the upstream is told %q", trusted, own, got)
			}
		}
	}
}

// One process ends its last requests while the next one serves already, at the same path.
func TestTheNextProcessTakesTheSocketWhileTheLastOneDrains(t *testing.T) {
	t.Parallel()
	arrived, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Handlers["/slow"] = func(http.ResponseWriter, *http.Request) { close(arrived); <-released }
	})
	dir := socketDir(t)
	path := dir + "/public.sock"
	first := startAt(t, dir, up)
	harness.WaitFor(t, "the first", func() bool { return ask(t, path, "/page") == 200 })
	status := make(chan int, 1)
	go func() { status <- ask(t, path, "/slow") }()
	<-arrived
	first.stop(nil) // SIGTERM
	harness.WaitFor(t, "the listener to close", func() bool { _, err := os.Stat(path); return errors.Is(err, os.ErrNotExist) })
	startAt(t, dir, up, "ADMIN_ADDR=off")
	harness.WaitFor(t, "the next one", func() bool { return ask(t, path, "/page") == 200 })
	release()
	if got := <-status; got != 200 {
		t.Errorf("the request in flight: %d", got)
	}
	if code := first.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, first.logs)
	}
	if got := ask(t, path, "/page"); got != 200 {
		t.Errorf("once the first one has ended: %d", got)
	}
}

func TestOnlyADeadSocketIsTakenAway(t *testing.T) {
	t.Parallel()
	dir := socketDir(t)
	listen := func(name string) (net.Listener, error) {
		l, err := openListener(config.Addr("unix:" + dir + "/" + name))
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return l, err
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/dead", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dead", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"file": "is not a socket", "link": "is not a socket", "none/x": "no such file"} {
		if _, err := listen(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	first, err := listen("dead")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen("dead"); err == nil || !strings.Contains(err.Error(), "another process serves at") {
		t.Errorf("while one serves: %v", err)
	}

	// Somebody takes the file away, and another process puts its own there.
	if err := os.Remove(dir + "/dead"); err != nil {
		t.Fatal(err)
	}
	if _, err := listen("dead"); err != nil {
		t.Fatal(err)
	}
	first.Close()
	first.Close()
	c, err := net.DialTimeout("unix", dir+"/dead", time.Second)
	if err != nil {
		t.Fatalf("the first one has taken the other's socket away: %v", err)
	}
	c.Close()
}
