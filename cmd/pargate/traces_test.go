package main

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// asksForALogin makes the stand-in send the browser away to log in, and back without the prompt that is done by then: the way
// back leads through a continuation.
func asksForALogin(r *upstream.Recorder) {
	r.Handlers["/authorize"] = func(w http.ResponseWriter, req *http.Request) {
		asked := req.URL.Query()
		if _, err := req.Cookie("session"); err != nil {
			asked.Del("prompt")
			http.Redirect(w, req, "/login?next="+url.QueryEscape("/authorize?"+asked.Encode()), http.StatusFound)
			return
		}
		http.Redirect(w, req, asked.Get("redirect_uri")+"?code=c0de&state="+asked.Get("state"), http.StatusFound)
	}
	r.Handlers["/login"] = func(w http.ResponseWriter, req *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "c4narysession", Path: "/"})
		http.Redirect(w, req, req.URL.Query().Get("next"), http.StatusFound)
	}
}

// line is one of the log.
type line map[string]any

func (l *logBuffer) lines() (all []line) {
	for text := range strings.Lines(l.String()) {
		var fields line
		if json.Unmarshal([]byte(text), &fields) == nil {
			all = append(all, fields)
		}
	}
	return all
}

// spansOf sorts the spans: those of requests, in the order of their log lines, and the names of each one's children.
func spansOf(t *testing.T, c *harness.Collector, lines []line) (requests []harness.Span, children [][]string) {
	t.Helper()
	all := c.Spans()
	for _, l := range lines {
		i := slices.IndexFunc(all, func(s harness.Span) bool { return s.ID == l["span_id"] })
		if i < 0 {
			t.Fatalf("no span for %v", l)
		}
		requests = append(requests, all[i])
		var names []string
		for _, s := range all {
			if s.Parent == all[i].ID {
				names = append(names, s.Name)
				if s.Trace != all[i].Trace || s.Parent == "" {
					t.Errorf("%+v is a child of %+v", s, all[i])
				}
			}
		}
		children = append(children, names)
	}
	return requests, children
}

// One login is followed by its flow alone: in the log, in traces, and from the one to the other.
func TestALoginIsOneStoryInTheLogAndInTraces(t *testing.T) {
	t.Parallel()
	collector, up := harness.NewCollector(t), upstream.New(t, asksForALogin)
	s := start(t, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+writeFile(t, harness.Clients), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	up.SetIssuer(s.public)
	s.waitReady(t)
	uri := (&harness.Gateway{URL: s.public}).Push(t, "web", "s3cret", harness.Form("prompt", "login"))
	ref := pushstore.Reference(strings.TrimPrefix(uri, oauth.RequestURIPrefix))
	browser := harness.NewBrowser(s.public)
	if home := browser.Follow(t, browser.Get(t, harness.Short("web", uri))); !strings.Contains(home.Location, "code=c0de") {
		t.Fatalf("came home to %d %s", home.Status, home.Location)
	}
	harness.NewBrowser(s.public).Get(t, harness.Short("web", uri)) // another browser's attempt belongs to the story too
	s.stop(errInterrupt)
	if code := s.wait(t); code != exitOK {
		t.Fatalf("ended with %d: %s", code, s.logs)
	}

	var story []string
	var requests []line
	for _, l := range s.logs.lines() {
		if l["flow"] != pushstore.Digest(ref) {
			continue
		}
		if story = append(story, fmt.Sprint(l["msg"])); l["msg"] == "request" {
			story[len(story)-1] += fmt.Sprint(" ", l["status"])
			requests = append(requests, l)
		}
		if len(fmt.Sprint(l["trace_id"])) != 32 || len(fmt.Sprint(l["span_id"])) != 16 {
			t.Errorf("no span in %v", l)
		}
	}
	want := []string{"pushed", "request 201", "request 303", "request 302", "authorization response passed", "request 302", "refused", "request 400"}
	if !slices.Equal(story, want) {
		t.Fatalf("the log tells %q\nwant %q\n%s", story, want, s.logs)
	}

	spans, children := spansOf(t, collector, requests)
	wantChildren := [][]string{{"store put"}, {"store look"}, {"store open", "upstream", "store continue"}, {"store flow", "upstream", "store finish"}, {"store look"}}
	for i, span := range spans {
		outcome, name := "ok", "authorize"
		if i == 0 {
			name = "push"
		}
		if i == 4 {
			outcome = "invalid_request_uri"
		}
		wantAttributes := map[string]string{"http.request.method": []string{"POST", "GET"}[min(i, 1)], "url.path": []string{"/par", "/authorize"}[min(i, 1)],
			"http.response.status_code": fmt.Sprint(requests[i]["status"]), "pargate.request_id": fmt.Sprint(requests[i]["request_id"]),
			"pargate.flow": pushstore.Digest(ref), "pargate.client_id": "web", "pargate.outcome": outcome}
		if i == 1 || i == 4 { // nothing is known of the client yet
			delete(wantAttributes, "pargate.client_id")
		}
		if span.Name != name || span.Kind != "SPAN_KIND_SERVER" || span.Parent != "" || span.Trace != requests[i]["trace_id"] || !maps.Equal(span.Attributes, wantAttributes) {
			t.Errorf("%d: %+v\nwant %v", i, span, wantAttributes)
		}
		if got := slices.Sorted(slices.Values(children[i])); !slices.Equal(got, slices.Sorted(slices.Values(wantChildren[i]))) {
			t.Errorf("%d: the children are %q, want %q", i, got, wantChildren[i])
		}
		if span.Resource["service.name"] != "pargate" || span.Resource["service.version"] != versionName() {
			t.Errorf("%v", span.Resource)
		}
	}
	for _, span := range collector.Spans() {
		if span.Name == "upstream" && (span.Kind != "SPAN_KIND_CLIENT" || span.Attributes["http.response.status_code"] != "302" || span.Attributes["server.address"] != "127.0.0.1") {
			t.Errorf("%+v", span)
		}
		if strings.HasPrefix(span.Name, "store ") && !maps.Equal(span.Attributes, map[string]string{"pargate.store.result": "ok"}) {
			t.Errorf("%+v", span)
		}
	}
	if !slices.ContainsFunc(collector.Spans(), func(s harness.Span) bool { return s.Name == "fetch metadata" && s.Parent == "" }) {
		t.Error("no span for the metadata")
	}
}

// Whoever keeps the traces gets nothing of what was pushed, and nothing that opens a session.
func TestNothingOfARequestIsInTheBytesOfATrace(t *testing.T) {
	t.Parallel()
	collector := harness.NewCollector(t)
	up := upstream.New(t, asksForALogin, func(r *upstream.Recorder) {
		r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		r.Handlers["/token"] = func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "c4naryanswer", http.StatusInternalServerError)
		}
	})
	s := start(t, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+writeFile(t, `[{"client_id": "web", "client_secret": "c4narysecret"}]`),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "LOG_LEVEL=debug")
	up.SetIssuer(s.public)
	s.waitReady(t)
	form := harness.Form("state", "c4narystate", "nonce", "c4narynonce", "redirect_uri", "https://app.example/c4naryuri", "prompt", "login",
		"login_hint", "c4naryhint", "vendor", "c4naryvendor", "code_challenge", strings.Repeat("c4nary", 8)[:43])
	uri := (&harness.Gateway{URL: s.public}).Push(t, "web", "c4narysecret", form)
	ref := strings.TrimPrefix(uri, oauth.RequestURIPrefix)
	browser := harness.NewBrowser(s.public)
	browser.Follow(t, browser.Get(t, harness.Short("web", uri)+"&lang=c4narylang"))
	tell := func(r *http.Request) {
		r.Header.Set("X-Request-Id", "c4naryrequest")
		r.Header.Set("Traceparent", "00-c4a41e00000000000000000000000001-c4a41e0000000001-01")
		r.Header.Set("Tracestate", "c4nary=1")
		r.Header.Set("Authorization", "Bearer c4narybearer")
		r.Header.Set("User-Agent", "c4naryagent")
		r.Header.Set("X-Forwarded-For", "192.0.2.77")
	}
	browser.Get(t, harness.Short("web", uri), tell)                           // used
	browser.Get(t, "/authorize/c4narypath?x=c4naryquery", tell)               // below
	browser.Get(t, "/reset/c4narypath;x=c4nary?x=c4naryquery", tell)          // elsewhere
	browser.Get(t, "/authorize?"+form.Encode()+"&client_id=c4naryid", tell)   // not pushed
	browser.Get(t, "/cut?x=c4naryquery", tell)                                // breaks off
	browser.Do(t, "C4NARY", "/par?x=c4naryquery", nil, tell)                  // another method
	browser.Post(t, "/token", "grant_type=c4narygrant&code=c4narycode", tell) // fails
	browser.Post(t, "/par", form.Encode(), func(r *http.Request) { r.SetBasicAuth("c4naryid", "c4narywrong") })
	cookies := browser.Cookies()
	s.stop(errInterrupt)
	s.wait(t)

	raw := collector.Raw()
	if spans := len(collector.Spans()); spans < 25 {
		t.Fatalf("only %d spans", spans)
	}
	for _, text := range []string{"c4nary", "C4NARY", "\xc4\xa4\x1e", "192.0.2.77", ref, "request_uri:", "app.example", "p%E4ss"} {
		if strings.Contains(raw, text) {
			at := strings.Index(raw, text)
			t.Errorf("%q is in what the collector got: %q", text, raw[max(0, at-80):min(len(raw), at+80)])
		}
	}
	for _, cookie := range cookies {
		for part := range strings.SplitSeq(cookie.Value, ".") {
			if len(part) > 8 && strings.Contains(raw, part) {
				t.Errorf("a part of the cookie is there: %s", part)
			}
		}
	}
	for _, span := range collector.Spans() {
		if span.Events != 0 {
			t.Errorf("events, which hold what nobody has looked at: %+v", span)
		}
	}
}

func TestTracesGoToTheirOwnEndpoint(t *testing.T) {
	t.Parallel()
	collector := harness.NewCollector(t)
	s, _ := logIn(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+collector.URL+"/mine/v2")
	s.stop(errInterrupt)
	s.wait(t)
	requests := collector.Requests()
	if len(requests) == 0 || requests[0].URL.String() != "/mine/v2" || len(collector.Spans()) < 10 {
		t.Errorf("%d requests, %d spans", len(requests), len(collector.Spans()))
	}
}

func TestWithoutACollectorThereAreNoTraces(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{nil, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_SDK_DISABLED=true"}, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_TRACES_EXPORTER=none"}} {
		s, _ := logIn(t, environ...)
		s.stop(errInterrupt)
		s.wait(t)
		for _, l := range s.logs.lines() {
			if l["trace_id"] != nil || l["span_id"] != nil {
				t.Errorf("%q: %v", environ, l)
			}
		}
		if environ != nil && strings.Contains(s.logs.String(), "traces are not") {
			t.Errorf("%s", s.logs)
		}
	}
}

func TestTracesThatCannotBeSentEndTheProgram(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"check", "serve"} {
		code, _, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, verb)
		if code != exitConfig || !strings.Contains(stderr, "http/protobuf") {
			t.Errorf("%s: %d %s", verb, code, stderr)
		}
	}
}

// A collector that is gone, that fails, and that never answers: nobody waits for it, the log says so once, and the program ends.
func TestACollectorInTroubleTroublesNobody(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	released := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(released) })
	fails := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, strings.Repeat("long and\nuseless ", 1000), http.StatusInternalServerError)
	}))
	t.Cleanup(fails.Close)
	for name, address := range map[string]string{"gone": "http://" + gone.Addr().String(), "hangs": hangs.URL, "fails": fails.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := logIn(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+address, "RATE_LIMIT=off")
			began := time.Now()
			const many = 3000 // more than may wait
			for range many {
				getText(t, s.public+"/page")
			}
			if each := time.Since(began) / many; each > 20*time.Millisecond {
				t.Errorf("a request takes %v", each)
			}
			began = time.Now()
			s.stop(errInterrupt)
			if code := s.wait(t); code != exitOK {
				t.Errorf("ended with %d", code)
			}
			if took := time.Since(began); took > tracesTimeout+4*time.Second {
				t.Errorf("the end took %v", took)
			}
			n := 0
			for _, l := range s.logs.lines() {
				if strings.Contains(fmt.Sprint(l["msg"]), "traces are not") {
					n++
					if len(fmt.Sprint(l["error"])) > 512 || l["spans_lost"] == float64(0) {
						t.Errorf("%v", l)
					}
				}
			}
			if n != 1 {
				t.Errorf("%d lines about it:\n%s", n, s.logs)
			}
		})
	}
}

// readsStandardVariables is about what the SDK reads from the environment of the process.
func readsStandardVariables(t *testing.T, binary string) {
	collector := &harness.Collector{}
	server := httptest.NewTLSServer(collector)
	t.Cleanup(server.Close)
	authority := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	run := func(environ ...string) *process {
		up := upstream.New(t)
		p := startProcess(t, binary, append([]string{"UPSTREAM_URL=" + up.URL, "OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + authority}, environ...)...)
		up.SetIssuer(p.public)
		p.waitReady(t)
		getText(t, p.public+"/page")
		p.Process.Signal(os.Interrupt)
		if code := p.wait(t); code != exitOK {
			t.Errorf("ended with %d: %s", code, p.logs)
		}
		return p
	}

	run("OTEL_TRACES_SAMPLER=always_off")
	if spans := collector.Spans(); len(spans) > 0 {
		t.Errorf("%d spans that nobody wanted", len(spans))
	}
	p := run("OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20t0ken,c4narysecret", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_SERVICE_NAME=gate",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=north,service.name=no", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=1")
	spans := collector.Spans()
	i := slices.IndexFunc(spans, func(s harness.Span) bool { return s.Name == "other" })
	if i < 0 || spans[i].Resource["service.name"] != "gate" || spans[i].Resource["deployment.environment.name"] != "north" ||
		spans[i].Resource["service.version"] != "1.2.3-test" || len(spans[i].Attributes) != 1 {
		t.Errorf("%d: %+v", i, spans)
	}
	for _, r := range collector.Requests() {
		if r.Header.Get("Authorization") != "Bearer t0ken" || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%v", r.Header)
		}
	}
	if text := p.logs.String(); strings.Contains(text, "c4nary") || strings.Contains(text, "t0ken") || p.logs.field("an OTEL_* variable is not as it must be, and is left out", "while") != "parse headers" {
		t.Errorf("the log: %s", text)
	}
}

func TestTroubleWithTracesIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	now := time.Unix(1_800_000_000, 0)
	l := &tracesLog{log: zap.New(core), now: func() time.Time { return now }}
	for range 100 {
		l.lost(errors.New("refused"), 5)
	}
	now = now.Add(time.Minute)
	l.lost(errors.New("refused"), 5)
	entries := logs.All()
	if len(entries) != 2 || entries[0].ContextMap()["spans_lost"] != int64(5) || entries[1].ContextMap()["spans_lost"] != int64(500) || entries[1].ContextMap()["not_logged"] != int64(99) {
		t.Errorf("%+v", entries)
	}
	l.Error(errors.New("missing '='"), "parse headers", "input", "s3cret")
	if text := fmt.Sprint(logs.All()[2].ContextMap()); strings.Contains(text, "s3cret") || !strings.Contains(text, "parse headers") {
		t.Error(text)
	}
}

// What is in OTEL_EXPORTER_OTLP_HEADERS is for the collector alone; net/http sends all but the well-known of them along.
func TestTracesFollowNoRedirect(t *testing.T) {
	t.Parallel()
	other := harness.NewCollector(t)
	collector := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/traces", http.StatusTemporaryRedirect))
	t.Cleanup(collector.Close)
	s, _ := logIn(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	s.stop(errInterrupt)
	s.wait(t)
	if n := len(other.Requests()); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
	if !strings.Contains(s.logs.String(), "the collector redirects to another server") {
		t.Errorf("%s", s.logs)
	}
}
