package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"pargate/test/harness"
)

// gateway is one process of the program. It may be ended and started again, at the same addresses.
type gateway struct {
	addr, admin string // host:port
	environ     []string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	logs *tail
}

// startGateways starts n gateways in front of up, where only what was pushed may begin a login, and waits until they
// are ready. They end with the test.
func startGateways(t *testing.T, n int, up *judge, environ ...string) []*gateway {
	t.Helper()
	clients := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(clients, []byte(harness.Clients), 0o600); err != nil {
		t.Fatal(err)
	}
	environ = append([]string{"UPSTREAM_URL=" + up.url, "CLIENTS_FILE=" + clients, "CLIENT_AUTH=file", "PAR_REQUIRED=true",
		"PAR_TTL=599s", "RATE_LIMIT=off", "LOG_LEVEL=error"}, environ...)
	var all []*gateway
	for range n {
		g := &gateway{addr: fixedAddr(t), admin: fixedAddr(t), environ: environ}
		g.start(t)
		t.Cleanup(g.kill)
		all = append(all, g)
	}
	for _, g := range all {
		g.waitReady(t)
	}
	return all
}

// start starts the process. Its environment is the settings alone.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	g.logs = &tail{}
	g.cmd = exec.Command(file)
	g.cmd.Env = append([]string{"LISTEN_ADDR=" + g.addr, "ADMIN_ADDR=" + g.admin}, g.environ...)
	g.cmd.Stderr = g.logs
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := g.cmd, make(chan struct{})
	g.done = done
	go func() {
		defer close(done)
		cmd.Wait()
	}()
}

func (g *gateway) waitReady(t *testing.T) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	within(t, "the gateway to be ready", func() bool {
		select {
		case <-g.done:
			t.Fatalf("the gateway has ended: %s", g.logs)
		default:
		}
		res, err := client.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// terminate ends the process as an orchestrator does, and waits until it has ended well.
func (g *gateway) terminate(t *testing.T) {
	t.Helper()
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("the gateway does not end: %s", g.logs)
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gateway has ended with %d: %s", code, g.logs)
	}
}

func (g *gateway) kill() {
	g.cmd.Process.Kill()
	<-g.done
}

// addresses are where the gateways serve.
func addresses(all []*gateway) (addrs []string) {
	for _, g := range all {
		addrs = append(addrs, g.addr)
	}
	return addrs
}

var given struct {
	sync.Mutex
	ports []int
}

// fixedAddr is a free address that stays free while nobody listens there: its port is none of those that the system
// gives to outgoing connections.
func fixedAddr(t *testing.T) string {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 100 {
		port := 15_000 + rand.IntN(15_000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil || slices.Contains(given.ports, port) {
			continue
		}
		l.Close()
		given.ports = append(given.ports, port)
		return addr
	}
	t.Fatal("no free port")
	return ""
}

// within polls until ok, for a minute at most: the machine may have other things to do.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// tail keeps the last of what is written.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const tailKept = 8 << 10

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	l.text.Next(max(0, l.text.Len()-tailKept))
	return len(b), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
