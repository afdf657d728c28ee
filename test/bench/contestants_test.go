package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pargate/test/redisserver"
)

// contestant is a server whose cost is measured.
type contestant struct {
	name        string
	addr        string                                 // host:port
	pid         int                                    // of the process, or of the parent of all
	allocations func() (float64, error)                // how many objects it has allocated; nil: it does not tell
	requests    map[string]func(n int) (source, error) // makes n requests of a scenario; one that is not there it cannot do
}

// site is what the contestants have in common.
type site struct {
	redis    *redisserver.Server
	upstream *legacy
	dir      string
}

// startProgram starts a program that ends with the test, and waits until it answers at addr. What it prints goes to a file, as
// that of a service does.
func (s *site) startProgram(t *testing.T, name, addr string, environ []string, program string, args ...string) *contestant {
	t.Helper()
	file, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, environ, file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-done
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := dial(addr); err == nil {
			status, err := c.send(get(addr, "/userinfo"))
			c.Close()
			if err == nil && status == http.StatusOK {
				break
			}
		}
		select {
		case <-done:
			t.Fatalf("%s has ended: %s", name, lastOf(file.Name()))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %s", name, lastOf(file.Name()))
		}
	}
	return &contestant{name: name, addr: addr, pid: cmd.Process.Pid}
}

func lastOf(file string) string {
	text, _ := os.ReadFile(file)
	return string(text[max(0, len(text)-2000):])
}

// build builds a program as it is released, but for more.
func build(t *testing.T, dir, name string, more ...string) (file string) {
	t.Helper()
	file = filepath.Join(dir, filepath.Base(name))
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", file}, more...), name)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// startGateway starts the program in a file, with the settings of a real site: registered clients, Redis, metrics, the log at
// its default level, a limit of pushes (that is not reached).
func (s *site) startGateway(t *testing.T, name, file string, environ ...string) *contestant {
	t.Helper()
	addr, admin := freeAddr(t), freeAddr(t)
	clients := filepath.Join(s.dir, "clients.json")
	if err := os.WriteFile(clients, []byte(registry()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := s.startProgram(t, name, addr, append([]string{"LISTEN_ADDR=" + addr, "ADMIN_ADDR=" + admin, "PUBLIC_URL=http://" + addr,
		"UPSTREAM_URL=" + s.upstream.URL, "CLIENTS_FILE=" + clients, "REDIS_URL=" + s.redis.URL(), "PAR_TTL=599s",
		"RATE_LIMIT=1000000/s", "SHUTDOWN_DELAY=0"}, environ...), file)
	s.waitReady(t, name, admin)
	c.allocations = func() (float64, error) {
		res, err := http.Get("http://" + admin + "/metrics")
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if count, found := strings.CutPrefix(lines.Text(), "go_memstats_mallocs_total "); found {
				return strconv.ParseFloat(count, 64)
			}
		}
		return 0, fmt.Errorf("%s does not count its allocations", name)
	}
	c.requests = c.askedOfGateway()
	return c
}

func (s *site) waitReady(t *testing.T, name, admin string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + admin + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %s", name, lastOf(filepath.Join(s.dir, name+".log")))
		}
	}
}

func (s *site) startBare(t *testing.T) *contestant {
	t.Helper()
	addr := freeAddr(t)
	c := s.startProgram(t, "bare", addr, nil, build(t, s.dir, "pargate/test/bench/bare"), "-listen", addr, "-redis", s.redis.Addr,
		"-upstream", s.upstream.URL)
	c.allocations = func() (count float64, err error) {
		res, err := http.Get("http://" + addr + "/allocations")
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		err = json.NewDecoder(res.Body).Decode(&count)
		return count, err
	}
	c.requests = c.askedOfBare()
	return c
}

var given struct {
	sync.Mutex
	addrs map[string]bool
}

// freeAddr is an address that nobody listens at, and that is given once.
func freeAddr(t *testing.T) string {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	if given.addrs == nil {
		given.addrs = map[string]bool{}
	}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		if !given.addrs[addr] {
			given.addrs[addr] = true
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
