package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pargate/config"
)

// family is a metric as it is gathered.
type family struct {
	kind, help string
	labels     map[string][]string // the values that there are
}

// families are all metrics that there are, of a gateway with the memory store and one with Redis.
func families(t *testing.T) map[string]family {
	t.Helper()
	all := map[string]family{}
	for _, store := range []string{"", "REDIS_URL=redis://127.0.0.1:1"} {
		cfg, _, err := config.Load([]string{"UPSTREAM_URL=http://127.0.0.1:1", store})
		if err != nil {
			t.Fatal(err)
		}
		g, err := build(cfg, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		gathered, err := g.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range gathered {
			known := family{strings.ToLower(f.GetType().String()), f.GetHelp(), map[string][]string{}}
			for _, m := range f.GetMetric() {
				for _, label := range m.GetLabel() {
					if values := known.labels[label.GetName()]; !slices.Contains(values, label.GetValue()) {
						known.labels[label.GetName()] = append(values, label.GetValue())
					}
				}
			}
			all[f.GetName()] = known
		}
		g.server.Close()
		g.server.Store.Close()
	}
	return all
}

// row is the metric's line in the manual.
func (f family) row(name string) string {
	var labels []string
	for _, label := range slices.Sorted(maps.Keys(f.labels)) {
		text := "`" + label + "`"
		if name != "pargate_build_info" {
			text += " " + strings.Join(slices.Sorted(slices.Values(f.labels[label])), ", ")
		}
		labels = append(labels, text)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, f.kind, strings.Join(labels, "; "), f.help)
}

func TestTheManualHasEveryMetric(t *testing.T) {
	t.Parallel()
	all := families(t)
	want := "| Metric | Type | Labels | What it says |\n|---|---|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, "pargate_") {
			want += all[name].row(name)
		}
	}
	_, rest, _ := strings.Cut(file(t, "../../docs/metrics.md"), "<!-- metrics -->\n")
	got, _, _ := strings.Cut(rest, "<!-- end of metrics -->")
	if got != want {
		t.Errorf("the table between the markers is not the one of the metrics, which is:\n%s", want)
	}
}

var (
	selectorPattern = regexp.MustCompile(`\b((?:pargate|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcherPattern  = regexp.MustCompile(`(\w+)(=~|!=|=|!~)"([^"]*)"`)
)

// What the dashboard, the alerts and the manual's text ask for exists, with those labels and values.
func TestDashboardAlertsAndManualAskForMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	all := families(t)
	var dashboard any
	if err := json.Unmarshal([]byte(file(t, "../../deploy/grafana/pargate.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	texts := map[string][]string{
		"the dashboard": expressions(dashboard),
		"the alerts":    {file(t, "../../deploy/prometheus/alerts.yaml")},
		"the manual":    {file(t, "../../docs/metrics.md")},
	}
	shown := map[string]bool{}
	for where, list := range texts {
		seen := 0
		for _, text := range list {
			for _, found := range selectorPattern.FindAllStringSubmatch(text, -1) {
				seen++
				name := found[1]
				for _, suffix := range []string{"_bucket", "_count", "_sum"} {
					if base := strings.TrimSuffix(name, suffix); all[base].kind == "histogram" {
						name = base
					}
				}
				f, known := all[name]
				if shown[name] = shown[name] || where == "the dashboard"; !known {
					t.Errorf("%s asks for %s", where, name)
					continue
				}
				for _, matcher := range matcherPattern.FindAllStringSubmatch(found[2], -1) {
					checkMatcher(t, where, name, f, matcher[1], matcher[3])
				}
			}
		}
		if seen < 10 {
			t.Errorf("%s: only %d metrics were found", where, seen)
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "pargate_") && !shown[name] {
			t.Errorf("%s is not on the dashboard", name)
		}
	}
}

// checkMatcher looks up a label and the values that an expression wants of it. job and instance are Prometheus' own.
func checkMatcher(t *testing.T, where, name string, f family, label, value string) {
	t.Helper()
	if label == "job" || label == "instance" {
		return
	}
	for each := range strings.SplitSeq(value, "|") {
		if !slices.Contains(f.labels[label], each) {
			t.Errorf("%s asks for %s with %s=%q, which is one of %q", where, name, label, each, f.labels[label])
		}
	}
}

// expressions finds the queries of a dashboard, and of its variables.
func expressions(node any) (all []string) {
	switch node := node.(type) {
	case []any:
		for _, each := range node {
			all = append(all, expressions(each)...)
		}
	case map[string]any:
		for key, value := range node {
			if text, ok := value.(string); ok && (key == "expr" || key == "query") {
				all = append(all, text)
			}
			all = append(all, expressions(value)...)
		}
	}
	return all
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A metric that cannot be read is left out, and does not take the others with it.
func TestMetricsThatCannotBeReadDoNotHideTheOthers(t *testing.T) {
	t.Parallel()
	registry, _ := newMetrics()
	registry.MustRegister(brokenCollector{})
	server := httptest.NewServer(metricsHandler(registry, zap.NewNop()))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	for _, want := range []string{"pargate_build_info{", "go_goroutines ", "process_cpu_seconds_total "} {
		if !strings.Contains(string(body), "\n"+want) {
			t.Errorf("%d, without %s", res.StatusCode, want)
		}
	}
}

type brokenCollector struct{}

func (brokenCollector) Describe(chan<- *prometheus.Desc) {}

func (brokenCollector) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "broken", nil, nil), io.ErrUnexpectedEOF)
}

// heldCollector holds up whoever reads it.
type heldCollector struct{ asked, release chan struct{} }

func (heldCollector) Describe(chan<- *prometheus.Desc) {}

func (h heldCollector) Collect(chan<- prometheus.Metric) {
	h.asked <- struct{}{}
	<-h.release
}

func TestFewScrapeAtOnce(t *testing.T) {
	t.Parallel()
	registry, _ := newMetrics()
	held := heldCollector{make(chan struct{}), make(chan struct{})}
	handler := metricsHandler(registry, zap.NewNop())
	registry.MustRegister(held)
	statuses := make(chan int, maxScrapes)
	scrape := func() int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Code
	}
	for range maxScrapes {
		go func() { statuses <- scrape() }()
		<-held.asked
	}
	if status := scrape(); status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", status)
	}
	close(held.release)
	for range maxScrapes {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("%d", status)
		}
	}
}
