package proxy

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
)

// pageName names a page as the files of the languages do.
type pageName string

// The pages that people may see.
const (
	pageDeadLink     pageName = "dead_link"
	pageUsedLink     pageName = "used_link"
	pageNeedsCookies pageName = "needs_cookies"
	pageMalformed    pageName = "malformed"
	pageNotPushed    pageName = "not_pushed"
	pageUnavailable  pageName = "unavailable"
	pageEndlessLogin pageName = "endless_login"
	pageOtherIssuer  pageName = "other_issuer"
	pageRefused      pageName = "refused"
)

var pageNames = []pageName{pageDeadLink, pageUsedLink, pageNeedsCookies, pageMalformed, pageNotPushed, pageUnavailable,
	pageEndlessLogin, pageOtherIssuer, pageRefused}

// linkName names the text of a link.
type linkName string

const (
	linkTryAgain linkName = "try_again"
	linkBack     linkName = "back"
)

var linkNames = []linkName{linkTryAgain, linkBack}

// language is all that pages say in one language.
type language struct {
	Tag       string                 `json:"-"`         // BCP 47; the name of its file
	Direction string                 `json:"direction"` // ltr or rtl, as in HTML's dir
	Reference string                 `json:"reference"` // before what its reader can give to support
	Reason    string                 `json:"reason"`    // before the error code
	Links     map[linkName]string    `json:"links"`
	Pages     map[pageName]pageWords `json:"pages"`
}

type pageWords struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// defaultLanguage is for who asks for no language that there is.
const defaultLanguage = "en"

//go:embed page/*.json
var languageFiles embed.FS

// languages are those of the files, the default one first.
var languages = mustReadLanguages(languageFiles)

func mustReadLanguages(files fs.FS) []*language {
	all, err := readLanguages(files)
	if err != nil {
		panic(err) // the files are a part of the program
	}
	return all
}

// readLanguages reads every page/*.json. Each has all the words, so that no page is half in another language.
func readLanguages(files fs.FS) ([]*language, error) {
	names, err := fs.Glob(files, "page/*.json")
	if err != nil {
		return nil, err
	}
	var all []*language
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		l, err := parseLanguage(strings.TrimSuffix(path.Base(name), ".json"), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, l)
	}
	first := slices.IndexFunc(all, func(l *language) bool { return l.Tag == defaultLanguage })
	if first < 0 {
		return nil, fmt.Errorf("page/%s.json is missing", defaultLanguage)
	}
	return slices.Concat(all[first:first+1], all[:first], all[first+1:]), nil
}

func parseLanguage(tag string, text []byte) (*language, error) {
	if !isLanguageTag(tag) {
		return nil, fmt.Errorf("%q is no language tag, as de and pt-BR are", tag)
	}
	l := &language{Tag: tag}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(l); err != nil {
		return nil, err
	}
	if l.Direction != "ltr" && l.Direction != "rtl" {
		return nil, fmt.Errorf("direction is %q, and must be ltr or rtl", l.Direction)
	}
	return l, cmp.Or(l.checkNames(), l.checkWords())
}

// checkNames demands that there are no pages and links but those that the program has. Whether all of these are there,
// checkWords finds out.
func (l *language) checkNames() error {
	for name := range l.Pages {
		if !slices.Contains(pageNames, name) {
			return fmt.Errorf("there is no page %s", name)
		}
	}
	for name := range l.Links {
		if !slices.Contains(linkNames, name) {
			return fmt.Errorf("there is no link %s", name)
		}
	}
	return nil
}

// checkWords demands that every text is there, and is text: pages have no markup and no placeholders.
func (l *language) checkWords() error {
	for _, word := range l.words() {
		switch name, text := word[0], word[1]; {
		case strings.TrimSpace(text) != text || text == "":
			return fmt.Errorf("%s is missing, or has blanks around it", name)
		case strings.ContainsAny(text, "<>&{}%\\\n\r\t"):
			return fmt.Errorf("%s has markup, a placeholder or a line break, and must be plain text", name)
		}
	}
	return nil
}

// words returns all texts with their names in the file.
func (l *language) words() [][2]string {
	words := [][2]string{{"reference", l.Reference}, {"reason", l.Reason}}
	for _, name := range linkNames {
		words = append(words, [2]string{"links." + string(name), l.Links[name]})
	}
	for _, name := range pageNames {
		page := l.Pages[name]
		words = append(words, [2]string{"pages." + string(name) + ".title", page.Title}, [2]string{"pages." + string(name) + ".text", page.Text})
	}
	return words
}

// languageFor returns the language of all that the request's Accept-Language wants most: of those that have the range or
// belong to it, else of those that have a broader one (RFC 4647 §3.4); the first where none is wanted.
func languageFor(r *http.Request, all []*language) *language {
	ranges := parseAcceptLanguage(r.Header["Accept-Language"])
	for _, wanted := range ranges {
		if wanted.quality == 0 {
			break
		}
		for tag := wanted.tag; tag != ""; tag = broader(tag) {
			for _, l := range all {
				if own := strings.ToLower(l.Tag); tag == "*" && !isNamed(ranges, own) || covers(tag, own) && !isExcluded(ranges, own) {
					return l
				}
			}
		}
	}
	return all[0]
}

// isNamed reports whether a range other than * is about the language.
func isNamed(ranges []languageRange, tag string) bool {
	return slices.ContainsFunc(ranges, func(r languageRange) bool { return covers(r.tag, tag) })
}

// isExcluded reports whether the closest of the ranges that are about the language says that it is not wanted.
func isExcluded(ranges []languageRange, tag string) bool {
	closest := languageRange{quality: 1000}
	for _, r := range ranges {
		if covers(r.tag, tag) && len(r.tag) > len(closest.tag) {
			closest = r
		}
	}
	return closest.quality == 0
}
