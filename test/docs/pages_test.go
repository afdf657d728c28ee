package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the top of the tree, as seen from here.
const root = "../.."

// page is a Markdown file.
type page struct {
	name   string // from the top of the tree
	text   string
	blocks []block
}

// block is what stands between two fences.
type block struct {
	language string
	text     string // each line with its end, without the indentation of the fence
	intro    string // the paragraph in front of it
	line     int    // of the fence
}

// pages returns README.md, SECURITY.md and everything under docs.
func pages(t *testing.T) (all []page) {
	t.Helper()
	names := []string{"README.md", "SECURITY.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		all = append(all, readPage(t, name))
	}
	return all
}

func readPage(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	found, open := blocksOf(string(text))
	if open > 0 {
		t.Errorf("%s:%d: the block has no end", name, open)
	}
	return page{name, string(text), found}
}

// blocksOf returns the fenced blocks of a text, and the line of a fence that is not closed; zero when every one is.
func blocksOf(text string) (all []block, open int) {
	var current *block
	var indent, paragraph string
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		fence := strings.HasPrefix(trimmed, "```")
		switch {
		case current == nil && fence:
			indent, _, _ = strings.Cut(line, "```")
			current = &block{language: strings.TrimPrefix(trimmed, "```"), intro: paragraph, line: number}
		case current != nil && trimmed == "```":
			all, current, paragraph = append(all, *current), nil, ""
		case current != nil:
			current.text += strings.TrimPrefix(line, indent)
		case trimmed != "" && strings.HasSuffix(paragraph, "\n\n"):
			paragraph = trimmed
		case trimmed == "":
			paragraph = strings.TrimRight(paragraph, "\n") + "\n\n"
		default:
			paragraph += " " + trimmed
		}
	}
	if current != nil {
		return all, current.line
	}
	return all, 0
}

// prose returns the text without its blocks and its inline code.
func (p page) prose() string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(p.text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
			continue
		}
		if !inside {
			b.WriteString(inlineCode.ReplaceAllString(line, ""))
		}
	}
	return b.String()
}

var inlineCode = regexp.MustCompile("`[^`\n]*`")

func TestBlocksAreFound(t *testing.T) {
	t.Parallel()
	const text = "# Page\n\nSome words.\nNot run by our tests:\n\n```ini\na=b\n```\n\n1. In a list:\n\n   ```sh\n   one\n     two\n   ```\n```json\n[]\n```\n"
	found, open := blocksOf(text)
	want := []block{
		{"ini", "a=b\n", "Some words. Not run by our tests:\n\n", 6},
		{"sh", "one\n  two\n", "1. In a list:\n\n", 12},
		{"json", "[]\n", "", 16},
	}
	if open != 0 || len(found) != len(want) {
		t.Fatalf("%+v, open at %d", found, open)
	}
	for i := range want {
		found[i].intro = strings.TrimLeft(found[i].intro, " ")
		if found[i] != want[i] {
			t.Errorf("got %+v, want %+v", found[i], want[i])
		}
	}
	if _, open := blocksOf("\n```sh\nendless\n"); open != 2 {
		t.Errorf("the block without an end is at line %d", open)
	}
}
