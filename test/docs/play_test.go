package docs

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pargate/test/harness"
)

// clientsOfPages is the client file of a page that has none of its own.
const clientsOfPages = `[{"client_id": "web", "client_secret": "s3cret", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
	"redirect_uris": ["https://app.example/cb"]}]`

// isPlayed reports whether the page has commands that are run here.
func (p page) isPlayed() bool {
	return elsewhere[p.name]["sh"] == "" && slices.ContainsFunc(p.blocks, func(b block) bool { return b.language == "sh" && p.isRun(b) })
}

func (p page) isRun(b block) bool { return !strings.Contains(strings.ToLower(b.intro), notRun) }

// play does what a page says, from top to bottom: settings start the gateway anew, beside those before; a client file is
// written; commands are run in one shell after the other, which keep their variables; and what they print is what the text
// behind them says. A command that prints the address of a pushed request is followed by a person who logs in there, and
// leaves code and state of the authorization response in the shell.
func play(t *testing.T, p page) {
	for _, program := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not on PATH", program)
		}
		t.Skipf("the pages' commands: skipped (%s not on PATH)", program)
	}
	g := newGateway(t)
	write(t, filepath.Join(g.dir, "clients.json"), clientsOfPages)
	sh := shell{g: g}
	printed := ""
	for _, b := range p.blocks {
		switch {
		case !p.isRun(b):
		case b.language == "env":
			g.set(t, settingsOf(b.text))
		case b.language == "json" && strings.Contains(b.intro, "`clients.json`"):
			write(t, filepath.Join(g.dir, "clients.json"), b.text)
		case b.language == "sh":
			if g.process == nil {
				g.set(t, []string{"UPSTREAM_URL=" + upstreamInPages, "PUBLIC_URL=" + publicInPages, "CLIENTS_FILE=clients.json"})
			}
			var err error
			if printed, err = sh.run(t, b.text); err != nil {
				t.Fatalf("%s:%d: %v\n%s", p.name, b.line, err, printed)
			}
			sh.logIn(t, printed)
		case b.language == "text":
			if !pattern(g.here(b.text)).MatchString(printed) {
				t.Errorf("%s:%d: the page says\n%s\nand the command prints\n%s", p.name, b.line, g.here(b.text), printed)
			}
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shell runs commands one after the other.
type shell struct {
	g         *gateway
	variables string // commands that set them
}

// keepVariables runs behind the commands of a block. What was in the environment before is not kept: the next block may
// have other settings.
const keepVariables = "\nstatus=$?; unset %s; export -p >variables.sh; exit $status\n"

func (s *shell) run(t *testing.T, commands string) (printed string, err error) {
	t.Helper()
	environ := s.g.environ(t)
	var names []string
	for _, line := range environ {
		if name, _, _ := strings.Cut(line, "="); name != "PATH" {
			names = append(names, name)
		}
	}
	cmd := exec.Command("sh", "-c", "set -a\n"+s.variables+"\n"+s.g.here(commands)+fmt.Sprintf(keepVariables, strings.Join(names, " ")))
	cmd.Dir, cmd.Env = s.g.dir, environ
	output, err := cmd.CombinedOutput()
	kept, _ := os.ReadFile(filepath.Join(s.g.dir, "variables.sh"))
	s.variables = string(kept)
	return string(output), err
}

// logIn lets a person open the address in the last line of what was printed, if it is that of a pushed request.
func (s *shell) logIn(t *testing.T, printed string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	address := lines[len(lines)-1]
	if !strings.HasPrefix(address, s.g.public+"/authorize?") {
		return
	}
	browser := harness.NewBrowser(s.g.public)
	res := browser.LogIn(t, browser.Get(t, address))
	back, err := url.Parse(res.Location)
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("the login ended with %d %s %s", res.Status, res.Location, res.Body)
	}
	for _, name := range []string{"code", "state", "iss"} {
		s.variables += "\nexport " + name + "='" + back.Query().Get(name) + "'"
	}
}

// pattern matches what a text of a page stands for: … is anything in a line, and a line of it any number of lines.
func pattern(text string) *regexp.Regexp {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "…" {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(line, "\n")), "…", `[^\n]*`) + `\n?`)
	}
	return regexp.MustCompile(`^` + b.String() + `\s*$`)
}

func TestWhatIsPrintedIsCompared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, printed string
		want          bool
	}{
		{"one\n", "one\n", true}, {"one\n", "one", true}, {"one\n", "two\n", false}, {"one\n", "one\ntwo\n", false},
		{"a…z\n", "a to z\n", true}, {"a…z\n", "a to\nz\n", false}, {"…\nend\n", "1\n2\nend\n", true}, {"end\n…\n", "end\n", true},
		{"a.b\n", "a-b\n", false},
	} {
		if got := pattern(c.text).MatchString(c.printed); got != c.want {
			t.Errorf("%q for %q: %v", c.text, c.printed, got)
		}
	}
}
