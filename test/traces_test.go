package test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// tracing returns what a gateway makes spans with, and what records them.
func tracing(t *testing.T, options ...sdktrace.TracerProviderOption) (func(*proxy.Options), *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSpanProcessor(recorder))...)
	t.Cleanup(func() { provider.Shutdown(t.Context()) })
	return func(o *proxy.Options) { o.Tracer = provider.Tracer("test") }, recorder
}

// named waits for the first span of that name, and returns it.
func named(t *testing.T, recorder *tracetest.SpanRecorder, name string) (span sdktrace.ReadOnlySpan) {
	t.Helper()
	harness.WaitFor(t, "the span "+name, func() bool {
		ended := recorder.Ended()
		i := slices.IndexFunc(ended, func(s sdktrace.ReadOnlySpan) bool { return s.Name() == name })
		if i >= 0 {
			span = ended[i]
		}
		return i >= 0
	})
	return span
}

// attributesOf prints the attributes of a span.
func attributesOf(span sdktrace.ReadOnlySpan) string {
	var all []string
	for _, a := range span.Attributes() {
		all = append(all, string(a.Key)+"="+a.Value.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

const (
	theirTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	theirParent = "00-" + theirTrace + "-00f067aa0ba902b7-01"
)

func traceHeaders(parent ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header["Traceparent"] = parent
		r.Header.Set("Tracestate", "vendor=1")
		r.Header.Set("Baggage", "user=1")
	}
}

func TestATraceIsBelievedFromTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name           string
		trusted        bool
		parent         []string
		believed       bool
		state, baggage string
	}{
		{"of a stranger", false, []string{theirParent}, false, "", ""},
		{"of a trusted proxy", true, []string{theirParent}, true, "vendor=1", "user=1"},
		{"of a trusted proxy, twice", true, []string{theirParent, theirParent}, false, "", "user=1"},
		{"of a trusted proxy, malformed", true, []string{theirParent[:40]}, false, "", "user=1"},
		{"nobody's", true, nil, false, "", "user=1"},
	} {
		tracer, spans := tracing(t)
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
			if tracer(o); row.trusted {
				o.TrustedProxies = append(o.TrustedProxies, loopback)
			}
		}})
		res := harness.NewBrowser(g.URL).Get(t, "/page", traceHeaders(row.parent...))
		span, asked := named(t, spans, "other"), named(t, spans, "upstream")
		if believed := span.SpanContext().TraceID().String() == theirTrace; believed != row.believed || span.Parent().IsValid() != row.believed {
			t.Errorf("%s: trace %s, parent %s", row.name, span.SpanContext().TraceID(), span.Parent().SpanID())
		}
		if asked.Parent().SpanID() != span.SpanContext().SpanID() {
			t.Errorf("%s: what went upstream is not the request's child", row.name)
		}
		want := fmt.Sprintf("00-%s-%s-01", asked.SpanContext().TraceID(), asked.SpanContext().SpanID())
		h := g.Upstream.Last().Header
		if !slices.Equal(h["Traceparent"], []string{want}) || h.Get("Tracestate") != row.state || h.Get("Baggage") != row.baggage {
			t.Errorf("%s: upstream got %v, want %s", row.name, h, want)
		}
		for _, name := range []string{"Traceparent", "Tracestate", "Traceresponse"} {
			if res.Header.Get(name) != "" {
				t.Errorf("%s: the client got %s", row.name, name)
			}
		}
	}
}

func TestWithoutTracesTheirHeadersPassAsTheyCame(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	harness.NewBrowser(g.URL).Get(t, "/page", traceHeaders(theirParent))
	if h := g.Upstream.Last().Header; h.Get("Traceparent") != theirParent || h.Get("Tracestate") != "vendor=1" || h.Get("Baggage") != "user=1" {
		t.Errorf("%v", h)
	}
}

// Whether a request is sampled is for whoever begins the trace to say; the upstream hears of it in any case.
func TestWhatIsNotSampledLeavesNoSpanButATrace(t *testing.T) {
	t.Parallel()
	tracer, spans := tracing(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	g := harness.Start(t, harness.Setup{Options: tracer})
	b := harness.NewBrowser(g.URL)
	b.LogIn(t, b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form())))
	if ended := spans.Ended(); len(ended) > 0 {
		t.Errorf("%d spans", len(ended))
	}
	if parent := g.Upstream.Last().Header.Get("Traceparent"); len(parent) != 55 || !strings.HasSuffix(parent, "-00") {
		t.Errorf("upstream got %q", parent)
	}
}

func TestWhatAPushAsksIsInItsTrace(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var told atomic.Value
	signer := harness.NewSigner("ES256", "k")
	publisher := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told.Store(r.Header.Clone())
		io.WriteString(w, harness.KeySet(signer))
	}))
	t.Cleanup(publisher.Close)
	roots := x509.NewCertPool()
	roots.AddCert(publisher.Certificate())
	tracer, spans := tracing(t)
	g := harness.Start(t, harness.Setup{
		Clients:  `[{"client_id": "signs", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "` + publisher.URL + `"}]`,
		Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) },
		Options: func(o *proxy.Options) {
			tracer(o)
			o.Delegation, o.DryRun, o.AllowPrivateKeySets, o.KeySetRoots = proxy.DelegateOthers, true, true, roots
		},
	})

	g.Push(t, "legacy", "l3gacy", harness.Form("client_id", "legacy"))
	push, probes := named(t, spans, "push"), 0
	for _, span := range spans.Ended() {
		if span.Name() == "probe" && span.Parent().SpanID() == push.SpanContext().SpanID() {
			probes++
		}
	}
	if want := int(asked.Load()) + 1; probes != want || probes < 3 { // those about the client, and the dry run
		t.Errorf("%d spans for %d probes", probes, want)
	}
	if got, want := attributesOf(named(t, spans, "probe")), "http.request.method=POST http.response.status_code=400 server.address=127.0.0.1"; got != want {
		t.Errorf("a probe: %s, want %s", got, want)
	}
	for _, r := range g.Upstream.Requests() {
		if !strings.Contains(r.Header.Get("Traceparent"), push.SpanContext().TraceID().String()) {
			t.Errorf("upstream got %q with %s %s", r.Header.Get("Traceparent"), r.Method, r.Path())
		}
	}

	spans.Reset()
	form := harness.Assert(harness.Form("client_id", "signs"), signer.Sign(harness.Claims("signs", g.URL, time.Now())))
	if res := pushOf(t, g, form.Encode(), traceHeaders(theirParent)); res.Status != 201 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	push, fetch, mark := named(t, spans, "push"), named(t, spans, "fetch key set"), named(t, spans, "store mark")
	for _, span := range []sdktrace.ReadOnlySpan{fetch, mark} {
		if span.Parent().SpanID() != push.SpanContext().SpanID() {
			t.Errorf("%s is not the push's", span.Name())
		}
	}
	if got, want := attributesOf(fetch), "http.request.method=GET http.response.status_code=200"; got != want {
		t.Errorf("the key set: %s", got)
	}
	for name := range told.Load().(http.Header) {
		if strings.HasPrefix(strings.ToLower(name), "trace") || name == "Baggage" {
			t.Errorf("who publishes keys is told of traces: %v", told.Load())
		}
	}
}

func TestTroubleShowsInTheSpanWithoutItsWords(t *testing.T) {
	t.Parallel()
	tracer, spans := tracing(t)
	store := &brokenStore{Store: memory()}
	store.broken.Store(true)
	g := harness.Start(t, harness.Setup{
		Unknown: true, Store: store,
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
			r.Handlers["/slow"] = func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
			r.Handlers["/fails"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		},
		Options: func(o *proxy.Options) { tracer(o); o.UpstreamTimeout = 100 * time.Millisecond },
	})
	harness.WaitFor(t, "the upstream", func() bool { return g.Server.Ready(t.Context())["upstream"] == "" })
	check := func(name, child, want, wantChild string) {
		t.Helper()
		span, asked := named(t, spans, name), named(t, spans, child)
		if got := attributesOf(span); !strings.Contains(got+" ", want+" ") || span.Status().Code.String() != "Error" {
			t.Errorf("%s: %s %v, want %s", name, got, span.Status(), want)
		}
		if got := attributesOf(asked); !strings.Contains(got+" ", wantChild+" ") || asked.Status().Code.String() != "Error" || asked.Status().Description != "" || len(asked.Events()) > 0 {
			t.Errorf("%s: %s %v, want %s", child, got, asked.Status(), wantChild)
		}
		spans.Reset()
	}
	spans.Reset()
	pushOf(t, g, harness.Form().Encode(), asWeb)
	check("push", "store put", "http.response.status_code=503 pargate.client_id=web pargate.outcome=temporarily_unavailable", "pargate.store.result=error")
	b := harness.NewBrowser(g.URL)
	b.Get(t, "/cut")
	check("other", "upstream", "http.response.status_code=502 pargate.outcome=temporarily_unavailable", "error.type=no answer")
	b.Get(t, "/slow")
	check("other", "upstream", "http.response.status_code=504 pargate.outcome=temporarily_unavailable", "error.type=timeout")
	b.Get(t, "/fails")
	check("other", "upstream", "http.response.status_code=500 pargate.outcome=ok", "http.response.status_code=500")
}

// A login that came too late, or by a link that somebody else has opened, is found by the flow of its push.
func TestARefusedReferenceIsLoggedWithItsFlow(t *testing.T) {
	t.Parallel()
	clock := newClock()
	g := harness.Start(t, harness.Setup{
		Store:   pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: 30 * time.Minute, Now: clock.Now}),
		Options: func(o *proxy.Options) { o.Now = clock.Now },
	})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	clock.advance(2 * time.Minute)
	harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri))
	flow := g.Logs.FilterMessage("pushed").All()[0].ContextMap()["flow"]
	if got := g.Logs.FilterMessage("refused").All()[0].ContextMap()["flow"]; got != flow || flow == nil {
		t.Errorf("refused with flow %v, pushed with %v", got, flow)
	}
	harness.WaitFor(t, "the lines of both requests", func() bool {
		n := 0
		for _, entry := range g.Logs.FilterMessage("request").All() {
			if entry.ContextMap()["flow"] == flow {
				n++
			}
		}
		return n == 2
	})
}

// A form that a login page repeats the request in has no reference, and belongs to the flow all the same.
func TestARequestThatNamesItsFlowIsLoggedWithIt(t *testing.T) {
	t.Parallel()
	tracer, spans := tracing(t)
	g := harness.Start(t, harness.Setup{Options: tracer})
	b := harness.NewBrowser(g.URL)
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b.Open(t, "web", uri)
	flow := fmt.Sprint(g.Logs.FilterMessage("pushed").All()[0].ContextMap()["flow"])
	spans.Reset()
	b.Get(t, "/authorize?"+harness.Form().Encode())
	if got := attributesOf(named(t, spans, "authorize")); !strings.Contains(got, "pargate.client_id=web pargate.flow="+flow+" ") {
		t.Errorf("%s; the flow is %s", got, flow)
	}
	harness.WaitFor(t, "the line", func() bool {
		all := g.Logs.FilterMessage("request").All()
		last := all[len(all)-1].ContextMap()
		return last["flow"] == flow && last["path"] == "/authorize" && len(all) == 4
	})
}
