package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy"
	"pargate/test/harness"
)

func TestTheLogHasNothingOfAMalformedResponse(t *testing.T) {
	t.Parallel()
	g := inFrontOfRaw(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: https://app.example/cb?code=leak8&state=a\x01b\r\n\r\n")
	})
	res := harness.NewBrowser(g.URL).Get(t, "/login/done")
	if res.Status != 502 || strings.Contains(res.Body, "leak8") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "leak8") {
			t.Errorf("the log has the code: %s", text)
		}
	}
}

func TestTheLogHasNothingOfARefusedPush(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, form := range []url.Values{harness.Form("redirect_uri", "https://evil.example/leak8"), harness.Form("max_age", "leak8"), harness.Form("claims", "leak8"),
		harness.Form("resource", "leak8"), harness.Form("scope", "%zzleak8"), harness.Form("prompt", "none leak8"), harness.Form("response_type", "leak8")} {
		pushOf(t, g, form.Encode(), asWeb)
	}
	pushOf(t, g, "leak8=%zz&client_secret=%zzleak8", asWeb)
	pushOf(t, g, harness.Form().Encode(), setHeader("Authorization", "Basic leak8"))
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "leak8") {
			t.Errorf("in the log: %s", text)
		}
	}
	if g.Logs.FilterMessage("refused").Len() < 8 {
		t.Errorf("%d refusals in the log", g.Logs.FilterMessage("refused").Len())
	}
}

func TestWhatStandsBesideAReferenceIsLoggedByNameOnly(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	b.Get(t, harness.Short("web", uri)+"&lang=leak8&SECRET-TICKET-12345&eyJhbGciOiJ9.leak8")
	entries := g.Logs.FilterMessageSnippet("or dropped").All()
	if len(entries) != 1 || fmt.Sprint(entries[0].ContextMap()["names"]) != "[lang]" || entries[0].ContextMap()["others"] != int64(2) {
		t.Errorf("%v", entries)
	}
}

func TestAPushIsLoggedWithWhatItWasCheckedBy(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	g.Push(t, "both", "b0th", harness.Form("client_id", "both"))
	entries := g.Logs.FilterMessage("pushed").All()
	if len(entries) != 1 {
		t.Fatalf("%v", entries)
	}
	got := entries[0].ContextMap()
	if fmt.Sprintf("%v %v %v %v %v %v", got["client_id"], got["method"], got["listed"], got["public"], got["checked_by_registry"], got["dry_run"]) !=
		"both client_secret_basic true false [redirect_uris response_types scope] false" {
		t.Errorf("%v", got)
	}
}

// With it an operator sees who does not push yet, before PAR is required.
func TestTheLogSaysWhetherAnAuthorizationRequestWasPushed(t *testing.T) {
	t.Parallel()
	const own = "urn:ietf:params:oauth:request_uri:"
	unpushed := func(id string) string { return "/authorize?" + harness.Form("client_id", id).Encode() }
	for _, test := range []struct {
		name, target, form string // a form is posted
		want               string // pushed and client_id; empty: neither is there
	}{
		{"by a registered client", unpushed("web"), "", "false web"},
		{"by a form", "/authorize", harness.Form().Encode(), "false web"},
		{"by another client", unpushed("leak8"), "", "false <nil>"},
		{"by two clients", unpushed("web") + "&client_id=both", "", "false <nil>"},
		{"in another spelling", "/%61uthorize?" + harness.Form().Encode(), "", "false web"},
		{"by somebody's reference", "/authorize?client_id=web&request_uri=https%3A%2F%2Fleak8.example", "", "false web"},
		{"by a reference that leads nowhere", harness.Short("web", own+strings.Repeat("x", 43)), "", ""},
		{"by a reference that is misspelt", harness.Short("web", own+"leak8"), "", ""},
		{"a page below", "/authorize/login?lang=leak8", "", ""},
		{"a login's own form", "/authorize", "username=leak8", ""},
		{"elsewhere", "/login?" + harness.Form().Encode(), "", "false web"},
		{"a part of one elsewhere", "/login?client_id=web&state=leak8", "", ""},
	} {
		for _, required := range []bool{false, true} {
			g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = required }})
			b := harness.NewBrowser(g.URL)
			if test.form != "" {
				b.Post(t, test.target, test.form)
			} else {
				b.Get(t, test.target)
			}
			if got := pushedInLog(t, g); got != test.want {
				t.Errorf("%s, required %t: %q, want %q", test.name, required, got, test.want)
			}
		}
	}

	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	harness.NewBrowser(g.URL).Open(t, "web", uri)
	if got := pushedInLog(t, g); got != "true web" {
		t.Errorf("by a reference: %q", got)
	}
}

// pushedInLog returns what the last line about a request says.
func pushedInLog(t *testing.T, g *harness.Gateway) string {
	t.Helper()
	var fields map[string]any
	harness.WaitFor(t, "the line in the log", func() bool {
		lines := g.Logs.FilterMessage("request").All()
		if len(lines) > 0 {
			fields = lines[len(lines)-1].ContextMap()
		}
		return len(lines) > 0 && fields["status"] != int64(303) && fields["status"] != int64(201)
	})
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); entry.Message != "refused" && strings.Contains(text, "leak8") {
			t.Errorf("in the log: %s", text)
		}
	}
	if fields["pushed"] == nil {
		if fields["client_id"] != nil {
			t.Errorf("a client_id alone: %v", fields)
		}
		return ""
	}
	return fmt.Sprint(fields["pushed"], " ", fields["client_id"])
}

func TestAPathIsLoggedUpToWhatMayBeAParameter(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for path, want := range map[string]string{
		"/authorize/x;code=leak8": "/authorize/x...", "/authorize/y%3Fcode%3Dleak8": "/authorize/y...", "/authorize/z%253Fleak8": "/authorize/z...",
		"/authorize/code=leak8": "/authorize/code...", "/authorize/plain": "/authorize/plain",
	} {
		harness.NewBrowser(g.URL).Get(t, path)
		harness.WaitFor(t, "the line about "+path, func() bool {
			return g.Logs.FilterMessage("request").FilterField(zap.String("path", want)).Len() == 1
		})
	}
}

// There are too many of them, and they are the upstream's business.
func TestWhatPassesThroughIsLoggedAtDebug(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for path, want := range map[string]zapcore.Level{"/page": zap.DebugLevel, "/token": zap.DebugLevel, "/authorize/page": zap.InfoLevel} {
		harness.NewBrowser(g.URL).Get(t, path)
		line := func() *observer.ObservedLogs {
			return g.Logs.FilterMessage("request").FilterField(zap.String("path", path))
		}
		harness.WaitFor(t, "the line about "+path, func() bool { return line().Len() == 1 })
		if got := line().All()[0].Level; got != want {
			t.Errorf("%s: at %v", path, got)
		}
	}
}
