package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"pargate/test/chromium"
)

// inAChromium is one Chromium for all that people do, each in tabs of its own.
func TestInAChromium(t *testing.T) {
	b := chromium.OpenTab(t)
	for _, test := range []struct {
		name string
		is   func(*testing.T, *chromium.Tab)
	}{
		{"a person sees the whole flow", wholeFlow},
		{"every choice is signed in to by clicking", everyChoice},
		{"nobody breaks it", everyAttack},
		{"who says no is told so, and begins again", refusal},
		{"a wrong password, and the way back", mistakes},
		{"two clicks on Start are one, and two tabs are two", twice},
		{"the keyboard alone will do", keyboardAlone},
		{"it works without a script", withoutScript},
		{"the README's picture", readmesPicture},
	} {
		t.Run(test.name, func(t *testing.T) { test.is(t, b) })
	}
}

// open opens a tab with a window of the usual size.
func open(t *testing.T, b *chromium.Tab, address string) *chromium.Tab {
	t.Helper()
	n := b.NewTab(t)
	n.Resize(t, 1280, 900)
	n.Load(t, address)
	return n
}

// click clicks an element, and waits until what it leads to is there.
func click(t *testing.T, b *chromium.Tab, selector, leadsTo string) {
	t.Helper()
	b.Script(t, "window.left = true")
	b.Click(t, selector)
	await(t, b, "!window.left && ("+leadsTo+")")
}

// fill fills in the login form, as a person does.
func fill(t *testing.T, b *chromium.Tab, user, password string) {
	t.Helper()
	await(t, b, `document.querySelector("input[type=password]")`)
	b.Script(t, fmt.Sprintf(`document.querySelector("input[name=username]").value = %q; document.querySelector("input[type=password]").value = %q`, user, password))
}

// await waits until an expression is true; between two pages there is nothing to ask, which is an error.
func await(t *testing.T, b *chromium.Tab, expression string) {
	t.Helper()
	for deadline := time.Now().Add(chromium.Patience); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(b.Ctx, time.Second)
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if cancel(); err == nil && there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain for %s: %v\n%.2000s", expression, err, chromium.Eval[string](t, b, "document.documentElement.innerText"))
		}
	}
}

const (
	signedInYet = `document.querySelector("#summary table")`
	allSteps    = `[...Array(10).keys()].every(i => document.querySelector("#step-" + (i + 1) + " details"))`
)

// A person signs in by clicking: the picture in one tab, the sign-in in another, and the arrows of the one appear while the other
// goes on.
func wholeFlow(t *testing.T, b *chromium.Tab) {
	p, _ := startPicture(t, setup{})
	b = open(t, b, p.site.String()+"/")
	inspect(t, b, "choose", "")
	click(t, b, "form button", `document.querySelector("#picture")`)
	if chromium.Eval[int](t, b, `document.querySelectorAll(".steps .arrows li").length`) != 0 {
		t.Error("something is drawn before anything has happened")
	}
	inspect(t, b, "empty", "")
	picture := chromium.Eval[string](t, b, "location.href")

	login := b.Opens(t, func() { b.Click(t, "a.button") })
	await(t, login, `document.querySelector("input[type=password]")`)
	await(t, b, `document.querySelector("#step-7 details")`) // the first tab knows already
	await(t, b, `document.querySelector("#state").innerText.includes("has begun")`)
	if chromium.Eval[bool](t, b, `!!document.querySelector("#step-8 details")`) {
		t.Error("a step is drawn that has not happened")
	}
	if address := chromium.Eval[string](t, login, "location.href"); strings.Contains(address, "state=") || strings.Contains(address, "claims") {
		t.Errorf("the address bar shows %s", address)
	}
	fill(t, login, userName, password)
	click(t, login, "button", `document.body.innerText.includes("Signed in as")`)
	await(t, b, signedInYet)
	await(t, b, allSteps)
	click(t, login, "a", `document.querySelector("#picture")`)
	if back := chromium.Eval[string](t, login, "location.href"); back != picture {
		t.Errorf("the client's link leads to %s, want %s", back, picture)
	}
	// What a Chromium itself has had in its addresses is what was measured.
	c := p.takes[0].outcome().Summary
	if c == nil || c.With.InHistory != "" || c.With.InReferer != "" || c.With.Parameters != 2 || c.Without.Parameters != 12 || c.Without.Address < 10*c.With.Address {
		t.Errorf("%+v", p.takes[0].outcome())
	}
	inspect(t, b, "run", ".arrows > li:first-child > details")
	wantKeyboard(t, b)
	wantLists(t, b)
}

// At every server, with the large request and the signed one, somebody signs in with nothing but clicks and a password.
func everyChoice(t *testing.T, b *chromium.Tab) {
	p, _ := startPicture(t, setup{})
	for _, server := range serverKinds {
		for _, request := range []requestKind{bigRequest, signedRequest} {
			t.Run(server.Key+" "+string(request), func(t *testing.T) {
				b := open(t, b, p.site.String()+"/")
				b.Click(t, fmt.Sprintf("input[value=%q]", server.Key))
				b.Click(t, fmt.Sprintf("input[value=%q]", request))
				click(t, b, "form button", `document.querySelector("#picture")`)
				login := b.Opens(t, func() { b.Click(t, "a.button") })
				fill(t, login, server.User, server.Password)
				click(t, login, "button", `!document.querySelector("input[type=password]")`)
				if chromium.Eval[bool](t, login, `!!document.querySelector("form")`) {
					click(t, login, "form button", `!document.querySelector("form")`) // consent
				}
				await(t, login, `document.body.innerText.includes("Signed in")`)
				await(t, b, signedInYet+" && "+allSteps)
				e := p.takes[len(p.takes)-1].outcome()
				if e.Summary == nil || e.Summary.With.Parameters != 2 || (e.Summary.With.InHistory == "") != (server.Key != "hydra") {
					t.Errorf("%+v %+v", e, e.Summary)
				}
			})
		}
	}
}

// Every button is clicked, and shows that it did not work.
func everyAttack(t *testing.T, b *chromium.Tab) {
	p, v := startPicture(t, setup{})
	page := v.post(t, "/runs", "request=signed&server=django")
	v.post(t, page.at+"/sign-in", "") // its arrows are on the page too
	v.get(t, page.at+"/events?after=0")
	b = open(t, b, p.site.String()+page.at)
	for _, a := range attacks {
		verdict := fmt.Sprintf(`document.querySelector("#break-%s").parentElement.querySelector(".verdict")`, a.Key)
		click(t, b, fmt.Sprintf(`form[action$="/break/%s"] button`, a.Key), verdict)
		if text := chromium.Eval[string](t, b, verdict+".innerText"); !strings.HasPrefix(text, "✓") {
			t.Errorf("%s: %s", a.Name, text)
		}
	}
	takePicturesOf(t, b, "attack", ".attacks > li")
	b.Script(t, `for (const e of document.querySelectorAll("details > .sides")) e.remove()`) // nobody sees them
	if twice := chromium.Eval[[]string](t, b, `[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(twice) > 0 {
		t.Errorf("two elements have the name %v", twice)
	}
	inspect(t, b, "broken", "")
}

// Who clicks Deny sees in the picture what the client was told, and that the request is finished; one click begins again.
func refusal(t *testing.T, b *chromium.Tab) {
	p, v := startPicture(t, setup{})
	page := v.post(t, "/runs", "request=small&server=django")
	b = open(t, b, p.site.String()+page.at)
	login := b.Opens(t, func() { b.Click(t, "a.button") })
	server := serverNamed("django")
	fill(t, login, server.User, server.Password)
	click(t, login, "button", `document.querySelector("button[name=deny]")`)
	click(t, login, "button[name=deny]", `document.body.innerText.includes("access_denied")`)
	await(t, b, `document.querySelector("#summary").innerText.includes("Nobody was signed in")`)
	if text := chromium.Eval[string](t, b, `document.querySelector("main").innerText`); !strings.Contains(text, "access_denied") || !strings.Contains(text, "as finished") || !strings.Contains(text, "has ended") {
		t.Errorf("%.3000s", text)
	}
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9} {
		if !chromium.Eval[bool](t, b, fmt.Sprintf(`!!document.querySelector("#step-%d li:last-child details")`, n)) {
			t.Errorf("step %d has no arrow", n)
		}
	}
	if last := chromium.Eval[string](t, b, `document.querySelector("#step-9 li:last-child").innerText`); !strings.Contains(last, "403") {
		t.Errorf("the last arrow of step 9 is %s", last)
	}
	inspect(t, b, "refused", "")
	click(t, b, "#summary button", `document.querySelector("a.button")`)
	again := b.Opens(t, func() { b.Click(t, "a.button") })
	if !chromium.Eval[bool](t, again, `!!document.querySelector("button[name=allow]")`) { // the server's session is another one
		fill(t, again, server.User, server.Password)
		click(t, again, "button", `document.querySelector("button[name=allow]")`)
	}
	click(t, again, "button[name=allow]", `document.body.innerText.includes("Signed in")`)
	await(t, b, signedInYet+" && "+allSteps)
}

// Who mistypes the password, goes back and signs in from there ends as everybody does; who goes back once more, and sends the form
// again, is told that it has ended, by pargate or by the server.
func mistakes(t *testing.T, b *chromium.Tab) {
	p, v := startPicture(t, setup{})
	for _, key := range []string{"zitadel", "express"} {
		server := serverNamed(key)
		page := v.post(t, "/runs", "request=small&server="+key)
		b := open(t, b, p.site.String()+page.at)
		login := b.Opens(t, func() { b.Click(t, "a.button") })
		fill(t, login, server.User, "mistyped")
		click(t, login, "button", `document.querySelector("input[type=password]")`)
		first := chromium.Eval[int](t, login, "history.length")
		login.Script(t, "history.back()")
		await(t, login, `document.querySelector("input[type=password]")`)
		fill(t, login, server.User, server.Password)
		click(t, login, "button", `document.body.innerText.includes("Signed in")`)
		await(t, b, signedInYet+" && "+allSteps)
		drawn := chromium.Eval[int](t, b, `document.querySelectorAll(".steps .arrows li").length`)
		login.Script(t, "history.back()") // perhaps to a page that was kept as it was
		await(t, login, fmt.Sprintf(`!location.href.startsWith(%q) && document.readyState === "complete"`, p.takes[len(p.takes)-1].demo.clientSite))
		t.Logf("%s: back from the end, after %d pages: %.200q", key, first, chromium.Eval[string](t, login, "document.body.innerText"))
		if chromium.Eval[bool](t, login, `!!document.querySelector("input[type=password]")`) {
			fill(t, login, server.User, server.Password)
			login.Script(t, "delete window.left")
			click(t, login, "button", `document.readyState === "complete"`)
			text := chromium.Eval[string](t, login, "document.body.innerText")
			t.Logf("%s: sent again: %.300q", key, text)
			if strings.Contains(text, "Signed in") {
				t.Error("a form that is sent again signs in again")
			}
		}
		if now := chromium.Eval[int](t, b, `document.querySelectorAll(".steps .arrows li").length`); now != drawn {
			t.Errorf("%d arrows were drawn after the end", now-drawn)
		}
	}
}

// A double click on Start starts one page, two tabs are two, and the second tab of one page's sign-in is told that it has begun.
func twice(t *testing.T, b *chromium.Tab) {
	p, _ := startPicture(t, setup{})
	one := open(t, b, p.site.String()+"/")
	one.Script(t, "window.left = true")
	one.DoubleClick(t, "form button")
	await(t, one, `!window.left && document.querySelector("#picture")`)
	if n := len(p.takes); n != 1 {
		t.Errorf("a double click starts %d pages", n)
	}
	two := open(t, b, p.site.String()+"/")
	click(t, two, "form button", `document.querySelector("#picture")`)
	if n := len(p.takes); n != 2 {
		t.Fatalf("two tabs start %d pages", n)
	}
	login := two.Opens(t, func() { two.Click(t, "a.button") })
	await(t, two, `document.querySelector("#step-7 details")`)
	if chromium.Eval[int](t, one, `document.querySelectorAll(".steps .arrows li").length`) != 0 {
		t.Error("one tab draws what happens in the other")
	}
	again := open(t, b, p.takes[1].Begins())
	if text := chromium.Eval[string](t, again, "document.body.innerText"); !strings.Contains(text, "has begun already") {
		t.Errorf("the same sign-in again: %s", text)
	}
	fill(t, login, userName, password)
	click(t, login, "button", `document.body.innerText.includes("Signed in as")`)
	await(t, two, signedInYet+" && "+allSteps)
}

// Somebody without a mouse chooses, starts, signs in and comes back to where the focus was.
func keyboardAlone(t *testing.T, b *chromium.Tab) {
	p, _ := startPicture(t, setup{})
	b = open(t, b, p.site.String()+"/")
	press := func(b *chromium.Tab, keys string) { t.Helper(); chromium.Run(t, b, chromedp.KeyEvent(keys)) }
	b.Script(t, "window.left = true")
	press(b, kb.Tab)
	for range 4 { // to the express-like server
		press(b, kb.ArrowDown)
	}
	press(b, kb.Tab)
	press(b, kb.ArrowDown) // to the small request
	press(b, kb.Tab)
	press(b, kb.Enter)
	await(t, b, `!window.left && document.querySelector("#picture")`)
	if k := p.takes[0]; k.Server.Key != "express" || k.Request != smallRequest {
		t.Errorf("chosen are %s and %s", k.Server.Key, k.Request)
	}
	for range 2 { // past the way back
		press(b, kb.Tab)
	}
	login := b.Opens(t, func() { press(b, kb.Enter) })
	await(t, login, `document.querySelector("input[type=password]")`)
	await(t, b, `document.querySelector("#state").innerText.includes("has begun")`)
	if id := chromium.Eval[string](t, b, "document.activeElement.id"); id != "state" {
		t.Errorf("the focus is at %q, want where it was", id)
	}
	press(login, kb.Tab)
	press(login, p.takes[0].Server.User)
	press(login, kb.Tab)
	press(login, p.takes[0].Server.Password)
	press(login, kb.Enter)
	await(t, login, `document.body.innerText.includes("Signed in")`)
	await(t, b, signedInYet+" && "+allSteps)
	press(b, kb.Tab)
	if text := chromium.Eval[string](t, b, "document.activeElement.innerText"); text != "Start the same again" {
		t.Errorf("the next stop of the Tab key is %q", text)
	}
}

// Without a script the page refreshes itself until all is there, and holds still for who wants to read.
func withoutScript(t *testing.T, b *chromium.Tab) {
	p, v := startPicture(t, setup{})
	b = b.NewTab(t)
	b.Resize(t, 1280, 900)
	chromium.Call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.Load(t, p.site.String()+"/")
	b.Click(t, "input[value=express]")
	b.Click(t, "form button")
	await(t, b, `document.querySelector("#picture")`)
	page := sight{at: chromium.Eval[string](t, b, "location.pathname")}
	const refresh = `<noscript><meta http-equiv="refresh"`
	if text := v.get(t, page.at).text; !strings.Contains(text, refresh) { // it is open while somebody signs in elsewhere
		t.Error("a page on which nothing has begun does not refresh")
	}
	if text := v.get(t, page.at+"?still").text; strings.Contains(text, refresh) || !strings.Contains(text, "Let it refresh") {
		t.Error("a page that is to hold still does not")
	}
	login := b.Opens(t, func() { b.Click(t, "a.button") })
	await(t, login, `document.querySelector("input[type=password]")`)
	if text := v.get(t, page.at).text; !strings.Contains(text, refresh) {
		t.Error("a page that is not complete does not refresh")
	}
	server := serverNamed("express")
	fill(t, login, server.User, server.Password)
	login.Click(t, "button")
	await(t, login, `document.body.innerText.includes("Signed in")`)
	await(t, b, signedInYet+" && "+allSteps)
	if text := v.get(t, page.at).text; strings.Contains(text, refresh) {
		t.Error("a page that is complete goes on refreshing")
	}
}

// inspect looks at the page as it is: in every colour, in narrow and wide windows, closed and with what is named opened.
func inspect(t *testing.T, b *chromium.Tab, name, opened string) {
	t.Helper()
	b.Front(t)
	for _, open := range []bool{false, true} {
		what := name
		if open && opened == "" {
			break
		}
		if open {
			what += "-open"
			b.Script(t, fmt.Sprintf(`for (const e of document.querySelectorAll(%q)) e.open = true`, opened))
		}
		b.Resize(t, 1280, 900)
		chromium.WantColours(t, b)
		for _, width := range []int64{320, 360, 768, 1280, 1920} {
			b.Resize(t, width, 800)
			if scrolled := chromium.Eval[float64](t, b, "document.documentElement.scrollWidth"); scrolled > float64(width) {
				t.Errorf("%s: at %d pixels the page is %g wide, because of %s", what, width, scrolled, chromium.Eval[string](t, b,
					fmt.Sprintf(`[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > %d).map(e => e.outerHTML.slice(0, 100)).at(-1) ?? "nothing"`, width)))
			}
			if width != 360 {
				continue
			}
			for _, text := range chromium.Eval[[]chromium.Text](t, b, chromium.ReadTexts) {
				if text.Right > text.Left && (text.Left < -1 || text.Right > float64(width)+1) {
					t.Errorf("%s: at %d pixels %q is at %g to %g", what, width, text.Text, text.Left, text.Right)
					break
				}
			}
		}
		small := chromium.Eval[[]string](t, b, `[...document.querySelectorAll("button, a.button, summary")].filter(e => e.getBoundingClientRect().height < 24).map(e => e.innerText)`)
		if len(small) > 0 {
			t.Errorf("%s: too small to hit: %v", what, small)
		}
		takePictures(t, b, what)
	}
	b.Script(t, `for (const e of document.querySelectorAll("details")) e.open = false`)
	b.Resize(t, 1280, 900)
}

// wantKeyboard walks with the Tab key: the arrows come in the order of the steps, each shows that it is there, and Enter opens it.
func wantKeyboard(t *testing.T, b *chromium.Tab) {
	t.Helper()
	arrows := chromium.Eval[[]string](t, b, `[...document.querySelectorAll(".steps .arrows > li")].map(e => e.id)`)
	var steps []int
	var walked []string
	b.Script(t, `document.querySelector("#picture").tabIndex = -1; document.querySelector("#picture").focus()`)
	for range arrows {
		chromium.Run(t, b, chromedp.KeyEvent(kb.Tab))
		at := chromium.Eval[struct {
			ID, Outline, Colour, Ground string
			Step                        int
			Width                       float64
		}](t, b, `(e => { const s = getComputedStyle(e); return { ID: e.closest("li")?.id ?? "", Step: parseInt(e.closest("ol")?.id.slice(5) ?? "0"), Outline: s.outlineStyle,
			Width: parseFloat(s.outlineWidth), Colour: s.outlineColor, Ground: getComputedStyle(document.body).backgroundColor } })(document.activeElement)`)
		ink, ground, err := chromium.Painted(at.Colour, []string{at.Ground})
		if at.Outline == "none" || at.Width < 2 || err != nil || chromium.Contrast(ink, ground) < 3 {
			t.Errorf("%s does not show that the keyboard is there: %+v %v", at.ID, at, err)
		}
		walked, steps = append(walked, at.ID), append(steps, at.Step)
	}
	slices.Sort(arrows)
	if !slices.IsSorted(steps) || len(steps) == 0 || steps[0] != 1 || steps[len(steps)-1] != 10 {
		t.Errorf("the Tab key goes through the steps as %v", steps)
	}
	if slices.Sort(walked); !slices.Equal(walked, arrows) {
		t.Errorf("the Tab key leads to %v, want %v", walked, arrows)
	}
	chromium.Run(t, b, chromedp.KeyEvent(kb.Enter))
	if !chromium.Eval[bool](t, b, `document.activeElement.parentElement.open`) {
		t.Error("Enter does not open an arrow")
	}
}

// wantLists checks what a screen reader is told: one list item for each step and for each arrow, with who and to whom in its name.
func wantLists(t *testing.T, b *chromium.Tab) {
	t.Helper()
	var main, headings int
	var arrows []string
	for _, n := range b.Tree(t) {
		switch n.Role {
		case "main":
			main++
		case "heading":
			headings++
		case "DisclosureTriangle":
			arrows = append(arrows, n.Name)
		}
	}
	drawn := chromium.Eval[int](t, b, `document.querySelectorAll(".arrows > li > details > summary").length`)
	if main != 1 || headings < len(steps)+len(attacks) || len(arrows) < 40 {
		t.Errorf("%d main, %d headings, %d arrows of %d", main, headings, len(arrows), drawn)
	}
	for _, name := range arrows {
		if !strings.Contains(name, " to ") && !strings.HasPrefix(name, "Before") {
			t.Errorf("an arrow is called %q", name)
		}
	}
	if loose := chromium.Eval[int](t, b, `[...document.querySelectorAll(".arrow")].filter(e => !e.closest("li")).length`); loose > 0 {
		t.Errorf("%d arrows are no list items", loose)
	}
}

// The README's picture is what a Chromium shows. This makes it again:
//
//	PARGATE_SCREENSHOTS=$PWD/docs go test -run InAChromium/README ./cmd/pargate-demo
func readmesPicture(t *testing.T, b *chromium.Tab) {
	folder := os.Getenv("PARGATE_SCREENSHOTS")
	p, v := startPicture(t, setup{})
	page := v.post(t, "/runs", "request=big&server=express")
	b = b.NewTab(t)
	b.Resize(t, 1000, 900)
	b.Load(t, p.site.String()+page.at)
	click(t, b, "#state form button", signedInYet+" && "+allSteps)
	// The steps in which the request is on its way.
	b.Script(t, `for (const e of document.querySelectorAll("section.start, #picture, #picture + p, .steps > li:nth-child(n+8), .beside, main > h1, main > p, [aria-labelledby=break]")) e.remove()`)
	b.Resize(t, 1000, int64(chromium.Eval[float64](t, b, "document.documentElement.scrollHeight")))
	picture := chromium.Run(t, b, chromedp.CaptureScreenshot())
	file := "../../docs/par-happens.png"
	if folder != "" {
		file = filepath.Join(folder, "par-happens.png")
		if err := os.WriteFile(file, packed(t, picture), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil || len(content) > 300_000 || shown.Width != seen.Width || shown.Height < seen.Height*9/10 || shown.Height > seen.Height*11/10 { // fonts differ
		t.Errorf("the picture has %d bytes and is %d × %d, want less than 300 KB and about %d × %d: %v", len(content), shown.Width, shown.Height, seen.Width, seen.Height, err)
	}
}

// packed makes a screenshot small: with the 256 colours that it has most of.
func packed(t *testing.T, screenshot []byte) []byte {
	t.Helper()
	seen, err := png.Decode(bytes.NewReader(screenshot))
	if err != nil {
		t.Fatal(err)
	}
	pixels, ok := seen.(*image.RGBA)
	if !ok {
		t.Fatalf("the screenshot is a %T", seen)
	}
	at := func(i int) color.RGBA {
		return color.RGBA{pixels.Pix[i], pixels.Pix[i+1], pixels.Pix[i+2], pixels.Pix[i+3]}
	}
	count := map[color.RGBA]int{}
	for i := 0; i < len(pixels.Pix); i += 4 {
		count[at(i)]++
	}
	var palette color.Palette
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	for _, c := range colours {
		nearest[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(seen.Bounds(), palette)
	for i := range few.Pix {
		few.Pix[i] = nearest[at(4*i)]
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, few); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// takePicturesOf writes each element of a list on its own.
func takePicturesOf(t *testing.T, b *chromium.Tab, name, each string) {
	t.Helper()
	if os.Getenv("PARGATE_SCREENSHOTS") == "" {
		return
	}
	for i := range chromium.Eval[int](t, b, fmt.Sprintf(`document.querySelectorAll(%q).length`, each)) {
		b.Script(t, fmt.Sprintf(`for (const [i, e] of document.querySelectorAll(%q).entries()) e.hidden = i !== %d
			for (const e of document.querySelectorAll("main > *:not([aria-labelledby=break])")) e.hidden = true`, each, i))
		takePictures(t, b, fmt.Sprintf("%s-%d", name, i+1))
	}
	b.Script(t, `for (const e of document.querySelectorAll("[hidden]")) e.hidden = false`)
	b.Resize(t, 1280, 900)
}

// takePictures writes what is seen, where somebody asks for it.
func takePictures(t *testing.T, b *chromium.Tab, name string) {
	t.Helper()
	folder := os.Getenv("PARGATE_SCREENSHOTS")
	if folder == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			b.Prefer(t, "prefers-color-scheme", scheme)
			b.Resize(t, width, 800)
			height := chromium.Eval[float64](t, b, "document.documentElement.scrollHeight")
			b.Resize(t, width, int64(math.Min(height, 6000)))
			file := filepath.Join(folder, fmt.Sprintf("demo-%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, chromium.Run(t, b, chromedp.CaptureScreenshot()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Prefer(t)
}
