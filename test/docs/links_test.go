package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`)
	notInAnchors   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, match := range linkPattern.FindAllStringSubmatch(p.prose(), -1) {
			if err := follow(p, match[1]); err != "" {
				t.Errorf("%s: the link %s %s", p.name, match[1], err)
			}
		}
	}
}

// follow says what is wrong with a link of a page; empty when nothing is.
func follow(p page, link string) (wrong string) {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	name := path.Join(path.Dir(p.name), file)
	if file == "" {
		name = p.name
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	info, statErr := os.Stat(filepath.Join(root, name))
	switch {
	case statErr != nil:
		return "leads to no file"
	case info.IsDir() && anchor == "":
		return ""
	case err != nil:
		return err.Error()
	case anchor != "" && !anchors(string(text))[anchor]:
		return "leads to no heading"
	}
	return ""
}

// anchors are the names that the headings of a text have in links, as GitHub makes them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range headingPattern.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(notInAnchors.ReplaceAllString(strings.ReplaceAll(match[1], "`", ""), ""))
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

// Every page can be found from the index, in one step or two.
func TestTheIndexLeadsToEveryPage(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{}
	for _, index := range []string{"docs/README.md", "docs/servers/README.md", "docs/clients/README.md"} {
		p := readPage(t, index)
		reached[index] = true
		for _, match := range linkPattern.FindAllStringSubmatch(p.prose(), -1) {
			file, _, _ := strings.Cut(match[1], "#")
			reached[path.Join(path.Dir(index), file)] = true
		}
	}
	for _, p := range pages(t) {
		if strings.HasPrefix(p.name, "docs/") && !reached[p.name] {
			t.Errorf("nothing leads to %s", p.name)
		}
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	t.Parallel()
	p := page{name: "docs/redis.md"}
	for link, want := range map[string]bool{
		"fapi.md": true, "fapi.md#what-the-switch-does": true, "../README.md": true, "../README.md#how-it-fails": true, "../test": true,
		"https://example.org/": true, "#the-user": true, "#no-such-heading": false, "no-such-file.md": false, "fapi.md#no-such-heading": false,
	} {
		if wrong := follow(p, link); (wrong == "") != want {
			t.Errorf("%s: %q", link, wrong)
		}
	}
}
