package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What follows is read when Prometheus asks. Each says where from, once for a Metrics.

// BuildInfo says which program this is.
func (m *Metrics) BuildInfo(version, revision, goversion string) {
	m.with().NewGauge(prometheus.GaugeOpts{Name: "pargate_build_info", Help: "1, with what the program was built from.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": goversion}}).Set(1)
}

// ReadRequests says how many requests are being served.
func (m *Metrics) ReadRequests(inFlight func() int) {
	m.gauge("pargate_http_requests_in_flight", "Requests that are being served.", nil, inFlight)
}

// ReadConnections says how many connections of clients and browsers are open, of how many there may be.
func (m *Metrics) ReadConnections(open func() int, limit int) {
	m.gauge("pargate_connections_open", "Connections of clients and browsers.", nil, open)
	m.gauge("pargate_connections_limit", "Connections of clients and browsers that there may be.", nil, func() int { return limit })
}

// ReadClients says how many clients the client file has.
func (m *Metrics) ReadClients(registered func() int) {
	m.gauge("pargate_clients", "Clients of the client file.", nil, registered)
}

// ReadSlots says how many places of a kind are taken, of how many there are.
func (m *Metrics) ReadSlots(kind Slot, taken func() int, limit int) {
	labels := prometheus.Labels{kind.label(): kind.values()[kind]}
	m.gauge("pargate_upstream_slots_in_use", "Places at the authorization server that are taken: requests that wait for it, uploads among them, questions about clients, and responses on their way.",
		labels, taken)
	m.gauge("pargate_upstream_slots", "Places at the authorization server that there are.", labels, func() int { return limit })
}

// pingPatience bounds how long a scrape waits for the store.
const pingPatience = time.Second

// ReadStore says whether the store answers. It is asked each time.
func (m *Metrics) ReadStore(ping func(context.Context) error) {
	m.gauge("pargate_store_up", "1 when the store answers, asked when the metrics are read; 0 when not.", nil, func() int {
		ctx, cancel := context.WithTimeout(context.Background(), pingPatience)
		defer cancel()
		if ping(ctx) != nil {
			return 0
		}
		return 1
	})
}

// ReadMemory says what the memory store holds.
func (m *Metrics) ReadMemory(entries func() int, bytes func() int64, limit int64) {
	m.gauge("pargate_memory_entries", "Pushed requests, flows, continuations and marks in the memory store. Expired ones count until they are collected.", nil, entries)
	m.gauge("pargate_memory_bytes", "What the memory store holds, overhead counted.", nil, func() int { return int(bytes()) })
	m.gauge("pargate_memory_limit_bytes", "What the memory store may hold.", nil, func() int { return int(limit) })
}

// Pool are the statistics of the connections to Redis.
type Pool struct {
	Hits, Misses, Timeouts, Stale uint32 // since the start
	Total, Idle                   uint32 // now
}

// ReadPool says how the connections to Redis fare.
func (m *Metrics) ReadPool(read func() Pool) {
	for _, c := range []struct {
		name, help string
		of         func(Pool) uint32
	}{
		{"pargate_redis_pool_hits_total", "Times that an idle connection to Redis was there when one was wanted.", func(p Pool) uint32 { return p.Hits }},
		{"pargate_redis_pool_misses_total", "Times that a new connection to Redis had to be opened.", func(p Pool) uint32 { return p.Misses }},
		{"pargate_redis_pool_timeouts_total", "Times that no connection to Redis was to be had in time.", func(p Pool) uint32 { return p.Timeouts }},
		{"pargate_redis_pool_stale_connections_total", "Connections to Redis that were found dead.", func(p Pool) uint32 { return p.Stale }},
	} {
		m.with().NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.of(read())) })
	}
	m.gauge("pargate_redis_pool_connections", "Connections to Redis.", nil, func() int { return int(read().Total) })
	m.gauge("pargate_redis_pool_idle_connections", "Connections to Redis that nobody uses.", nil, func() int { return int(read().Idle) })
}

func (m *Metrics) gauge(name, help string, labels prometheus.Labels, read func() int) {
	m.with().NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(read()) })
}
