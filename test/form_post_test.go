package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
)

// formPost is a page that sends an authorization response by itself.
const formPost = `<!DOCTYPE html><html><body onload="document.forms[0].submit()"><form method="post" action="https://app.example/cb">` +
	`<input type="hidden" name="code" value="c0de"/><input type="hidden" name="state" value="st4te"/><noscript><button>Go on</button></noscript></form></body></html>`

func TestFormPostEndsAFlowOnce(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/html", ""} {
		broken := &strangeStore{Store: memory(), finish: func(context.Context) (bool, bool, error) { return false, false, errors.New("away") }}
		for _, store := range []pushstore.Store{memory(), broken} {
			g, b := inFlow(t, typed(contentType, formPost), required, func(o *proxy.Options) { o.Store = store })
			res := b.Get(t, "/page")
			if store == broken {
				if res.Status != 503 || strings.Contains(res.Body, "c0de") || !strings.Contains(res.Body, "request_uri") {
					t.Errorf("without the store: %d %s", res.Status, res.Body)
				}
				continue
			}
			want := strings.Replace(formPost, `app.example/cb">`, `app.example/cb"><input type="hidden" name="iss" value="`+g.URL+`"/>`, 1)
			if res.Status != 200 || res.Body != want || res.Header.Get("Content-Type") != contentType {
				t.Errorf("%q: %d %s\n%s", contentType, res.Status, res.Header, res.Body)
			}
			if res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", res.Header)
			}
			if res = b.Get(t, "/page"); res.Status != 400 || strings.Contains(res.Body, "c0de") {
				t.Errorf("a second time: %d %s", res.Status, res.Body)
			}
		}
	}
}

func TestFormPostGetsIssOnceAndNowhereElse(t *testing.T) {
	t.Parallel()
	field := func(issuer string) string { return `<input name=iss value="` + issuer + `">` }
	for name, test := range map[string]struct {
		text   func(gateway string) string
		fields int // of iss on the page
		status int
	}{
		"there already": {func(g string) string { return strings.Replace(formPost, `<noscript>`, field(g)+`<noscript>`, 1) }, 1, 200},
		"another one": {func(string) string {
			return strings.Replace(formPost, `<noscript>`, field("https://evil.example")+`<noscript>`, 1)
		}, 0, 502},
		"an error":          {func(string) string { return strings.Replace(formPost, `name="code"`, `name="error"`, 1) }, 1, 200},
		"twice the same":    {func(string) string { return formPost + formPost }, 2, 200},
		"another beside it": {func(string) string { return formPost + `<form action="https://other.example/"><input name=q></form>` }, 1, 200},
		"two responses":     {func(string) string { return formPost + strings.Replace(formPost, "c0de", "other", 1) }, 0, 502},
		"no response":       {func(string) string { return `<form action="https://app.example/cb"><input name=q></form>` }, 0, 200},
		"a form of its own": {func(string) string { return `<form action="/login"><input name=code></form>` }, 0, 200},
		"signed":            {func(string) string { return strings.Replace(formPost, `name="code"`, `name="response"`, 1) }, 0, 200},
		"by a button": {func(string) string {
			return strings.Replace(formPost, "<button>", `<button formaction="//app.example/cb">`, 1)
		}, 1, 200},
		"with a base": {func(string) string {
			return `<base href="https://app.example/x/">` + strings.Replace(formPost, "https://app.example/cb", "../cb", 1)
		}, 1, 200},
		"a response, broken": {func(string) string { return formPost[:strings.Index(formPost, "<noscript")] }, 1, 200},
	} {
		var g *harness.Gateway
		g, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, test.text(g.URL))
		})
		res := b.Get(t, "/page")
		if got := strings.Count(res.Body, "iss"); res.Status != test.status || got != test.fields {
			t.Errorf("%s: %d, iss %d times: %s", name, res.Status, got, res.Body)
		}
		if test.status != 200 && strings.Contains(res.Body, "c0de") {
			t.Errorf("%s: %s", name, res.Body)
		}
	}
	_, b := inFlow(t, typed("text/html", formPost), func(o *proxy.Options) { o.AddIssuer = false })
	if res := b.Get(t, "/page"); res.Body != formPost {
		t.Errorf("off: %s", res.Body)
	}
}

// Where every client must push, a page with a code that belongs to no flow of this browser does not pass, as long as it is
// a page of the authorization endpoint's.
func TestTheGuardLooksAtPagesToo(t *testing.T) {
	t.Parallel()
	for _, must := range []bool{true, false} {
		g, _ := inFlow(t, nil, func(o *proxy.Options) { o.PARRequired = must })
		g.Upstream.Handlers["/authorize/done"] = typed("text/html", formPost)
		res := harness.NewBrowser(g.URL).Get(t, "/authorize/done", setHeader("Accept-Encoding", "gzip"))
		if passed := strings.Contains(res.Body, "c0de"); passed == must || (res.Status == 400) != must {
			t.Errorf("required %t: %d %s", must, res.Status, res.Body)
		}
		g.Upstream.Handlers["/authorize/done"] = typed("text/html", strings.Replace(formPost, `"code"`, `"error"`, 1))
		if res := harness.NewBrowser(g.URL).Get(t, "/authorize/done"); res.Status != 200 {
			t.Errorf("required %t, an error: %d", must, res.Status)
		}
	}
}

func TestAResponseInARefreshEndsItsFlowToo(t *testing.T) {
	t.Parallel()
	const response = "https://app.example/cb?code=c0de&state=st4te"
	for name, handler := range map[string]http.HandlerFunc{
		"a header":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Refresh", "0; url="+response) },
		"a page":    typed("text/html", `<meta http-equiv="refresh" content="0;url=`+strings.ReplaceAll(response, "&", "&amp;")+`">`),
		"an action": typed("text/html", `<form action="`+strings.ReplaceAll(response, "&", "&amp;")+`"></form>`),
	} {
		_, b := inFlow(t, handler, required)
		if res := b.Get(t, "/page"); res.Status != 200 || !strings.Contains(fmt.Sprint(res.Header, res.Body), "c0de") {
			t.Errorf("%s: %d", name, res.Status)
		}
		if res := b.Get(t, "/page"); res.Status != 400 || strings.Contains(fmt.Sprint(res.Header, res.Body), "c0de") {
			t.Errorf("%s, again: %d", name, res.Status)
		}
	}
}
