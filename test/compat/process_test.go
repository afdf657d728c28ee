//go:build compat

package compat

import (
	"embed"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"text/template"
	"time"

	"encoding/json"
)

// setups are the servers' set-ups, as they lie in this folder.
//
//go:embed servers
var setups embed.FS

// copySetup copies one server's set-up into a folder of the test, with the values filled in where it has templates.
func copySetup(t testing.TB, name string, values any) (dir string) {
	t.Helper()
	dir = t.TempDir()
	sub, err := fs.Sub(setups, "servers/"+name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, sub); err != nil {
		t.Fatal(err)
	}
	if values == nil {
		return dir
	}
	functions := template.FuncMap{"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	}}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := template.New(path).Funcs(functions).Parse(string(text))
		if err != nil {
			return err
		}
		var filled strings.Builder
		if err := parsed.Execute(&filled, values); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(filled.String()), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// watched runs its arguments and ends them when its input ends: when the test ends, or the test's process dies.
const watched = `"$@" </dev/null & child=$!; read -r _; kill "$child" 2>/dev/null; wait "$child"`

// process is a server's program.
type process struct {
	command []string
	dir     string   // where it runs
	env     []string // beside the test's own
	addr    string   // where it will listen
}

// run starts a program, waits until it answers, and ends it with the test.
func (p process) run(t testing.TB) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", watched, "sh"}, p.command...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		input.Close()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the end of the log of %s:\n%s", filepath.Base(p.command[0]), text[max(0, len(text)-4000):])
		}
	})
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + p.addr + "/"); err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer", p.command[0])
		}
	}
}

// ports counts up below those that systems give away by themselves, so that no two servers of a run get the same.
var ports atomic.Int32

// freeAddr returns an address on which nobody listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 200 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+(os.Getpid()+int(ports.Add(1)))%12000))
		if listener, err := net.Listen("tcp", addr); err == nil {
			listener.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// environment is what a set-up learns about the client and the person.
func (s *server) environment(p place) []string {
	_, port, _ := net.SplitHostPort(p.addr)
	return []string{
		"PORT=" + port, "PUBLIC_URL=" + p.public, "CLIENT_ID=" + clientID, "CLIENT_SECRET=" + clientSecret, "PUBLIC_CLIENT_ID=" + publicID,
		"REDIRECT_URIS=" + redirectURI + " " + otherURI, "USERNAME=" + s.userName(), "PASSWORD=" + s.userPassword(),
	}
}
