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

	"pargate/test/harness"
)

func TestTheLogHasNothingOfAMalformedResponse(t *testing.T) {
	t.Parallel()
	g := inFrontOfRaw(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: https://app.example/cb?code=LEAK&state=a\x01b\r\n\r\n")
	})
	res := harness.NewBrowser(g.URL).Get(t, "/login/done")
	if res.Status != 502 || strings.Contains(res.Body, "LEAK") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "LEAK") {
			t.Errorf("the log has the code: %s", text)
		}
	}
}

func TestTheLogHasNothingOfARefusedPush(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, form := range []url.Values{harness.Form("redirect_uri", "https://evil.example/LEAK"), harness.Form("max_age", "LEAK"), harness.Form("claims", "LEAK"),
		harness.Form("resource", "LEAK"), harness.Form("scope", "%zzLEAK"), harness.Form("prompt", "none LEAK"), harness.Form("response_type", "LEAK")} {
		pushOf(t, g, form.Encode(), asWeb)
	}
	pushOf(t, g, "LEAK=%zz&client_secret=%zzLEAK", asWeb)
	pushOf(t, g, harness.Form().Encode(), setHeader("Authorization", "Basic LEAK"))
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "LEAK") {
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
	b.Get(t, harness.Short("web", uri)+"&lang=LEAK&SECRET-TICKET-12345&eyJhbGciOiJ9.LEAK")
	entries := g.Logs.FilterMessageSnippet("were dropped").All()
	if len(entries) != 1 || fmt.Sprint(entries[0].ContextMap()["names"]) != "[lang]" || entries[0].ContextMap()["others"] != int64(2) {
		t.Errorf("%v", entries)
	}
}
