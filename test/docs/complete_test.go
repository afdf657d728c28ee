package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source returns the program's own Go files.
func source(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{"cmd/pargate", "proxy", "pushstore"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			files[path] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// wantAll reports whether a page has what the source says, in the groups of the pattern.
func wantAll(t *testing.T, name string, pattern *regexp.Regexp, atLeast int) {
	t.Helper()
	p := readPage(t, name)
	found := map[string]bool{}
	for file, text := range source(t) {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			said := strings.Join(match[1:], "")
			found[said] = true
			if !strings.Contains(p.text, said) {
				t.Errorf("%s has %q, and %s does not", file, said, name)
			}
		}
	}
	if len(found) < atLeast {
		t.Errorf("%s is compared with %d only: the source is not understood any more", name, len(found))
	}
}

func TestEveryMessageIsDocumented(t *testing.T) {
	t.Parallel()
	wantAll(t, "docs/logs.md", regexp.MustCompile(`(?i)\blog(?:ger)?\.(?:(?:Debug|Info|Warn|Error)\(|(?:Log|Check)\(\w+, )"([^"]+)"`), 30)
	wantAll(t, "docs/logs.md", regexp.MustCompile(`(?s)u\.say\(.*?"(upstream [^"]+)"`), 4)
}

func TestEverySettingThatAnErrorNamesIsDocumented(t *testing.T) {
	t.Parallel()
	wantAll(t, "docs/failures.md", regexp.MustCompile(`(?:hangedBy\(|Setting(?::| =) |requiredOfOne = )"([^"]*)"`), 20)
}

// Files and folders that the architecture names exist.
func TestWhatTheArchitectureNamesExists(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`((?:cmd|config|proxy|pushstore|rewrite|test|deploy|docs)(?:/[\\w./-]*)?)`").FindAllStringSubmatch(readPage(t, "docs/architecture.md").text, -1)
	if len(named) < 10 {
		t.Fatalf("it names %d files", len(named))
	}
	for _, match := range named {
		if _, err := os.Stat(filepath.Join(root, match[1])); err != nil {
			t.Errorf("there is no %s", match[1])
		}
	}
}
