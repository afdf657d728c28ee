package proxy

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// keysOf returns the paths of all texts of a language file.
func keysOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := fs.ReadFile(languageFiles, file)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var keys []string
	var walk func(string, map[string]any)
	walk = func(at string, object map[string]any) {
		for name, value := range object {
			if inner, ok := value.(map[string]any); ok {
				walk(at+name+".", inner)
			} else {
				keys = append(keys, at+name)
			}
		}
	}
	walk("", object)
	slices.Sort(keys)
	if n := strings.Count(string(text), `":`); n != len(keys)+len(object["pages"].(map[string]any))+2 {
		t.Errorf("%s has a name twice: %d names", file, n)
	}
	return keys
}

func TestEveryLanguageHasTheEnglishKeys(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(languageFiles, "page/*")
	if err != nil || len(files) != len(languages) || len(files) < 4 {
		t.Fatalf("%v %v, and %d languages", files, err, len(languages))
	}
	english := keysOf(t, "page/en.json")
	for _, file := range files {
		if got := keysOf(t, file); !slices.Equal(got, english) {
			t.Errorf("%s has the keys %v, want %v", file, got, english)
		}
	}
}

// Two pages may be called alike, but what is the same in two languages was forgotten.
func TestNoTextIsTheSameInTwoLanguages(t *testing.T) {
	t.Parallel()
	for i, l := range languages {
		for _, other := range languages[:i] {
			for n, word := range l.words() {
				if word == other.words()[n] {
					t.Errorf("%s and %s: %s is %q in both", other.Tag, l.Tag, word[0], word[1])
				}
			}
		}
	}
}

// changed returns English with one text in place of another.
func changed(t *testing.T, from, to string) *fstest.MapFile {
	t.Helper()
	text, err := fs.ReadFile(languageFiles, "page/en.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), from) == 0 {
		t.Fatalf("English has no %s", from)
	}
	return &fstest.MapFile{Data: []byte(strings.Replace(string(text), from, to, 1))}
}

func TestALanguageFileThatIsNotRightIsRefusedInWords(t *testing.T) {
	t.Parallel()
	english := changed(t, "ltr", "ltr")
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"no English":         {fstest.MapFS{"page/it.json": english}, "page/en.json is missing"},
		"a key too few":      {fstest.MapFS{"page/it.json": changed(t, `"try_again": "Try again",`, "")}, "links.try_again is missing"},
		"a page too few":     {fstest.MapFS{"page/it.json": changed(t, `"text": "Sign-in links work once, `, `"text": "", "title": "`)}, "pages.dead_link.text is missing"},
		"a key too many":     {fstest.MapFS{"page/it.json": changed(t, `"reason"`, `"grounds": "x", "reason"`)}, `unknown field "grounds"`},
		"a page too many":    {fstest.MapFS{"page/it.json": changed(t, `"dead_link"`, `"live_link": {}, "dead_link"`)}, "there is no page live_link"},
		"a link too many":    {fstest.MapFS{"page/it.json": changed(t, `"back"`, `"forth": "x", "back"`)}, "there is no link forth"},
		"markup":             {fstest.MapFS{"page/it.json": changed(t, "Try again", "<b>Try</b> again")}, "links.try_again has markup"},
		"an entity":          {fstest.MapFS{"page/it.json": changed(t, "Reason:", "Reason&nbsp;:")}, "reason has markup"},
		"a placeholder":      {fstest.MapFS{"page/it.json": changed(t, "Reason:", "Reason {code}:")}, "reason has markup, a placeholder"},
		"a blank at the end": {fstest.MapFS{"page/it.json": changed(t, "Reason:", "Reason: ")}, "reason is missing, or has blanks"},
		"no direction":       {fstest.MapFS{"page/it.json": changed(t, `"ltr"`, `""`)}, "must be ltr or rtl"},
		"not JSON":           {fstest.MapFS{"page/it.json": {Data: []byte("x")}}, "page/it.json: invalid character"},
		"a name":             {fstest.MapFS{"page/it_IT.json": english}, `"it_IT" is no language tag`},
	} {
		files := maps.Clone(c.files)
		if name != "no English" {
			files["page/en.json"] = english
		}
		if _, err := readLanguages(files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestAFileAddsALanguage(t *testing.T) {
	t.Parallel()
	all, err := readLanguages(fstest.MapFS{"page/en.json": changed(t, "ltr", "ltr"), "page/ar.json": changed(t, `"ltr"`, `"rtl"`)})
	if err != nil || len(all) != 2 || all[0].Tag != "en" {
		t.Fatalf("%v %v", all, err)
	}
	w := httptest.NewRecorder()
	writeRefusal(w, "reference", languageFor(asking("ar-EG"), all), deadLink(nil))
	if body := w.Body.String(); !strings.Contains(body, `<html lang="ar" dir="rtl">`) || w.Header().Get("Content-Language") != "ar" {
		t.Errorf("%v %s", w.Header(), body)
	}
}

func TestVaryNamesAFieldOnce(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]string{
		"": "Accept-Language", "Origin": "Origin|Accept-Language", "accept-language": "accept-language", "Origin, Accept-Language": "Origin, Accept-Language",
		"*": "*", "Origin|ACCEPT-LANGUAGE ,Accept": "Origin|ACCEPT-LANGUAGE ,Accept", "Accept": "Accept|Accept-Language",
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(before, "|") {
			if line != "" {
				h.Add("Vary", line)
			}
		}
		addVary(h, "Accept-Language")
		if got := strings.Join(h["Vary"], "|"); got != want {
			t.Errorf("%q becomes %q, want %q", before, got, want)
		}
	}
}
