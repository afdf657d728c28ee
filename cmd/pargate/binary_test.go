package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// What only a process of its own shows: signals, what the linker sets, and the system's certificates.
func TestTheBinary(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"says the version of its release", saysItsVersion},
		{"exits with the code of its verb", exitsWithItsCode},
		{"ends at once at a second signal", endsAtASecondSignal},
		{"skips the delay at an interrupt", skipsTheDelayAtAnInterrupt},
		{"loses no request when it is terminated", losesNoRequest},
		{"reads its files again at a hangup, and loses no request", reloadsAtAHangup},
		{"is not ended by a hangup while it starts", survivesAnEarlyHangup},
		{"reads OpenTelemetry's own variables as every program does", readsStandardVariables},
		{"trusts the system's authorities besides those of the file", trustsTheSystem},
		{"repeats nothing that the upstream says unasked", repeatsNothingUnasked},
		{"lets no library speak in a check", checksInSilence},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, binary)
		})
	}
}

// buildBinary builds the program as it is released.
func buildBinary(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "pargate")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3-test", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return binary
}

// process is the binary at work.
type process struct {
	*exec.Cmd
	*served
}

// startProcess starts the binary with the settings and nothing else in its environment.
func startProcess(t *testing.T, binary string, environ ...string) *process {
	t.Helper()
	p := &process{exec.Command(binary), &served{logs: &logBuffer{}, ended: make(chan int, 1)}}
	p.Env = append([]string{"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0"}, environ...)
	p.Stderr = p.logs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.Wait()
		p.ended <- p.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		p.wait(t)
	})
	harness.WaitFor(t, "the listeners", func() bool { return p.logs.field("listening", "public") != "" })
	p.public, p.admin = "http://"+p.logs.field("listening", "public"), "http://"+p.logs.field("listening", "admin")
	return p
}

func saysItsVersion(t *testing.T, binary string) {
	output, err := exec.CommandContext(t.Context(), binary, "version").Output()
	if want := fmt.Sprintf("pargate 1.2.3-test (%s, %s/%s)\n", runtime.Version(), runtime.GOOS, runtime.GOARCH); err != nil || string(output) != want {
		t.Errorf("%v %s", err, output)
	}
}

func exitsWithItsCode(t *testing.T, binary string) {
	for _, c := range []struct {
		environ []string
		args    []string
		code    int
	}{
		{nil, []string{"version"}, exitOK},
		{nil, []string{"check"}, exitConfig},
		{nil, nil, exitConfig},
		{[]string{"UPSTREAM_URL=http://127.0.0.1:1", "ADMIN_ADDR=127.0.0.1:1"}, []string{"healthcheck"}, exitFailure},
	} {
		cmd := exec.CommandContext(t.Context(), binary, c.args...)
		cmd.Env = append([]string{"PATH="}, c.environ...) // an Env that is empty would be this process's
		if cmd.Run(); cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%v: %v", c.args, cmd.ProcessState)
		}
	}
}

func endsAtASecondSignal(t *testing.T, binary string) {
	for _, second := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := startProcess(t, binary, "UPSTREAM_URL=http://127.0.0.1:1", "SHUTDOWN_DELAY=5m")
		p.Process.Signal(syscall.SIGTERM)
		harness.WaitFor(t, "the delay", func() bool { return strings.Contains(p.logs.String(), "still serving") })
		p.Process.Signal(second)
		if code := p.wait(t); code != exitFailure {
			t.Errorf("%v: ended with %d: %s", second, code, p.logs)
		}
	}
}

func skipsTheDelayAtAnInterrupt(t *testing.T, binary string) {
	p := startProcess(t, binary, "UPSTREAM_URL=http://127.0.0.1:1", "SHUTDOWN_DELAY=5m")
	p.Process.Signal(os.Interrupt)
	if code := p.wait(t); code != exitOK || strings.Contains(p.logs.String(), "still serving") {
		t.Errorf("ended with %d: %s", code, p.logs)
	}
}

// Eight clients keep their connections and open new ones when they are told to, as every HTTP client does. They leave
// half a second after the first such answer: by then a load balancer has seen that the readiness fails.
func losesNoRequest(t *testing.T, binary string) {
	up := upstream.New(t)
	p := startProcess(t, binary, "UPSTREAM_URL="+up.URL, "SHUTDOWN_DELAY=1s")
	up.SetIssuer(p.public)
	p.waitReady(t)
	ctx, leave := context.WithTimeout(t.Context(), 20*time.Second)
	defer leave()
	var clients sync.WaitGroup
	started := make(chan struct{}, 8)
	for range 8 {
		clients.Go(func() {
			if sent, err := sendUntilSentAway(ctx, p.public+"/page", started); err != nil {
				t.Errorf("after %d answers: %v", sent, err)
			}
		})
	}
	for range 8 {
		select {
		case <-started:
		case <-ctx.Done(): // a client has failed, and says so itself
		}
	}
	p.Process.Signal(syscall.SIGTERM)
	clients.Wait()
	if code := p.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, p.logs)
	}
}

// sendUntilSentAway sends a request every ten milliseconds. It reports on started when it has had some answers.
func sendUntilSentAway(ctx context.Context, address string, started chan<- struct{}) (sent int, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var sentAway time.Time
	for sentAway.IsZero() || time.Since(sentAway) < 500*time.Millisecond {
		// A POST whose body the transport does not know how to send again, so that each loss is seen.
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, io.MultiReader(strings.NewReader("hello")))
		if err != nil {
			return sent, err
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return sent, err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != "POST /page" {
			return sent, fmt.Errorf("%s %q: %v", res.Status, body, err)
		}
		if sent++; sent == 5 {
			started <- struct{}{}
		}
		if res.Close && sentAway.IsZero() {
			sentAway = time.Now()
		}
		<-tick.C
	}
	return sent, nil
}

// A client is added and taken away twenty times while others push and browse.
func reloadsAtAHangup(t *testing.T, binary string) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, syscall.SIGHUP) // or the process inherits that it is ignored, under nohup
	defer signal.Stop(taken)
	up := upstream.New(t)
	file := writeFile(t, harness.Clients)
	p := startProcess(t, binary, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+file, "CLIENT_AUTH=file", "RATE_LIMIT=off")
	up.SetIssuer(p.public)
	p.waitReady(t)
	load := steadyLoad(t, p.public, nil)
	known := func() bool {
		return harness.NewBrowser(p.public).Post(t, "/par", harness.Form("client_id", "new").Encode(), func(r *http.Request) { r.SetBasicAuth("new", "n3w") }).Status == 201
	}
	withNew := strings.Replace(harness.Clients, "[", `[{"client_id": "new", "client_secret": "n3w"},`, 1)
	for i := range 20 {
		text := harness.Clients
		if i%2 == 0 {
			text = withNew
		}
		replaceFile(t, file, text, i%4 < 2)
		p.Process.Signal(syscall.SIGHUP)
		harness.WaitFor(t, "the file to be read", func() bool { return strings.Count(p.logs.String(), "client file read again") > i })
		if i%2 == 0 && !known() {
			t.Errorf("after change %d the new client is not known", i)
		}
	}
	load.end(t)
	if !strings.Contains(p.logs.String(), "SIGHUP: reading the files again") {
		t.Error("the signal is not in the log")
	}
	p.Process.Signal(syscall.SIGTERM)
	p.Process.Signal(syscall.SIGINT)
	p.wait(t)
}

// The settings are read from a pipe, so that the process is known to be at that when the signal comes.
func survivesAnEarlyHangup(t *testing.T, binary string) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, syscall.SIGHUP) // or the process inherits that it is ignored, under nohup
	defer signal.Stop(taken)
	up := upstream.New(t)
	pipe := filepath.Join(t.TempDir(), "redis-url")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	logs := &logBuffer{}
	cmd.Env = []string{"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "UPSTREAM_URL=" + up.URL, "REDIS_URL_FILE=" + pipe}
	cmd.Stderr = logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the process has opened it
	if err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGHUP)
	fmt.Fprintln(w, "redis://127.0.0.1:1")
	w.Close()
	harness.WaitFor(t, "the signal to be answered", func() bool { return strings.Contains(logs.String(), "SIGHUP: reading the files again") })
	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, logs)
	}
}

func trustsTheSystem(t *testing.T, binary string) {
	if runtime.GOOS != "linux" {
		t.Log("the system's authorities are not in a file here")
		return
	}
	system, other := newAuthority(t), newAuthority(t)
	up, address := upstreamWithTLS(t, system)
	for _, file := range []string{"", writeFile(t, other.pem)} {
		p := startProcess(t, binary, "UPSTREAM_URL="+address, "UPSTREAM_CA_FILE="+file, "SSL_CERT_FILE="+writeFile(t, system.pem))
		up.SetIssuer(p.public)
		p.waitReady(t)
	}
}

// saysMoreThanAsked is a server that sends a second answer, with a code in it, behind each one that it was asked for.
func saysMoreThanAsked(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				reader := bufio.NewReader(c)
				for {
					if _, err := http.ReadRequest(reader); err != nil {
						return
					}
					io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 302 Found\r\nLocation: https://app.example/cb?code=canary\r\n\r\n")
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// net/http tells the process's own log what comes on a connection on which nothing was asked: a second answer, with its code.
func repeatsNothingUnasked(t *testing.T, binary string) {
	p := startProcess(t, binary, "UPSTREAM_URL="+saysMoreThanAsked(t), "PUBLIC_URL=http://127.0.0.1:1", "AUTHORIZE_PATH=/authorize", "TOKEN_PATH=/token", "LOG_LEVEL=debug")
	fetch(t, p.public+"/page")
	harness.WaitFor(t, "the log", func() bool { return strings.Contains(p.logs.String(), "idle HTTP channel") })
	if text := p.logs.String(); strings.Contains(text, "canary") {
		t.Errorf("%s", text)
	}
	for line := range strings.Lines(p.logs.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of another kind: %s", line)
		}
	}
}

// What the libraries have to say of connections is in the findings, as far as it matters.
func checksInSilence(t *testing.T, binary string) {
	cmd := exec.CommandContext(t.Context(), binary, "check", "-connect")
	cmd.Env = []string{"UPSTREAM_URL=" + saysMoreThanAsked(t), "PUBLIC_URL=http://127.0.0.1:1", "AUTHORIZE_PATH=/authorize", "TOKEN_PATH=/token", "REDIS_URL=redis://127.0.0.1:1"}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if cmd.Run(); stderr.String() != "" || strings.Contains(stdout.String(), "canary") || !strings.Contains(stdout.String(), "\nfail  ") {
		t.Errorf("%v: %s%s", cmd.ProcessState, &stdout, &stderr)
	}
}
