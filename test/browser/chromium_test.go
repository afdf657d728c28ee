package browser

import (
	"bytes"
	"context"
	"encoding/json"
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

// patience is how long one step may take, on a machine that has much else to do.
const patience = 20 * time.Second

// tab is the one tab of a Chromium.
type tab struct {
	ctx context.Context
	own string // the User-Agent
}

// openTab starts a Chromium, which ends with the test and leaves nothing behind.
func openTab(t *testing.T) *tab {
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
		closing, done := context.WithTimeout(ctx, patience)
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
	b := &tab{ctx: ctx}
	call(t, b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // no window has it
	b.own = eval[string](t, b, "navigator.userAgent")
	return b
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

// run runs an action.
func run[T any](t *testing.T, b *tab, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// eval returns the value of an expression on the page.
func eval[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	return run(t, b, chromedp.Evaluate[T](expression))
}

// script runs statements on the page.
func (b *tab) script(t *testing.T, statements string) {
	t.Helper()
	eval[bool](t, b, "(() => {"+statements+"; return true})()")
}

// open loads an address and returns the status of what is there in the end.
func (b *tab) open(t *testing.T, address string) int64 {
	t.Helper()
	return run(t, b, chromedp.NavigateResponse(address)).Status
}

// call sends a command of the DevTools protocol.
func call[P, R any](t *testing.T, b *tab, command cdp.Command[P, R], params P) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// speak sets the languages that the browser asks for, as in its Accept-Language; empty: its own.
func (b *tab) speak(t *testing.T, languages string) {
	t.Helper()
	call(t, b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: b.own, AcceptLanguage: languages})
}

// send adds header fields to every request from now on.
func (b *tab) send(t *testing.T, headers network.Headers) {
	t.Helper()
	call(t, b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers})
}

// prefer sets media features, pairs of name and value; those that are not named are as usual.
func (b *tab) prefer(t *testing.T, pairs ...string) {
	t.Helper()
	var features []*emulation.MediaFeature
	for i := 0; i < len(pairs); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

// resize sets the size of the window.
func (b *tab) resize(t *testing.T, width, height int64) {
	t.Helper()
	run(t, b, chromedp.EmulateViewport(width, height))
}

// spoken is a node of the accessibility tree, as a screen reader gets it.
type spoken struct {
	role, name string
	level      int // of a heading; zero: it is none
}

// tree returns the accessibility tree in its order, without what is not told.
func (b *tab) tree(t *testing.T) (nodes []spoken) {
	t.Helper()
	for _, n := range call(t, b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		node := spoken{role: text(t, n.Role), name: strings.TrimSpace(text(t, n.Name))}
		for _, property := range n.Properties {
			if property.Name == "level" {
				decode(t, property.Value, &node.level)
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
