package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"pargate/test/chromium"
)

func TestPagesAreForEverybody(t *testing.T) {
	b := chromium.OpenTab(t)
	for _, s := range sights(t) {
		t.Run(s.name, func(t *testing.T) {
			b.Resize(t, 1280, 800)
			b.Prefer(t)
			b.Speak(t, s.speaks)
			if got := s.show(t, b); got != s.status {
				t.Fatalf("status %d, want %d: %s", got, s.status, chromium.Eval[string](t, b, "document.documentElement.innerText"))
			}
			wantDocument(t, b, s)
			wantTree(t, b, s)
			chromium.WantColours(t, b)
			wantRoom(t, b)
			takePictures(t, b, s)
			wantKeys(t, b, s) // last: it follows the link
		})
	}
}

// document is what the page's markup says.
type document struct {
	Language, Direction, Title, Heading, Viewport, Code, CodeLanguage string
	Headings, Mains, Motions                                          int
}

const readDocument = `({
	Language: document.documentElement.lang, Direction: document.documentElement.dir, Title: document.title,
	Heading: document.querySelector("h1").innerText, Viewport: document.querySelector("meta[name=viewport]").content,
	Code: document.querySelector("dd[lang]").innerText, CodeLanguage: document.querySelector("dd[lang]").lang,
	Headings: document.querySelectorAll("h1").length, Mains: document.querySelectorAll("main").length,
	Motions: document.getAnimations().length +
		[...document.querySelectorAll("*")].filter(e => getComputedStyle(e).transitionDuration !== "0s" || getComputedStyle(e).animationName !== "none").length,
})`

func wantDocument(t *testing.T, b *chromium.Tab, s sight) {
	t.Helper()
	got := chromium.Eval[document](t, b, readDocument)
	want := document{Language: s.language, Direction: "ltr", Title: s.title, Heading: s.title, Viewport: "width=device-width, initial-scale=1",
		Code: s.code, CodeLanguage: "en", Headings: 1, Mains: 1}
	if got != want {
		t.Errorf("the document is\n%+v, want\n%+v", got, want)
	}
}

// wantTree checks what a screen reader is told.
func wantTree(t *testing.T, b *chromium.Tab, s sight) {
	t.Helper()
	nodes := b.Tree(t)
	if len(nodes) == 0 || nodes[0].Role != "RootWebArea" || nodes[0].Name != s.title {
		t.Fatalf("the root is not called %s: %+v", s.title, nodes)
	}
	count := map[string]int{}
	for _, n := range nodes {
		switch count[n.Role]++; {
		case n.Role == "heading" && (n.Level != 1 || n.Name != s.title), n.Role == "link" && n.Name != s.link:
			t.Errorf("%+v, want the title %s and the link %s", n, s.title, s.link)
		}
	}
	links := min(len(s.link), 1)
	if count["main"] != 1 || count["heading"] != 1 || count["link"] != links || count["term"] != 2 || count["definition"] != 2 {
		t.Errorf("want one main, one heading, %d links, and two terms with their definitions: %v", links, count)
	}
}

// What a reader may do to the style of the page, and how it is undone.
const (
	largeText  = `document.documentElement.style.fontSize = "200%"`
	spacedText = `for (const e of document.querySelectorAll("body, body *")) {
		for (const [name, value] of [["line-height", "1.5"], ["letter-spacing", "0.12em"], ["word-spacing", "0.16em"]]) e.style.setProperty(name, value, "important");
		if (e.matches("p, h1, dl")) e.style.setProperty("margin-bottom", "2em", "important");
	}`
	asItWas = `for (const e of document.querySelectorAll("[style]")) e.removeAttribute("style")`
)

// readSpilt finds what is cut off, or lies over what comes after it.
const readSpilt = `[...document.querySelectorAll("main, main > *")].filter(e => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML)`

// wantRoom checks that all is there without scrolling to the side: in a narrow window, at 200 %, with large text, and with
// a reader's own spacing (WCAG 2.2, 1.4.4, 1.4.10 and 1.4.12).
func wantRoom(t *testing.T, b *chromium.Tab) {
	t.Helper()
	for _, c := range []struct {
		name          string
		width, height int64
		script        string
	}{
		{"1280 pixels", 1280, 800, ""}, {"a 1280 pixels window at 200 %", 640, 400, ""}, {"at 400 %", 320, 200, ""}, {"320 pixels", 320, 568, ""},
		{"text at 200 %", 1280, 800, largeText}, {"text at 200 % on a telephone", 320, 568, largeText},
		{"spaced text", 1280, 800, spacedText}, {"spaced text on a telephone", 320, 568, spacedText},
	} {
		b.Resize(t, c.width, c.height)
		b.Script(t, c.script)
		if scrolled := chromium.Eval[float64](t, b, "document.documentElement.scrollWidth"); scrolled > float64(c.width) {
			t.Errorf("%s: the page is %g pixels wide", c.name, scrolled)
		}
		if spilt := chromium.Eval[[]string](t, b, readSpilt); len(spilt) > 0 {
			t.Errorf("%s: more is in them than is seen: %v", c.name, spilt)
		}
		card := chromium.Eval[chromium.Text](t, b, `(r => ({Left: r.left, Right: r.right, Top: r.top, Bottom: r.bottom}))(document.querySelector("main").getBoundingClientRect())`)
		end := card.Top
		for _, text := range chromium.Eval[[]chromium.Text](t, b, chromium.ReadTexts) {
			if text.Left < max(card.Left, 0) || text.Right > min(card.Right, float64(c.width)) || text.Top < max(card.Top, 0) || text.Bottom > card.Bottom || text.Right <= text.Left {
				t.Errorf("%s: %+v is not inside of the card %+v", c.name, text, card)
			}
			end = max(end, text.Bottom)
		}
		if card.Bottom-end > 200 {
			t.Errorf("%s: %g pixels below the last text are empty", c.name, card.Bottom-end)
		}
		b.Script(t, asItWas)
	}
	b.Resize(t, 1280, 800)
}

// focused is what the keyboard is at.
type focused struct {
	Name, Text, Style, Colour, Ground string
	Width, Height                     float64 // of the outline, and of what can be hit
}

const readFocused = `(e => { const s = getComputedStyle(e); return {
	Name: e.localName, Text: e.innerText, Style: s.outlineStyle, Colour: s.outlineColor, Width: parseFloat(s.outlineWidth),
	Ground: getComputedStyle(document.querySelector("main")).backgroundColor, Height: e.getBoundingClientRect().height,
}})(document.activeElement)`

// wantKeys walks through the page with the Tab key, from the heading to the link, which shows that one is there, and follows
// it with the Enter key. Where there is none, the Tab key leads out of the page.
func wantKeys(t *testing.T, b *chromium.Tab, s sight) {
	t.Helper()
	if got := chromium.Eval[focused](t, b, readFocused); got.Name != "h1" {
		t.Errorf("a reader begins at %+v, want the heading", got)
	}
	press := func(key string) focused {
		t.Helper()
		chromium.Run(t, b, chromedp.KeyEvent(key))
		return chromium.Eval[focused](t, b, readFocused)
	}
	if s.link == "" {
		if got := press(kb.Tab); got.Name != "h1" && got.Name != "body" {
			t.Errorf("the Tab key leads to %+v, where nothing is to be done", got)
		}
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		b.Prefer(t, "prefers-color-scheme", scheme)
		got := press(kb.Tab)
		ink, ground, err := chromium.Painted(got.Colour, []string{got.Ground})
		if got.Name != "a" || got.Text != s.link || got.Style == "none" || got.Width < 2 || got.Height < 24 || err != nil || chromium.Contrast(ink, ground) < 3 {
			t.Errorf("%s: the Tab key leads to %+v, want the link with an outline that is seen: %v", scheme, got, err)
		}
		b.Script(t, `document.querySelector("h1").focus()`)
	}
	if got := press(kb.Tab); got.Name != "a" {
		t.Fatalf("the Tab key leads to %+v", got)
	}
	follow(t, b, s.leadsTo)
}

// follow presses Enter, and waits for what the link leads to.
func follow(t *testing.T, b *chromium.Tab, leadsTo string) {
	t.Helper()
	b.Script(t, "window.left = true")
	chromium.Run(t, b, chromedp.KeyEvent(kb.Enter))
	arrived := fmt.Sprintf("!window.left && document.body?.innerText.includes(%q)", leadsTo)
	for deadline := time.Now().Add(3 * chromium.Patience); ; time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(b.Ctx, time.Second)
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](arrived))
		if cancel(); err == nil && there {
			return
		}
		if time.Now().After(deadline) { // between two pages there is nothing to ask, which is an error
			t.Fatalf("the link does not lead to %s: %v", leadsTo, err)
		}
	}
}

// takePictures writes what is seen, where somebody asks for it.
func takePictures(t *testing.T, b *chromium.Tab, s sight) {
	t.Helper()
	folder := os.Getenv("PARGATE_SCREENSHOTS")
	if folder == "" {
		return
	}
	shoot := func(what, scheme string, width, height int64) {
		t.Helper()
		b.Resize(t, width, height)
		b.Prefer(t, "prefers-color-scheme", scheme)
		name := fmt.Sprintf("%s %s %s.png", s.name, what, scheme)
		if err := os.WriteFile(filepath.Join(folder, strings.ReplaceAll(name, " ", "-")), chromium.Run(t, b, chromedp.CaptureScreenshot()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		shoot("360", scheme, 360, 740)
		shoot("1280", scheme, 1280, 800)
		b.Script(t, largeText)
		shoot("320 large", scheme, 320, 800)
		b.Script(t, asItWas)
		chromium.Run(t, b, chromedp.KeyEvent(kb.Tab))
		shoot("360 Tab", scheme, 360, 740)
		b.Script(t, `document.querySelector("h1").focus()`)
	}
	b.Resize(t, 1280, 800)
	b.Prefer(t)
}
