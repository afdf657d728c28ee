package test

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pargate/proxy"
	"pargate/proxy/metrics"
	"pargate/pushstore"
	"pargate/test/harness"
)

// meter reads the metrics of one gateway as Prometheus does.
type meter struct {
	registry *prometheus.Registry
	seen     map[string]float64 // when they were last looked at
}

// metered starts a gateway with metrics.
func metered(t *testing.T, setup harness.Setup) (*harness.Gateway, *meter) {
	t.Helper()
	m := &meter{registry: prometheus.NewRegistry()}
	counted, change := metrics.New(m.registry), setup.Options
	setup.Options = func(o *proxy.Options) {
		o.Metrics = counted
		if change != nil {
			change(o)
		}
	}
	if setup.Store == nil {
		setup.Store = pushstore.NewMemory(pushstore.MemoryOptions{Claimed: func(_ pushstore.Request, left time.Duration) { counted.Claimed(time.Minute - left) }})
	}
	g := harness.Start(t, setup)
	m.seen = m.read(t)
	return g, m
}

// text is what a scrape gets.
func (m *meter) text(t testing.TB) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// read returns every series with its value.
func (m *meter) read(t testing.TB) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(m.text(t)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[line[:at]] = value
	}
	return all
}

// moves does something, and wants the series to have grown since then: by one each, or by what stands behind a blank. A
// request is counted once its answer is written, so that this may take a moment.
func (m *meter) moves(t *testing.T, what string, do func(), series ...string) {
	t.Helper()
	before := m.read(t)
	do()
	for _, each := range series {
		name, by, _ := strings.Cut(each, " ")
		want := 1.0
		if by != "" {
			want, _ = strconv.ParseFloat(by, 64)
		}
		old, known := before[name]
		if !known {
			t.Errorf("%s: there is no series %s", what, name)
			continue
		}
		deadline := time.Now().Add(5 * time.Second)
		for m.read(t)[name]-old != want && time.Now().Before(deadline) {
			time.Sleep(2 * time.Millisecond)
		}
		if got := m.read(t)[name] - old; got != want {
			t.Errorf("%s: %s grew by %v, want %v", what, name, got, want)
		}
	}
}

// is wants a gauge to have a value.
func (m *meter) is(t *testing.T, series string, want float64) {
	t.Helper()
	if got, known := m.read(t)[series]; !known || got != want {
		t.Errorf("%s is %v, want %v", series, got, want)
	}
}

// one is a series of a family with one label.
func one(family, label, value string) string {
	return "pargate_" + family + "{" + label + `="` + value + `"}`
}

func pushed(outcome string) string     { return one("push_requests_total", "outcome", outcome) }
func authorized(outcome string) string { return one("authorize_requests_total", "outcome", outcome) }
func flow(event string) string         { return one("flows_total", "event", event) }
func answered(outcome string) string {
	return one("authorization_responses_total", "outcome", outcome)
}
func overwritten(name string) string { return one("parameters_overwritten_total", "parameter", name) }
