package test

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"pargate/proxy"
	"pargate/test/count"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// Whatever clients and strangers write, there are as many series as at the start, and they have the same names.
func TestNoRequestMakesASeries(t *testing.T) {
	t.Parallel()
	g, m := metered(t, harness.Setup{
		Options: func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/token"] = dryAnswer(401, "", "application/json", `{"error":"invalid_client"}`)
		},
	})
	before := slices.Sorted(maps.Keys(m.read(t)))
	uri := g.Push(t, "web", "s3cret", harness.Form())
	random := func() string { return rand.Text()[:8] }
	// Each is made of something random; method, path, query, headers and form.
	makers := []func() *http.Request{
		func() *http.Request {
			return httptest.NewRequest(random(), "/"+random()+"?"+random()+"="+random(), nil)
		},
		func() *http.Request {
			return httptest.NewRequest("GET", "/authorize/"+random()+"?client_id="+random()+"&"+random()+"=1", nil)
		},
		func() *http.Request {
			return httptest.NewRequest("GET", harness.Short("web", uri)+"&"+random()+"="+random(), nil)
		},
		func() *http.Request {
			return httptest.NewRequest("GET", harness.Short(random(), "urn:ietf:params:oauth:request_uri:"+rand.Text()), nil)
		},
		func() *http.Request {
			r := httptest.NewRequest("POST", "/par", strings.NewReader("client_id="+random()+"&client_secret="+random()+"&"+random()+"=x&response_type="+random()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		},
		func() *http.Request {
			r := httptest.NewRequest("POST", "/par", strings.NewReader(harness.Form(random(), random(), "scope", random(), "response_type", random()).Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("web", []string{"s3cret", random()}[random()[0]%2])
			r.Header.Set("DPoP", random())
			return r
		},
	}
	n := count.Of(100_000)
	work := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range work {
				r := makers[i%len(makers)]()
				r.Host, r.RemoteAddr = random()+".example", "127.0.0.1:1"
				r.Header.Set(random(), random())
				r.Header.Set("User-Agent", random())
				serve(g, r)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	workers.Wait()
	after := slices.Sorted(maps.Keys(m.read(t)))
	if !slices.Equal(before, after) {
		t.Errorf("%d series before, %d after %d requests", len(before), len(after), n)
	}
	if len(before) > 2000 {
		t.Errorf("%d series", len(before))
	}
}

// serve serves a request in this process.
func serve(g *harness.Gateway, r *http.Request) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	g.Server.ServeHTTP(httptest.NewRecorder(), r)
}

func TestMetricsAreNamedAsPrometheusWantsThem(t *testing.T) {
	t.Parallel()
	_, m := metered(t, harness.Setup{})
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
