// Package redisserver starts real Redis servers for tests, on free ports of the loopback interface: one, a master with
// replicas and Sentinels, or a cluster. They keep nothing and end with the test.
package redisserver

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ErrNoRedis means that redis-server is not on PATH.
var ErrNoRedis = errors.New("redis-server not on PATH")

// Server is one redis-server.
type Server struct {
	Addr string // host:port

	args     []string
	tls      bool   // speaks nothing else
	sentinel string // the configuration of a Sentinel; empty means that this is none
	dir      string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Start starts a redis-server with args, like "--maxmemory", "4mb", and stops it when the test is over. Without
// redis-server the test is skipped; where CI is true in the environment it fails instead, so that a pipeline cannot
// quietly lose its tests against Redis.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return started(t, func() (*Server, error) { return Launch(args...) })
}

func started(t testing.TB, launch func() (*Server, error)) *Server {
	t.Helper()
	s, err := launch()
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

// Launch is Start without a test; the caller closes the server. It returns ErrNoRedis when there is none.
func Launch(args ...string) (*Server, error) {
	return launch(func() (*Server, error) { return &Server{args: args}, nil })
}

// launch starts the server that prepare describes, at an address of its own.
func launch(prepare func() (*Server, error)) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrNoRedis
	}
	dir, err := os.MkdirTemp("", "pargate-redis-")
	if err != nil {
		return nil, err
	}
	for range 5 { // another process may take a port between our looking and Redis' binding
		var s *Server
		if s, err = prepare(); err != nil {
			break
		}
		s.dir = dir
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
func (s *Server) URL() string {
	if s.tls {
		return "rediss://" + s.Addr
	}
	return "redis://" + s.Addr
}

// Port is the port in Addr.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// Start starts the server again at the same address, empty, after Stop. It returns when the server answers.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	args, err := s.commandLine()
	if err != nil {
		return err
	}
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

func (s *Server) commandLine() ([]string, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, err
	}
	where := []string{"--bind", host, "--port", port, "--dir", s.dir}
	if s.tls {
		where = []string{"--bind", host, "--port", "0", "--tls-port", port, "--dir", s.dir}
	}
	if s.sentinel == "" {
		return append(append(where, "--save", "", "--appendonly", "no",
			"--repl-diskless-sync-delay", "0"), s.args...), nil
	}
	file := filepath.Join(s.dir, "sentinel.conf") // Sentinel writes into it
	if err := os.WriteFile(file, []byte(s.sentinel), 0o600); err != nil {
		return nil, err
	}
	return append(append([]string{file, "--sentinel"}, where...), s.args...), nil
}

// Stop kills the server, as a crash does, and returns when it is gone.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd.Process.Kill() // also ends a stalled process
	<-s.done
}

// Stall makes the server keep its connections and answer nothing, until Resume.
func (s *Server) Stall() { s.signal(syscall.SIGSTOP) }

// Resume ends Stall.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Close stops the server and removes its directory.
func (s *Server) Close() {
	s.Stop()
	os.RemoveAll(s.dir)
}

func (s *Server) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd.Process.Signal(sig)
}

// answers reports whether a Redis that has loaded is at addr; a refusal for want of a password is an answer too, and so
// is what it says to somebody who does not speak TLS.
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
	n, err := c.Read(reply[:])
	var late net.Error
	if n == 0 {
		return !errors.As(err, &late) || !late.Timeout() // TLS: it hangs up
	}
	return !bytes.HasPrefix(reply[:n], []byte("-LOADING"))
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
