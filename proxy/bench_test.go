package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/pushstore"
	"pargate/rewrite"
	"pargate/test/sample"
)

// trip is a browser in its flow at a gateway that knows its upstream, with the memory store.
type trip struct {
	server *Server
	flow   *openFlow
	short  shortRequest
	known  exchange // as it is when a request of this browser has come in
}

// startTrip pushes a request and opens it.
func startTrip(b *testing.B, request sample.Request) *trip {
	b.Helper()
	public, _ := url.Parse("https://as.example")
	upstream, _ := url.Parse("http://10.0.0.1:9000")
	store := pushstore.NewMemory(pushstore.MemoryOptions{})
	b.Cleanup(func() { store.Close() })
	s, err := New(Options{Store: store, Delegation: DelegateOthers,
		Issuer: Issuer{UpstreamURL: upstream, PublicURL: public, AuthorizePaths: []string{"/authorize"}, TokenPath: "/token"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	e, err := s.Issuer.resolveStatic(s.upstream.policy)
	if err != nil {
		b.Fatal(err)
	}
	party := pushstore.Party{Issuer: e.issuer, ClientID: "web"}
	ref, err := store.Put(b.Context(), party, pushstore.Request{Query: request.Form, RedirectURI: sample.RedirectURI, State: sample.State}, s.PushLifetime)
	if err != nil {
		b.Fatal(err)
	}
	jar := s.cookieJarOf(e)
	cookie := jar.mint(ref, party.ClientID)
	flow, err := store.Open(b.Context(), party, ref, cookie.owner())
	if err != nil {
		b.Fatal(err)
	}
	return &trip{server: s, flow: s.openFlow(flow, cookie), short: shortRequest{party.ClientID, ref},
		known: exchange{id: "benchmark", endpoints: e, jar: jar, flows: []flowCookie{cookie}}}
}

// request is one of the browser's, with an exchange of its own.
func (t *trip) request(method, target, form string) *http.Request {
	x := t.known
	x.path, x.rawQuery, _ = strings.Cut(target, "?")
	x.place, x.formState = x.endpoints.places.classify(x.path), formAbsent
	if form != "" {
		x.form, x.formState = form, formRead
	}
	r := &http.Request{Method: method, URL: &url.URL{Path: x.path, RawQuery: x.rawQuery}, Header: http.Header{"Content-Type": {formType}}}
	return r.WithContext(context.WithValue(context.Background(), exchangeKey{}, &x))
}

// byReference is the request that opens the flow.
func (t *trip) byReference() *http.Request {
	return t.request("GET", "/authorize?"+shortQuery(t.short.clientID, t.short.ref, ""), "")
}

// BenchmarkIdentify finds the flow that the query of a request names, in the store, and none for that of a client without
// a flow.
func BenchmarkIdentify(b *testing.B) {
	for _, request := range sample.Requests {
		t := startTrip(b, request)
		for _, row := range []struct {
			name, query string
			found       bool
		}{{"named", request.Form, true}, {"foreign", strings.Replace(request.Form, "client_id=web", "client_id=other", 1), false}} {
			pairs := slices.Collect(rewrite.Pairs(row.query))
			b.Run(row.name+"/"+request.Name, func(b *testing.B) {
				identify := func() (*openFlow, error) { return t.server.identify(t.request("GET", "/authorize", ""), pairs) }
				if flow, err := identify(); err != nil || (flow != nil) != row.found {
					b.Fatal(flow, err)
				}
				b.ReportAllocs()
				for b.Loop() {
					identify()
				}
			})
		}
	}
}

// BenchmarkBind makes what goes upstream of a request by reference, and of a consent form that repeats the request.
func BenchmarkBind(b *testing.B) {
	for _, request := range sample.Requests {
		t := startTrip(b, request)
		for _, row := range []struct {
			name  string
			short shortRequest
			make  func() *http.Request
			sent  func(*outgoing) string
		}{
			{"reference", t.short, t.byReference, func(out *outgoing) string { return out.query }},
			{"consent", shortRequest{}, func() *http.Request { return t.request("POST", "/authorize", request.Form+"&accept=yes") },
				func(out *outgoing) string { return out.form }},
		} {
			b.Run(row.name+"/"+request.Name, func(b *testing.B) {
				r := row.make()
				if err := t.server.bind(r, t.flow, row.short); err != nil || !strings.HasPrefix(row.sent(exchangeOf(r).out), request.Form) {
					b.Fatal(exchangeOf(r).out, err)
				}
				b.ReportAllocs()
				for b.Loop() {
					t.server.bind(row.make(), t.flow, row.short)
				}
			})
		}
	}
}

// BenchmarkRespond is an upstream's answer to a request by reference on its way to the browser: one that sends it to a login
// page, one without an address of a login, and two pages; and what the answer to a browser without a flow costs.
func BenchmarkRespond(b *testing.B) {
	for _, request := range sample.Requests {
		respondTo(b, "redirect/"+request.Name, request, true, upstreamAnswer{status: 302, location: request.LoginAddress()})
		respondTo(b, "page/"+request.Name, request, true, upstreamAnswer{status: 200, page: request.LoginPage()})
	}
	ordinary := sample.Requests[0]
	respondTo(b, "redirect/foreign", ordinary, true, upstreamAnswer{status: 302, location: "/login?lang=de"})
	respondTo(b, "page/foreign", ordinary, true, upstreamAnswer{status: 200, page: sample.LongPage()})
	respondTo(b, "page/stranger", ordinary, false, upstreamAnswer{status: 200, page: ordinary.LoginPage()})
}

// upstreamAnswer is what the upstream sends.
type upstreamAnswer struct {
	status   int
	location string
	page     []byte
}

func (a upstreamAnswer) to(r *http.Request) *http.Response {
	h := http.Header{"Date": {"Mon, 17 Aug 2026 08:00:00 GMT"}, "Content-Type": {"text/html; charset=utf-8"}, "X-Frame-Options": {"DENY"}, "Vary": {"Cookie"},
		"Set-Cookie": {"session=0rb1t3rS3ss10nV4lu3; Path=/; Secure; HttpOnly; SameSite=Lax"}}
	if a.location != "" {
		h["Location"] = []string{a.location}
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(a.page)), ContentLength: int64(len(a.page)), Request: r}
}

// respondTo measures respond for one answer, the making of which is in the figure. To a browser in its flow nothing of the
// request in it goes out; what has nothing of it, and what is for another browser, stays as it is.
func respondTo(b *testing.B, name string, request sample.Request, inFlow bool, answer upstreamAnswer) {
	t := startTrip(b, request)
	r := t.byReference()
	if err := t.server.bind(r, t.flow, t.short); err != nil {
		b.Fatal(err)
	}
	known := *exchangeOf(r)
	known.remember(t.flow.cookie, t.flow) // as find does
	if !inFlow {
		known = exchange{endpoints: known.endpoints, jar: known.jar, path: "/login", place: elsewhere}
	}
	respond := func() (*http.Response, error) {
		x := known
		res := answer.to(r.WithContext(context.WithValue(r.Context(), exchangeKey{}, &x)))
		return res, t.server.respond(res)
	}
	b.Run(name, func(b *testing.B) {
		res, err := respond()
		if err != nil {
			b.Fatal(err)
		}
		page, _ := io.ReadAll(res.Body)
		before, after := answer.location+string(answer.page), res.Header.Get("Location")+string(page)
		if hides := strings.Contains(before, sample.State) && inFlow; hides != (before != after) || hides && strings.Contains(after, sample.State) {
			b.Fatalf("%.1000s", after)
		}
		b.ReportAllocs()
		for b.Loop() {
			respond()
		}
	})
}
