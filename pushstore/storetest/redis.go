package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ErrNoRedis means that redis-server is not on PATH.
var ErrNoRedis = errors.New("redis-server not on PATH")

// RedisServer is a real redis-server of the test's own, on a free port of the loopback interface. It keeps nothing.
type RedisServer struct {
	Addr string // host:port

	args []string
	dir  string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// StartRedis starts a redis-server with args, like "--maxmemory", "4mb", and stops it when the test is over. Without
// redis-server the test is skipped; where CI is true in the environment it fails instead, so that a pipeline cannot
// quietly lose its tests against Redis.
func StartRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	s, err := LaunchRedis(args...)
	if errors.Is(err, ErrNoRedis) {
		if os.Getenv("CI") == "true" {
			t.Fatal("real redis: redis-server not on PATH")
		}
		t.Skip("real redis: skipped (redis-server not on PATH)")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// LaunchRedis is StartRedis without a test; the caller closes the server. It returns ErrNoRedis when there is none.
func LaunchRedis(args ...string) (*RedisServer, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrNoRedis
	}
	dir, err := os.MkdirTemp("", "pargate-redis-")
	if err != nil {
		return nil, err
	}
	s := &RedisServer{args: args, dir: dir}
	for range 5 { // another process may take the port between our looking and Redis' binding
		if s.Addr, err = freeAddr(); err != nil {
			break
		}
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	os.RemoveAll(dir)
	return nil, err
}

// URL is the server's address as a configuration has it.
func (s *RedisServer) URL() string { return "redis://" + s.Addr }

// Start starts the server again at the same address, empty, after Stop. It returns when the server answers.
func (s *RedisServer) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	host, port, _ := net.SplitHostPort(s.Addr)
	args := append([]string{"--bind", host, "--port", port, "--dir", s.dir, "--save", "", "--appendonly", "no"}, s.args...)
	cmd := exec.Command("redis-server", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	s.cmd, s.done = cmd, done
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		select {
		case <-done:
			return fmt.Errorf("redis-server ended: %s", strings.TrimSpace(out.String()))
		default:
		}
		if answers(s.Addr) {
			return nil
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			<-done
			return fmt.Errorf("redis-server does not answer: %s", strings.TrimSpace(out.String()))
		}
	}
}

// Stop kills the server, as a crash does, and returns when it is gone.
func (s *RedisServer) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd.Process.Kill() // also ends a stalled process
	<-s.done
}

// Stall makes the server keep its connections and answer nothing, until Resume.
func (s *RedisServer) Stall() { s.signal(syscall.SIGSTOP) }

// Resume ends Stall.
func (s *RedisServer) Resume() { s.signal(syscall.SIGCONT) }

// Close stops the server and removes its directory.
func (s *RedisServer) Close() {
	s.Stop()
	os.RemoveAll(s.dir)
}

func (s *RedisServer) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd.Process.Signal(sig)
}

// answers reports whether a Redis that has loaded is at addr; a refusal for want of a password is an answer too.
func answers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	var reply [64]byte
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, _ := c.Read(reply[:])
	return n > 0 && !bytes.HasPrefix(reply[:n], []byte("-LOADING"))
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
