package chromium

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"pargate/test/harness"
)

// program returns where Chromium is. Where there is none the test is skipped; where CI is true in the environment it fails
// instead.
func program(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("chromium is not installed (.ci/install chromium)")
	}
	t.Skip("the pages in a browser: skipped (chromium not on PATH)")
	return ""
}

// Patience is how long one step may take, on a machine that has much else to do.
const Patience = 20 * time.Second

// Tab is a tab of a Chromium.
type Tab struct {
	Ctx context.Context // of chromedp
	own string          // the User-Agent
}

// OpenTab starts a Chromium, which ends with the test and leaves nothing behind.
func OpenTab(t *testing.T) *Tab {
	t.Helper()
	path := program(t)
	profile, err := os.MkdirTemp("", "pargate-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.DisableGPU,
		chromedp.Env("HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile, "TMPDIR="+profile)) // it writes elsewhere too
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has no sandbox for root
	}
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closing, done := context.WithTimeout(ctx, Patience)
		if err := chromedp.Cancel(closing); err != nil {
			t.Errorf("Chromium does not end: %v", err)
		}
		done()
		cancel()
		release()
		harness.WaitFor(t, "the last process of Chromium to end", func() bool { return !inUse(profile) })
		if err := os.RemoveAll(profile); err != nil {
			t.Error(err)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // without a deadline, which would be the browser's
		t.Fatal(err)
	}
	b := &Tab{Ctx: ctx}
	Call(t, b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // no window has it
	b.own = Eval[string](t, b, "navigator.userAgent")
	return b
}

// NewTab opens another tab of the same Chromium, which ends with the test.
func (b *Tab) NewTab(t *testing.T) *Tab {
	t.Helper()
	return b.tab(t)
}

// Opens does what opens a tab of its own, as a click on a link does, and returns that tab, which ends with the test.
func (b *Tab) Opens(t *testing.T, what func()) *Tab {
	t.Helper()
	pages := func() map[target.ID]bool {
		all := map[target.ID]bool{}
		for _, one := range Call(t, b, target.GetTargets, target.GetTargetsParams{}).TargetInfos {
			if one.Type == "page" {
				all[one.TargetID] = true
			}
		}
		return all
	}
	before := pages()
	what()
	var opened target.ID
	harness.WaitFor(t, "a tab to open", func() bool {
		for id := range pages() {
			if !before[id] {
				opened = id
			}
		}
		return opened != ""
	})
	return b.tab(t, chromedp.WithTargetID(opened))
}

func (b *Tab) tab(t *testing.T, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.Ctx, options...)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	n := &Tab{Ctx: ctx, own: b.own}
	Call(t, n, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return n
}

// inUse reports whether a process names the folder in its command line, as far as the system tells.
func inUse(folder string) bool {
	if runtime.GOOS != "linux" {
		return false
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		if text, err := os.ReadFile(line); err == nil && bytes.Contains(text, []byte(folder)) {
			return true
		}
	}
	return false
}

// Run runs an action.
func Run[T any](t *testing.T, b *Tab, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Eval returns the value of an expression on the page.
func Eval[T any](t *testing.T, b *Tab, expression string) T {
	t.Helper()
	return Run(t, b, chromedp.Evaluate[T](expression))
}

// Script runs statements on the page.
func (b *Tab) Script(t *testing.T, statements string) {
	t.Helper()
	Eval[bool](t, b, "(() => {"+statements+"; return true})()")
}

// Click clicks the first element that a CSS selector finds, with the mouse, in the middle of where it is seen.
func (b *Tab) Click(t *testing.T, selector string) {
	t.Helper()
	b.clickTimes(t, selector, 1)
}

// DoubleClick clicks it twice.
func (b *Tab) DoubleClick(t *testing.T, selector string) {
	t.Helper()
	b.clickTimes(t, selector, 2)
}

func (b *Tab) clickTimes(t *testing.T, selector string, times int) {
	t.Helper()
	at := Eval[struct{ X, Y float64 }](t, b, fmt.Sprintf(`(e => { e.scrollIntoView({ block: "center", behavior: "instant" }); const r = e.getClientRects()[0]
		return { X: r.left + r.width / 2, Y: r.top + r.height / 2 } })(document.querySelector(%q))`, selector))
	for n := range times {
		Run(t, b, chromedp.MouseClickXY(at.X, at.Y, chromedp.ClickCount(n+1)))
	}
}

// Load loads an address and returns the status of what is there in the end.
func (b *Tab) Load(t *testing.T, address string) int64 {
	t.Helper()
	return Run(t, b, chromedp.NavigateResponse(address)).Status
}

// Call sends a command of the DevTools protocol.
func Call[P, R any](t *testing.T, b *Tab, command cdp.Command[P, R], params P) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Speak sets the languages that the browser asks for, as in its Accept-Language; empty: its own.
func (b *Tab) Speak(t *testing.T, languages string) {
	t.Helper()
	Call(t, b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: b.own, AcceptLanguage: languages})
}

// Send adds header fields to every request from now on.
func (b *Tab) Send(t *testing.T, headers network.Headers) {
	t.Helper()
	Call(t, b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
}

// Front brings the tab in front of the others: Chromium draws no other one.
func (b *Tab) Front(t *testing.T) {
	t.Helper()
	Call(t, b, page.BringToFront, cdp.Empty{})
}

// Prefer sets media features, pairs of name and value; those that are not named are as usual.
func (b *Tab) Prefer(t *testing.T, pairs ...string) {
	t.Helper()
	var features []*emulation.MediaFeature
	for i := 0; i < len(pairs); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	Call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// Resize sets the size of the window.
func (b *Tab) Resize(t *testing.T, width, height int64) {
	t.Helper()
	Run(t, b, chromedp.EmulateViewport(width, height))
}

// Spoken is a node of the accessibility tree, as a screen reader gets it.
type Spoken struct {
	Role, Name string
	Level      int // of a heading; zero: it is none
}

// Tree returns the accessibility tree in its order, without what is not told.
func (b *Tab) Tree(t *testing.T) (nodes []Spoken) {
	t.Helper()
	for _, n := range Call(t, b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		node := Spoken{Role: text(t, n.Role), Name: strings.TrimSpace(text(t, n.Name))}
		for _, property := range n.Properties {
			if property.Name == "level" {
				decode(t, property.Value, &node.Level)
			}
		}
		nodes = append(nodes, node)
	}
	return nodes
}

func text(t *testing.T, v *accessibility.Value) (s string) {
	t.Helper()
	if v != nil && len(v.Value) > 0 {
		decode(t, v, &s)
	}
	return s
}

func decode(t *testing.T, v *accessibility.Value, into any) {
	t.Helper()
	if err := json.Unmarshal(v.Value, into); err != nil {
		t.Fatalf("%s: %v", v.Value, err)
	}
}
