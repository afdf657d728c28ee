package test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// inFlow starts a gateway whose stand-in answers /page as handler does, with a browser in the middle of its login.
func inFlow(t *testing.T, handler http.HandlerFunc, change ...func(*proxy.Options)) (*harness.Gateway, *harness.Browser) {
	t.Helper()
	g := harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) { r.Handlers["/page"] = handler },
		Options: func(o *proxy.Options) {
			for _, f := range change {
				f(o)
			}
		},
	})
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form("nonce", "n0nce")))
	return g, b
}

// leak is an address that carries the pushed request.
const leak = "/authorize?client_id=web&state=st4te&nonce=n0nce&redirect_uri=https://app.example/cb"

func typed(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{contentType}
		if contentType == "" {
			w.Header()["Content-Type"] = nil
		}
		io.WriteString(w, body)
	}
}

func TestThePagesOfAFlowCarryNothingOfItsRequest(t *testing.T) {
	t.Parallel()
	nested := "/login?next=" + url.QueryEscape(leak)
	link := func(format string) string {
		return fmt.Sprintf(format, html.EscapeString(leak), html.EscapeString(nested))
	}
	for name, text := range map[string]string{
		"links":              link(`<p title='a>b'><a href="%s">x</a><A HREF='%s'>y</A>`),
		"forms":              link(`<form action="%s"><input type=hidden name=next value="%s"><button formaction="%[1]s">`),
		"a refresh":          link(`<meta http-equiv="refresh" content="0; url=%s"><meta content="%s">`),
		"frames":             link(`<iframe src="%s"></iframe><noscript><a href="%s"></noscript>`),
		"numeric references": strings.NewReplacer("&amp;", "&#38;", "state=", "state&#x3d;").Replace(link(`<a href="%s"><a href="%s">`)),
		"without quotes":     link(`<a href=%s><a href=%s>`),
	} {
		for _, contentType := range []string{"text/html", "text/html; charset=ISO-8859-1", "application/xhtml+xml", ""} {
			g, b := inFlow(t, typed(contentType, text))
			res := b.Get(t, "/page")
			if strings.Contains(res.Body, "st4te") || strings.Contains(res.Body, "n0nce") || !strings.Contains(res.Body, "request_uri") {
				t.Errorf("%s, %q: %s", name, contentType, res.Body)
			}
			if got := res.Header.Get("Content-Type"); got != contentType {
				t.Errorf("%s: the type is %q, was %q", name, got, contentType)
			}
			if got := g.Upstream.Last().Header.Get("Accept-Encoding"); got != "identity" {
				t.Errorf("Accept-Encoding = %q", got)
			}
			// What the page leads to is the pushed request.
			uri := html.UnescapeString(between(res.Body, "request_uri=", `"`, "'", ">", "&"))
			b.Get(t, "/authorize?client_id=web&request_uri="+uri)
			if got := g.Upstream.Last().Query(); got.Get("state") != "st4te" || got.Get("nonce") != "n0nce" || got.Get("redirect_uri") != "https://app.example/cb" {
				t.Errorf("%s: the link leads to %v", name, got)
			}
		}
	}
}

// between returns what stands behind start, up to the first of ends.
func between(s, start string, ends ...string) string {
	_, s, _ = strings.Cut(s, start)
	for _, end := range ends {
		s, _, _ = strings.Cut(s, end)
	}
	return s
}

func TestOtherPagesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	text := `<a href="` + leak + `">` + "\r\n\x00<b"
	for name, test := range map[string]struct {
		contentType string
		stranger    bool
	}{
		"a browser without a flow": {"text/html", true},
		"a script":                 {"text/javascript", false},
		"plain text":               {"text/plain", false},
		"UTF-16":                   {"text/html; charset=utf-16le", false},
		"JSON":                     {"application/json", false},
	} {
		g, b := inFlow(t, typed(test.contentType, text))
		if test.stranger {
			b = harness.NewBrowser(g.URL)
		}
		res := b.Get(t, "/page", setHeader("Accept-Encoding", "br"))
		if res.Body != text || res.Header.Get("Content-Length") != fmt.Sprint(len(text)) {
			t.Errorf("%s: %q", name, res.Body)
		}
		if got := g.Upstream.Last().Header.Get("Accept-Encoding"); (got == "br") != test.stranger {
			t.Errorf("%s: Accept-Encoding %q", name, got)
		}
	}
	_, b := inFlow(t, typed("text/html", `<a href="/authorize?client_id=other&state=st4te&nonce=n0nce"><a href='/authorize?client_id=web&state=other&nonce=n0nce'>`))
	if res := b.Get(t, "/page"); strings.Contains(res.Body, "request_uri") {
		t.Errorf("the request of another flow, where none must be pushed: %s", res.Body)
	}
}

func TestARedirectThatCarriedTheRequestHasNoBody(t *testing.T) {
	t.Parallel()
	for name, location := range map[string]string{
		"itself": leak, "absolute": "{gateway}" + leak, "at the upstream's own address": "{upstream}" + leak, "nested": "/login?next=" + url.QueryEscape(leak),
		"in another's address": "https://login.example/?return_to=" + url.QueryEscape("{gateway}"+leak),
	} {
		var g *harness.Gateway
		g, b := inFlow(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Link", "<"+leak+">; rel=next")
			w.Header().Set("Content-Location", leak)
			w.Header().Set("Location", expandNames(location, g))
			w.WriteHeader(http.StatusFound)
			io.WriteString(w, "see "+leak)
		})
		res := b.Get(t, "/page")
		if res.Status != 302 || res.Body != "" || res.Header.Get("Content-Type")+res.Header.Get("ETag")+res.Header.Get("Link")+res.Header.Get("Content-Location") != "" {
			t.Errorf("%s: %d %q %v", name, res.Status, res.Body, res.Header)
		}
		if strings.Contains(fmt.Sprint(res.Header), "st4te") || !strings.Contains(res.Location, "request_uri") {
			t.Errorf("%s: %v", name, res.Header)
		}
		if strings.Contains(res.Location, g.Upstream.URL) {
			t.Errorf("%s: leads around the gateway: %s", name, res.Location)
		}
	}
}

func expandNames(s string, g *harness.Gateway) string {
	for name, value := range map[string]string{"{gateway}": g.URL, "{upstream}": g.Upstream.URL} {
		s = strings.NewReplacer(name, value, url.QueryEscape(name), url.QueryEscape(value)).Replace(s)
	}
	return s
}

func TestARefreshHeaderCarriesNothing(t *testing.T) {
	t.Parallel()
	_, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Refresh", "3; url="+leak) })
	if got := b.Get(t, "/page").Header.Get("Refresh"); !strings.HasPrefix(got, "3; url=/authorize?client_id=web&request_uri=urn") {
		t.Errorf("Refresh: %s", got)
	}
}

func TestACompressedPageIsNotPassedUnread(t *testing.T) {
	t.Parallel()
	_, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		io.WriteString(z, `<a href="`+leak+`">`)
		z.Close()
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zipped.Bytes())
	})
	res := b.Get(t, "/page")
	if res.Header.Get("Content-Encoding") != "" || strings.Contains(res.Body, "st4te") || !strings.Contains(res.Body, "request_uri=urn") {
		t.Errorf("%v %s", res.Header, res.Body)
	}
	for _, encoding := range []string{"br", "gzip, gzip"} {
		_, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", encoding)
			io.WriteString(w, "???")
		})
		if res := b.Get(t, "/page"); res.Status != 502 || strings.Contains(res.Body, "???") {
			t.Errorf("%s: %d %s", encoding, res.Status, res.Body)
		}
	}
}

func TestABrokenPageArrivesAsFarAsItCame(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"of a known length": "999", "of an unknown length": ""} {
		g, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			io.WriteString(w, `<p><a href="`+leak+`">x</a><b`)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		res, body, err := read(t, g, b, "/page")
		if err == nil || res.StatusCode != 200 || strings.Contains(body, "st4te") || !strings.HasPrefix(body, "<p><a href=") || !strings.HasSuffix(body, ">x</a><b") {
			t.Errorf("%s: %d %q, %v", name, res.StatusCode, body, err)
		}
	}
}

// read reads a page of the gateway and how it ends.
func read(t *testing.T, g *harness.Gateway, b *harness.Browser, path string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Cookies() {
		req.AddCookie(c)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestAHugePageStaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		text := strings.Repeat("<p>x</p>\n", 1<<17) + `<a href="` + leak + `">`
		g, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if known {
				w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			}
			io.WriteString(w, text)
		})
		if _, body, err := read(t, g, b, "/page"); err != nil || body != text {
			t.Errorf("known length %t: %d of %d bytes, %v", known, len(body), len(text), err)
		}
		if g.Logs.FilterMessageSnippet("too long").Len() != 1 {
			t.Errorf("nothing is logged of it")
		}
	}
}

// A page that goes on is shown while it comes, not when it has ended.
func TestAStreamedPageStreams(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	g, b := inFlow(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "first\n")
		http.NewResponseController(w).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		io.WriteString(w, "second\n")
	})
	req, _ := http.NewRequest(http.MethodGet, g.URL+"/page", nil)
	for _, c := range b.Cookies() {
		req.AddCookie(c)
	}
	client := &http.Client{Timeout: 20 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Fatalf("%q %v", lines.Text(), lines.Err())
	}
	close(goOn)
	if !lines.Scan() || lines.Text() != "second" || lines.Scan() {
		t.Errorf("%q %v", lines.Text(), lines.Err())
	}
}

// A page that comes slowly is a page all the same, if it says how long it will be.
func TestASlowPageIsRead(t *testing.T) {
	t.Parallel()
	text := `<a href="` + leak + `">` + strings.Repeat("x", 100)
	_, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		for i := range len(text) {
			io.WriteString(w, text[i:i+1])
			http.NewResponseController(w).Flush()
		}
	})
	if res := b.Get(t, "/page"); strings.Contains(res.Body, "st4te") || !strings.Contains(res.Body, "request_uri") {
		t.Errorf("%s", res.Body)
	}
}
