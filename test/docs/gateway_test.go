package docs

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// The addresses of the pages, which are free ones while a page is played.
const (
	publicInPages   = "https://login.example"
	adminInPages    = "http://127.0.0.1:8081"
	upstreamInPages = "http://127.0.0.1:9998"
)

// gateway is the program, as a page sets it up, in front of a stand-in.
type gateway struct {
	dir           string // where it and the commands run; its log is pargate.log there
	public, admin string
	upstream      *upstream.Recorder
	settings      []string
	process       *exec.Cmd // nil: it does not run
}

// newGateway makes one that does not run yet.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{dir: t.TempDir(), public: "http://" + freeAddr(t), admin: "http://" + freeAddr(t)}
	g.upstream = upstream.New(t, func(r *upstream.Recorder) {
		r.Issuer = g.public
		r.Handlers["/token"] = giveToken
	})
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(g.logFile())
			t.Logf("the log:\n%s", text)
		}
	})
	t.Cleanup(func() { g.stop(t) })
	return g
}

// giveToken is the stand-in's token endpoint: it knows one code, one client and everybody's code_verifier.
func giveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, secret, _ := r.BasicAuth()
	switch {
	case id != "web" || secret != "s3cret":
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client"}`)
	case r.FormValue("code") != "c0de" || len(r.FormValue("code_verifier")) < 43:
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
	default:
		io.WriteString(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":60}`)
	}
}

// set starts the gateway anew with further settings. It returns when it listens and has asked the stand-in once, whatever
// came of that.
func (g *gateway) set(t *testing.T, settings []string) {
	t.Helper()
	g.stop(t)
	for _, s := range settings {
		g.settings = append(g.settings, g.here(s))
	}
	log, err := os.OpenFile(g.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	g.process = exec.Command(binary(t))
	g.process.Dir, g.process.Env, g.process.Stderr = g.dir, g.environ(t), log
	if err := g.process.Start(); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the gateway", func() bool {
		text, err := os.ReadFile(g.logFile())
		said := string(text[min(int(begin), len(text)):])
		return err == nil && strings.Contains(said, `"msg":"listening"`) && strings.Contains(said, `"msg":"upstream is `)
	})
}

// environ is what the program and the commands get.
func (g *gateway) environ(t *testing.T) []string {
	t.Helper()
	environ := []string{
		"PATH=" + filepath.Dir(binary(t)) + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + g.dir, "LC_ALL=C",
		"SHUTDOWN_DELAY=0s",
	}
	environ = append(environ, g.settings...)
	// Behind the page's own, which are for a machine that has these ports.
	return append(environ, "LISTEN_ADDR="+strings.TrimPrefix(g.public, "http://"), "ADMIN_ADDR="+strings.TrimPrefix(g.admin, "http://"))
}

// here is a text of a page with the addresses that are in use.
func (g *gateway) here(text string) string {
	return strings.NewReplacer(publicInPages, g.public, adminInPages, g.admin, upstreamInPages, g.upstream.URL).Replace(text)
}

func (g *gateway) logFile() string { return filepath.Join(g.dir, "pargate.log") }

func (g *gateway) stop(t *testing.T) {
	t.Helper()
	if g.process == nil || g.process.Process == nil {
		return
	}
	g.process.Process.Signal(os.Interrupt)
	if err := g.process.Wait(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	g.process = nil
}

// freeAddr returns an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// binary returns the program, which is built once.
func binary(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildOnce = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builtIn, "pargate")
	output, err := exec.Command("go", "build", "-o", path, "pargate/cmd/pargate").CombinedOutput()
	if err != nil {
		return "", errors.New(string(output))
	}
	return path, nil
})
