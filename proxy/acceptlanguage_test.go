package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func asking(lines ...string) *http.Request {
	return &http.Request{Header: http.Header{"Accept-Language": lines}}
}

func TestThePageIsInTheLanguageThatIsWantedMost(t *testing.T) {
	t.Parallel()
	var all []*language
	for _, tag := range []string{"en", "de", "es", "fr", "pt-BR"} {
		all = append(all, &language{Tag: tag})
	}
	for header, want := range map[string]string{
		"": "en", "de": "de", "DE": "de", "de-CH": "de", "de-Latn-CH-1996": "de", "fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5": "fr",
		"en-US,en;q=0.5": "en", "en;q=0.5, es": "es", "it, fr;q=0.8": "fr", "it": "en", "it, *": "en", "it, *;q=0.1, fr;q=0.2": "fr",
		"en;q=0.2, *": "de", "en;q=0.2, de;q=0.1, *": "es", "de;q=0, *": "en", "de;q=0": "en", "de-CH, de;q=0": "en", "de-CH, de;q=0, fr;q=0.1": "fr",
		"de-CH;q=0, de": "de", "*;q=0": "en", "*;q=0, es;q=0.1": "es", "en;q=0, *": "de", "pt": "pt-BR", "pt-br": "pt-BR", "pt-PT": "pt-BR", "pt, pt-BR;q=0, fr;q=0.5": "fr", "pt-BR;q=0.5, pt;q=0, fr;q=0.1": "pt-BR",
		"de;q=1.000, fr": "de", "de;q=0.999, fr": "fr", "de ; q=0.5 , fr;\tq=0.4": "de", "de;Q=0.3,fr;q=0.2": "de", ",, ,de": "de", "de-x-bayern": "de",
		"de|fr": "de", "de;q=0.1|fr": "fr",
		// What is not well-formed counts as absent.
		"de;q=2, fr;q=0.1": "fr", "de;q=1.001, fr;q=0.1": "fr", "de;q=-1, fr;q=0.1": "fr", "de;q=0.1234, fr;q=0.1": "fr", "de;q=, fr;q=0.1": "fr", "de;q, fr;q=0.1": "fr",
		"de;q = 1, fr;q=0.1": "fr", "de;level=1, fr;q=0.1": "fr", "de;q=1;q=1, fr;q=0.1": "fr", "d e, fr;q=0.1": "fr", "de_DE, fr;q=0.1": "fr", "-de, fr;q=0.1": "fr",
		"de-, fr;q=0.1": "fr", "de-abcdefghi, fr;q=0.1": "fr", "1de, fr;q=0.1": "fr", "*-CH, fr;q=0.1": "fr", "d\u00e9, fr;q=0.1": "fr", "de;q=.5, fr;q=0.1": "fr", "../de": "en", "\u212aa, fr;q=0.1": "fr",
	} {
		if got := languageFor(asking(strings.Split(header, "|")...), all).Tag; got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestAnAcceptLanguageOfTooManyBytesIsNone(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{maxAcceptLanguage: "de", maxAcceptLanguage + 1: "en"} {
		header := "de" + strings.Repeat(",", n-len("de"))
		if got := languageFor(asking(header), languages).Tag; got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
		if got := languageFor(asking(header[:600], header[600+1:]), languages).Tag; got != want {
			t.Errorf("%d bytes in two lines: %s, want %s", n, got, want)
		}
	}
}

// Each range is held against each other one, so that hundreds of them would cost milliseconds: the first ones are read.
func TestOfManyLanguagesTheFirstAreRead(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{maxLanguageRanges - 1: "de", maxLanguageRanges: "en"} {
		if got := languageFor(asking(strings.Repeat("it,, _,", n)+"de"), languages).Tag; got != want {
			t.Errorf("behind %d others: %s, want %s", n, got, want)
		}
	}
}

func TestALongRangeIsReadWithoutCopies(t *testing.T) {
	long := asking("de;q=0,de" + strings.Repeat("-a1", 330))
	if got := testing.AllocsPerRun(10, func() { languageFor(long, languages) }); got > 20 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzAcceptLanguage: whatever a browser writes, a range is * or a tag, has a quality from 0 to 1, comes before what is
// wanted less, says the same when it is written again, and the language is one that there is, in any spelling of case; one
// that is named by itself is given.
func FuzzAcceptLanguage(f *testing.F) {
	for _, seed := range []string{"", "de-CH, de;q=0.9, en;q=0.8, *;q=0.1", "fr;q=0,*", "es ; q=0.123 , ,*;q=0", "de;q=1.001", "*-CH", "zh-Hant-TW;q=0.5", "x-a-b", "de;q=0.5;q=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		ranges := parseAcceptLanguage([]string{header})
		var again []string
		for i, r := range ranges {
			if r.tag != "*" && !isLanguageTag(r.tag) || r.tag != strings.ToLower(r.tag) || r.quality < 0 || r.quality > 1000 || i > 0 && r.quality > ranges[i-1].quality {
				t.Fatalf("%q: %v", header, ranges)
			}
			again = append(again, fmt.Sprintf("%s;q=%d.%03d", r.tag, r.quality/1000, r.quality%1000))
		}
		if written := strings.Join(again, ","); len(written) <= maxAcceptLanguage && !slices.Equal(parseAcceptLanguage([]string{written}), ranges) {
			t.Errorf("%q: %v is something else when it is written as %q", header, ranges, written)
		}
		got := languageFor(asking(header), languages)
		if !slices.Contains(languages, got) || languageFor(asking(asciiUpper(header)), languages) != got {
			t.Errorf("%q: %v, and in capitals another", header, got)
		}
		if named := slices.IndexFunc(languages, func(l *language) bool { return l.Tag == header }); named >= 0 && languages[named] != got {
			t.Errorf("%q: %s", header, got.Tag)
		}
	})
}

func asciiUpper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
