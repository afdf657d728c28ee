package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pargate/config"
	"pargate/proxy/client"
)

// elsewhere is which other test runs the blocks of a page, by language. Those tests name the page.
var elsewhere = map[string]map[string]string{
	"README.md":                     {"sh": "cmd/pargate/readme_test.go", "json": "cmd/pargate/readme_test.go"},
	"SECURITY.md":                   {"sh": "test/docs/security_test.go"},
	"docs/how-par-works.md":         {"text": "cmd/pargate-demo/drawing_test.go"},
	"docs/request-objects.md":       {"sh": "test/clients/documentation_test.go", "json": "test/clients/documentation_test.go", "js": "test/clients/documentation_test.go"},
	"docs/clients/openid-client.md": {"js": "test/clients/pages_test.go"},
	"docs/clients/oauth4webapi.md":  {"js": "test/clients/pages_test.go"},
}

// notRun is what a page says of a block that no test can check.
const notRun = "not run by our tests"

func TestEveryBlockIsChecked(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for i, b := range p.blocks {
				if err := p.check(t, i); err != nil {
					t.Errorf("%s:%d: the %s block: %v", p.name, b.line, b.language, err)
				}
			}
			if command := hiddenCommand.FindString(p.text); command != "" {
				t.Errorf("%q stands in an indented block, which nothing checks", strings.TrimSpace(command))
			}
			if p.isPlayed() {
				play(t, p)
			}
		})
	}
}

// hiddenCommand is a command behind an empty line and an indentation instead of a fence.
var hiddenCommand = regexp.MustCompile(`\n\n(    |\t)(pargate|curl|go|make|docker|kubectl|\$) .*`)

// check checks the block at i for all but what playing the page shows.
func (p page) check(t *testing.T, i int) error {
	b := p.blocks[i]
	if test := elsewhere[p.name][b.language]; test != "" {
		return namesPage(test, p.name)
	}
	if strings.Contains(strings.ToLower(b.intro), notRun) {
		return nil
	}
	switch b.language {
	case "env":
		return checkSettings(t, b.text)
	case "json":
		return checkJSON(t, b.text)
	case "mermaid":
		return checkPicture(b.text)
	case "sh":
		return nil // played
	case "text":
		if i == 0 || p.blocks[i-1].language != "sh" {
			return errors.New("prints no command before it")
		}
		return nil
	}
	return fmt.Errorf("nothing checks it; if nothing can, the paragraph in front of it must say %q", notRun)
}

func namesPage(test, name string) error {
	text, err := os.ReadFile(filepath.Join(root, test))
	if err == nil && !strings.Contains(string(text), filepath.Base(name)) {
		err = fmt.Errorf("%s does not name the page, and should run it", test)
	}
	return err
}

// settingsOf returns the lines NAME=value of a block.
func settingsOf(text string) (environ []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			environ = append(environ, line)
		}
	}
	return environ
}

// checkSettings loads a block of settings. Of one that only adds to others, the rest is made up; so are the files that are
// named.
func checkSettings(t *testing.T, text string) error {
	t.Helper()
	environ := settingsOf(text)
	if !strings.Contains("\n"+text, "\nUPSTREAM_URL=") {
		environ = append(environ, "UPSTREAM_URL=http://127.0.0.1:9998", "PUBLIC_URL=https://login.example")
	}
	for i, line := range environ {
		if !settingPattern.MatchString(line) {
			return fmt.Errorf("%q is no NAME=value", line)
		}
		if name, _, _ := strings.Cut(line, "="); strings.HasSuffix(name, "_FILE") {
			file := filepath.Join(t.TempDir(), "file")
			write(t, file, clientsOfPages)
			environ[i] = name + "=" + file
		}
	}
	_, _, err := config.Load(environ)
	return err
}

var settingPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_]*=`)

// checkJSON parses a block, and loads it where it is a client file.
func checkJSON(t *testing.T, text string) error {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	if _, isList := value.([]any); !isList {
		return nil
	}
	file := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	_, err := client.Load(file)
	return err
}

// shape is what may stand behind the name of a box: its text, in the brackets of its form.
const shape = `(\[\w[^\]]*\]|\[\([^)]+\)\])?`

// The lines of a picture: a flowchart, or the sequence of messages between participants.
var pictureLines = map[string]*regexp.Regexp{
	"flowchart LR":    regexp.MustCompile(`^\w+` + shape + `( (-->|-\.->)(\|[^|]+\|)? \w+` + shape + `)?$`),
	"sequenceDiagram": regexp.MustCompile(`^(autonumber|(participant|actor) \w+ as [^;#]+|\w+-?->>\w+: [^;#]+|Note over \w+(,\w+)?: [^;#]+)$`),
}

// checkPicture takes the small part of Mermaid that the pages use.
func checkPicture(text string) error {
	kind, rest, _ := strings.Cut(text, "\n")
	pattern := pictureLines[strings.TrimSpace(kind)]
	if pattern == nil {
		return fmt.Errorf("%q is no picture that is known here", kind)
	}
	for line := range strings.Lines(rest) {
		if line = strings.TrimSpace(line); line != "" && !pattern.MatchString(line) {
			return fmt.Errorf("%q is not understood", line)
		}
	}
	return nil
}

func TestWhatIsNotCheckedIsAnError(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"```yaml\na: 1\n```\n":                                                      false,
		"```\nno language\n```\n":                                                   false,
		"This is not run by our tests.\n\n```yaml\na: 1\n```\n":                     true,
		"Not run by our tests.\n\nAnother one.\n\n```yaml\na\n```\n":                false,
		"```text\nprinted by nothing\n```\n":                                        false,
		"```env\nUPSTREAM_URL=http://127.0.0.1:1\n```\n":                            true,
		"```env\nPAR_REQUIRED=true\n```\n":                                          true,
		"```env\nPAR_REQUIRED=perhaps\n```\n":                                       false,
		"```env\nPAR_REQIURED=true\n```\n":                                          false,
		"```env\nexport PAR_REQUIRED=true\n```\n":                                   false,
		"```json\n{\"a\": }\n```\n":                                                 false,
		"```json\n{\"a\": 1}\n```\n":                                                true,
		"```json\n[{\"client_id\": \"web\"}]\n```\n":                                false,
		"```json\n[{\"client_id\": \"web\", \"client_secret\": \"s3cret\"}]\n```\n": true,
		"```mermaid\nflowchart LR\na[A] b\n```\n":                                   false,
		"```mermaid\nflowchart LR\na[A]\nb[B]\na -->|x| b\n```\n":                   true,
	} {
		found, _ := blocksOf(text)
		p := page{"docs/some.md", text, found}
		if err := p.check(t, 0); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
