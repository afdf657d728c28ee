package test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pargate/pushstore"
	"pargate/test/harness"
)

// BenchmarkHandler says what a request costs in the gateway's handler. A push and a first visit ask nobody; the others have the
// stand-in's share in them.
func BenchmarkHandler(b *testing.B) {
	g := harness.Start(b, harness.Setup{Store: pushstore.NewMemory(pushstore.MemoryOptions{MaxBytes: 1 << 40})})
	g.Logs.TakeAll()
	uri := g.Push(b, "web", "s3cret", harness.Form())
	browser := harness.NewBrowser(g.URL)
	browser.Open(b, "web", uri)
	cookie := browser.Cookies()[0].String()
	form := harness.Form().Encode()
	other := g.Push(b, "web", "s3cret", harness.Form())
	for _, row := range []struct {
		name string
		make func() *http.Request
		want int
	}{
		{"push", func() *http.Request {
			r := httptest.NewRequest("POST", "/par", strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("web", "s3cret")
			return r
		}, 201},
		{"firstVisit", func() *http.Request { return httptest.NewRequest("GET", harness.Short("web", other), nil) }, 303},
		{"authorize", func() *http.Request {
			r := httptest.NewRequest("GET", harness.Short("web", uri), nil)
			r.Header.Set("Cookie", cookie)
			return r
		}, 302},
		{"unpushed", func() *http.Request { return httptest.NewRequest("GET", "/authorize?"+form, nil) }, 302},
		{"passThrough", func() *http.Request { return httptest.NewRequest("GET", "/userinfo?x=1", nil) }, 200},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				w := httptest.NewRecorder()
				if g.Server.ServeHTTP(w, row.make()); w.Code != row.want {
					b.Fatal(w.Code, w.Body)
				}
				if n++; n%1000 == 0 {
					g.Logs.TakeAll() // or the log is what is measured
				}
			}
		})
	}
}
