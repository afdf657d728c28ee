package main

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// Bounds on reading the metrics: whoever scrapes, and however slowly the store answers.
const (
	maxScrapes    = 4 // at once
	scrapeTimeout = 5 * time.Second
)

// newMetrics makes what /metrics shows: the gateway's metrics, and those of Go and of the process.
func newMetrics() (*prometheus.Registry, *metrics.Metrics) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := metrics.New(registry)
	m.BuildInfo(versionName(), revision(), runtime.Version())
	return registry, m
}

// metricsHandler serves the registry. What could not be read is left out, and logged.
func metricsHandler(registry *prometheus.Registry, log *zap.Logger) http.Handler {
	errorLog, _ := zap.NewStdLogAt(log.Named("metrics"), zap.WarnLevel) // the level is a constant
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: errorLog, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout,
	})
}

// revision is the commit that the program was built from; empty when that is not known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return ""
}

// claimed returns what the store tells when a browser has claimed a push. One that was signed may have had a shorter window, so
// how long it has waited is not known.
func (g *gateway) claimed(window time.Duration) func(pushstore.Request, time.Duration) {
	return func(r pushstore.Request, left time.Duration) {
		waited := max(0, window-left)
		if r.Signed {
			waited = -1
		}
		g.metrics.Claimed(waited)
	}
}

func (g *gateway) readMemory(m *pushstore.Memory) {
	g.metrics.ReadMemory(
		func() int { entries, _ := m.Size(); return entries },
		func() int64 { _, bytes := m.Size(); return bytes },
		m.MaxBytes())
}

func (g *gateway) readPool(r *pushstore.Redis) {
	g.metrics.ReadPool(func() metrics.Pool {
		p := r.Pool()
		return metrics.Pool{Hits: p.Hits, Misses: p.Misses, Timeouts: p.Timeouts, Stale: p.StaleConns, Total: p.TotalConns, Idle: p.IdleConns}
	})
}
