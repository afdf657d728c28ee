package test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// What a request that is made to cost much may cost here: far more than any of them does, and far less than what it tries
// for.
const (
	hostileTime   = 2 * time.Second // of CPU, since the machine may have other work
	hostileMemory = 16 << 20        // bytes that are allocated in all, for one request

	hostilePageTime   = 2 * time.Second // likewise, for a page of 256 KiB
	hostilePageMemory = 160 << 20
)

// zeros yields a byte over and over.
type zeros byte

func (z zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(z)
	}
	return len(b), nil
}

// bomb is a gzip stream of 64 MiB in as many KiB.
func bomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.CopyN(w, zeros('a'), 64<<20); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String()
}

// measured says how much CPU f took, the client's and the upstream's with it, and what was allocated meanwhile. Nothing
// else may run.
func measured(f func()) (took time.Duration, allocated uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpuTime()
	f()
	took = cpuTime() - start
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // it does not fail
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestHostileBodiesCostLittle is not parallel: it measures what the process allocates.
func TestHostileBodiesCostLittle(t *testing.T) {
	const million = 1_000_000
	large := func(o *proxy.Options) { o.MaxPushBytes = 1 << 20 }
	compressed := bomb(t)
	form := func(changes ...string) string { return harness.Form(changes...).Encode() }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	const assertion = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="
	nested := func(open, end string) string { return strings.Repeat(open, 20_000) + strings.Repeat(end, 20_000) }
	for _, c := range []struct {
		name, path string
		body       io.Reader
		change     []func(*http.Request)
		statuses   []int
	}{
		{"a gzip bomb as a push", "/par", strings.NewReader(compressed), []func(*http.Request){asWeb, header("Content-Encoding", "gzip")}, []int{415}},
		{"a gzip bomb as an authorization request", "/authorize", strings.NewReader(compressed), []func(*http.Request){header("Content-Encoding", "gzip")}, []int{415, 413}},
		{"a push that says identity", "/par", strings.NewReader(form()), []func(*http.Request){asWeb, header("Content-Encoding", "identity")}, []int{415}},
		{"a gigabyte in chunks as a push", "/par", chunked{io.LimitReader(zeros('a'), 1<<30)}, []func(*http.Request){asWeb}, []int{413}},
		{"a gigabyte in chunks as an authorization request", "/authorize", chunked{io.LimitReader(zeros('a'), 1<<30)}, nil, []int{413}},
		{"a million &", "/par", strings.NewReader(strings.Repeat("&", million)), []func(*http.Request){asWeb}, []int{400}},
		{"a million & at the authorization endpoint", "/authorize", strings.NewReader(strings.Repeat("&", million)), nil, []int{413}},
		{"half a million parameters", "/par", strings.NewReader(strings.Repeat("a&", million/2)), []func(*http.Request){asWeb}, []int{400}},
		{"a million dots as an assertion", "/par", strings.NewReader("client_id=signer" + assertion + strings.Repeat(".", million)), nil, []int{400, 401}},
		{"a million dots as a request object", "/par", strings.NewReader("client_id=signer&request=" + strings.Repeat(".", million)), []func(*http.Request){func(r *http.Request) { r.SetBasicAuth("signer", "a-secret-of-at-least-thirty-two-bytes") }}, []int{400}},
		{"an assertion of one long part", "/par", strings.NewReader("client_id=signer" + assertion + strings.Repeat("e", million) + "..x"), nil, []int{400, 401}},
		{"a DPoP proof of 60 KiB", "/par", strings.NewReader(form()), []func(*http.Request){asWeb, header("DPoP", strings.Repeat("e", 60<<10))}, []int{201, 400}},
		{"a DPoP proof of 60 KiB of dots", "/par", strings.NewReader(form()), []func(*http.Request){asWeb, header("DPoP", strings.Repeat(".", 60<<10))}, []int{201, 400}},
		{"claims that are nested deeply", "/par", strings.NewReader(form("claims", nested(`{"a":`, "}"))), []func(*http.Request){asWeb}, []int{400, 413}},
		{"authorization_details that are nested deeply", "/par", strings.NewReader(form("authorization_details", nested("[", "]"))), []func(*http.Request){asWeb}, []int{400, 413}},
		{"a million escapes", "/par", strings.NewReader("client_id=web&x=" + strings.Repeat("%41", million/3)), []func(*http.Request){asWeb}, []int{400, 413}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := harness.Start(t, harness.Setup{
				Clients: `[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]},
					{"client_id": "signer", "client_secret": "a-secret-of-at-least-thirty-two-bytes", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_jwt"]}]`,
				Options: func(o *proxy.Options) { large(o); o.PARRequired = true },
			})
			var status int
			took, allocated := measured(func() { status = sendHostile(t, g.URL+c.path, c.body, c.change) })
			ok := status == 0 // cut off while it sent, which a client that goes on sending may be
			for _, want := range c.statuses {
				ok = ok || status == want
			}
			if !ok || took > hostileTime || allocated > hostileMemory {
				t.Errorf("%d in %v with %d KiB, want one of %v in %v with %d KiB", status, took, allocated>>10, c.statuses, hostileTime, hostileMemory>>10)
			}
			t.Logf("%d in %v with %d KiB", status, took, allocated>>10)
			if got := g.Upstream.Requests(); len(got) > 0 {
				t.Errorf("the upstream got %s %s", got[0].Method, got[0].Target)
			}
			g.Push(t, "web", "s3cret", harness.Form()) // all is as before
		})
	}
}

// sendHostile returns the status of the answer; 0 when there was none.
func sendHostile(t *testing.T, address string, body io.Reader, change []func(*http.Request)) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	asForm(r)
	for _, f := range change {
		f(r)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// Sizes around the limit, as it is unless it is set.
func TestABodyOf64KiBIsTheLargestOne(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.MaxQueryBytes = 1 << 20 }})
	for size, want := range map[int]int{64<<10 - 1: 201, 64 << 10: 201, 64<<10 + 1: 413} {
		form := harness.Form().Encode() + "&pad="
		form += strings.Repeat("p", size-len(form))
		for _, body := range []io.Reader{strings.NewReader(form), chunked{strings.NewReader(form)}} {
			if res := harness.NewBrowser(g.URL).Do(t, "POST", "/par", body, asForm, asWeb); res.Status != want {
				t.Errorf("%d bytes: %d %s", size, res.Status, res.Body)
			}
		}
	}
}

// Pages that are made to be read for long, for a browser whose pages are read. Not parallel: it measures.
func TestHostilePagesCostLittle(t *testing.T) {
	const size = 256 << 10
	repeated := func(text string) string { return strings.Repeat(text, size/len(text)) }
	percent := "/authorize?client_id=web&state=st4te"
	for range 40 {
		percent = "/x?u=" + url.QueryEscape(percent)
		if len(percent) > 200_000 {
			break
		}
	}
	for name, page := range map[string]string{
		"tags that never end":              repeated("<a href="),
		"brackets":                         repeated("<"),
		"attributes without an end":        "<a " + repeated("href=\"x\" "),
		"quotes that are opened":           repeated("<form action=\"'"),
		"comments that are opened":         repeated("<!--"),
		"nested forms":                     repeated("<form action=/authorize>"),
		"inputs":                           "<form action=/authorize>" + repeated("<input type=hidden name=state value=st4te>"),
		"links to the request":             repeated("<a href=\"/authorize?client_id=web&amp;state=st4te\">"),
		"links with wrapped links":         repeated("<a href=\"/x?u=%2Fauthorize%3Fclient_id%3Dweb%26state%3Dst4te\">"),
		"links wrapped over and over":      "<a href=\"" + percent + "\">",
		"entities":                         "<a href=\"" + repeated("&amp;") + "\">",
		"entities without an end":          "<a href=\"" + repeated("&#x0") + "\">",
		"one address with many parameters": "<a href=\"/authorize?client_id=web&state=st4te" + repeated("&a=1") + "\">",
		"one address with many wraps":      "<a href=\"/x?" + repeated("&u=/authorize?client_id%3Dweb%26state%3Dst4te") + "\">",
		"refreshes":                        repeated("<meta http-equiv=refresh content=\"0;url=/authorize?client_id=web&state=st4te\">"),
		"bases":                            repeated("<base href=\"/a/\">"),
		"scripts that are opened":          repeated("<script>"),
		"zeros":                            strings.Repeat("\x00", size),
		"dots in a path":                   "<a href=\"" + repeated("/..") + "/authorize?client_id=web&state=st4te\">",
		"base64 that may be an address":    "<a href=\"/x?u=" + repeated("aHR0cDovL") + "\">",
	} {
		t.Run(name, func(t *testing.T) {
			g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				r.Handlers["/authorize"] = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/html; charset=utf-8")
					io.WriteString(w, page)
				}
			}})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			bounce := b.Get(t, harness.Short("web", uri))
			var res harness.Response
			took, allocated := measured(func() { res = b.Get(t, bounce.Location) })
			t.Logf("%d, %d bytes in %v with %d KiB", res.Status, len(res.Body), took, allocated>>10)
			if took > hostilePageTime || allocated > hostilePageMemory {
				t.Errorf("%d bytes took %v and %d KiB", len(page), took, allocated>>10)
			}
		})
	}
}
