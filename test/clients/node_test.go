package clients

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oldestNode is the first major version that the libraries run on.
const oldestNode = 20

// scripts copies this folder's scripts to where they find the libraries, and returns the place. Without Node or the
// libraries the test is skipped.
func scripts(t *testing.T) (dir string) {
	t.Helper()
	if what := missing(); what != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("client libraries: %s", what)
		}
		t.Skipf("client libraries: skipped (%s)", what)
	}
	dir = t.TempDir()
	names, err := filepath.Glob("*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(installed(), "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// missing says what there is to be installed; it is empty when nothing is.
func missing() string {
	version, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "node not on PATH"
	}
	text := strings.TrimSpace(string(version))
	major, _, _ := strings.Cut(strings.TrimPrefix(text, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		return "node " + text + " is too old"
	}
	wanted, err := os.ReadFile("package-lock.json")
	if err != nil {
		return err.Error()
	}
	if there, err := os.ReadFile(filepath.Join(installed(), "installed.json")); err != nil || !bytes.Equal(there, wanted) {
		return "npm's packages are not installed; make tools does that"
	}
	return ""
}

// installed is where .ci/npm puts what package-lock.json names.
func installed() string {
	cache := os.Getenv("PARGATE_COMPAT_CACHE")
	if cache == "" {
		home, _ := os.UserHomeDir()
		cache = filepath.Join(cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache")), "pargate-compat")
	}
	return filepath.Join(cache, "clients")
}

// answer is what a script says.
type answer struct {
	URL     string   // of the pushed request
	Failure *failure // what the library has thrown

	AccessToken   string `json:"access_token"`
	TokenType     string `json:"token_type"`
	Subject       string `json:"sub"`
	Thumbprint    string // of the key for DPoP
	Introspection introspection

	Accepted map[string]string // the authorization request, as the server has it
	Nonces   int               // how many the server has asked for
}

// introspection is what the server says of an access token (RFC 7662 §2.2, RFC 9449 §6.2, RFC 9396 §9.2).
type introspection struct {
	Active       bool
	TokenType    string          `json:"token_type"`
	Details      json.RawMessage `json:"authorization_details"`
	Confirmation struct {
		Thumbprint string `json:"jkt"`
	} `json:"cnf"`
}

// failure is what an application learns from an error of a library.
type failure struct {
	Name, Message string
	Status        int
	Error         string // empty when there is a challenge
	Description   string
	Challenges    []struct{ Scheme string } // of WWW-Authenticate
	Body          struct{ Error string }    // what is left of the response
}

// script is a library that runs.
type script struct {
	name    string
	dir     string // with the libraries and the other scripts
	input   io.WriteCloser
	answers *json.Decoder
}

// run starts a script, which ends with its input and with the test, or after three minutes in which it has hung. The
// variables are beside the test's own.
func run(t *testing.T, dir, name string, variables ...string) *script {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", "--no-warnings", name+".mjs")
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr, cmd.Env = dir, &stderr, append(os.Environ(), variables...)
	input, err := cmd.StdinPipe()
	output, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		if cmd.Wait(); stderr.Len() > 0 {
			t.Logf("%s: %s", name, &stderr)
		}
	})
	return &script{name, dir, input, json.NewDecoder(output)}
}

// ask says something to the script and returns its answer.
func (s *script) ask(t *testing.T, question any) answer {
	t.Helper()
	var a answer
	if err := json.NewEncoder(s.input).Encode(question); err != nil {
		t.Fatal(err)
	}
	if err := s.answers.Decode(&a); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return a
}
