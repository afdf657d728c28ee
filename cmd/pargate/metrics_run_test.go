package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// scrape returns all that /metrics has.
func (s *served) scrape(t *testing.T) string {
	t.Helper()
	res, err := http.Get(s.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("/metrics: %d, %v", res.StatusCode, err)
	}
	return string(body)
}

// metric reads one series of a running program; false when it is not there.
func (s *served) metric(t *testing.T, series string) (float64, bool) {
	t.Helper()
	for line := range strings.Lines(s.scrape(t)) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value, true
		}
	}
	return 0, false
}

func (s *served) wantMetric(t *testing.T, series string, right func(float64) bool) {
	t.Helper()
	value, known := s.metric(t, series)
	if !known || !right(value) {
		t.Errorf("%s is %v, there: %t", series, value, known)
	}
}

func TestALoginIsInTheMetrics(t *testing.T) {
	t.Parallel()
	is := func(want float64) func(float64) bool { return func(got float64) bool { return got == want } }
	some := func(got float64) bool { return got > 0 }
	for _, store := range []string{"memory", "Redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			var environ []string
			if store == "Redis" {
				environ = append(environ, "REDIS_URL="+storetest.StartRedis(t).URL())
			}
			s, _ := logIn(t, environ...)
			for series, right := range map[string]func(float64) bool{
				`pargate_push_requests_total{outcome="created"}`:                  is(1),
				`pargate_flows_total{event="opened"}`:                             is(1),
				`pargate_flows_total{event="finished"}`:                           is(1),
				`pargate_authorization_responses_total{outcome="passed"}`:         is(1),
				`pargate_push_to_authorize_seconds_count`:                         is(1),
				`pargate_push_to_authorize_seconds_bucket{le="10"}`:               is(1),
				`pargate_store_up`:                                                is(1),
				`pargate_upstream_up`:                                             is(1),
				`pargate_clients`:                                                 is(4),
				`pargate_connections_limit`:                                       is(float64(connectionShares(nil).Total)),
				`pargate_client_assertions_total{accepted="no",audience="other"}`: is(0),
				`go_goroutines`:                                                   some,
				`process_resident_memory_bytes`:                                   some,
			} {
				s.wantMetric(t, series, right)
			}
			if want := `pargate_build_info{goversion="` + runtime.Version() + `",revision="`; !strings.Contains(s.scrape(t), want) {
				t.Errorf("without %s", want)
			}
			if store == "memory" {
				s.wantMetric(t, "pargate_memory_entries", is(1))
				s.wantMetric(t, "pargate_memory_bytes", some)
				s.wantMetric(t, "pargate_memory_limit_bytes", is(64<<20))
				return
			}
			s.wantMetric(t, "pargate_redis_pool_connections", some)
			s.wantMetric(t, "pargate_redis_pool_idle_connections", some)
			s.wantMetric(t, "pargate_redis_pool_hits_total", some)
			s.wantMetric(t, "pargate_redis_pool_misses_total", some)
			s.wantMetric(t, "pargate_redis_pool_timeouts_total", is(0))
			s.wantMetric(t, "pargate_redis_pool_stale_connections_total", func(n float64) bool { return n >= 0 })
			if _, known := s.metric(t, "pargate_memory_entries"); known {
				t.Error("there is a memory store too")
			}
		})
	}
}

func TestFilesAndConnectionsAreInTheMetrics(t *testing.T) {
	t.Parallel()
	up := upstream.New(t)
	clients := writeFile(t, harness.Clients)
	s := start(t, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+clients)
	up.SetIssuer(s.public)
	s.waitReady(t)
	for _, step := range []struct {
		content, series string
		clients         float64
	}{{`[{"client_id": "web", "client_secret": "s3cret"}]`, `pargate_file_reloads_total{file="clients",result="ok"}`, 1},
		{`[{"client_id"`, `pargate_file_reloads_total{file="clients",result="failed"}`, 1}} {
		if err := os.WriteFile(clients, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		harness.WaitFor(t, step.series, func() bool { n, _ := s.metric(t, step.series); return n == 1 })
		s.wantMetric(t, "pargate_clients", func(n float64) bool { return n == step.clients })
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "the connection", func() bool { n, _ := s.metric(t, "pargate_connections_open"); return n == 1 })
	conn.Close()
	harness.WaitFor(t, "its end", func() bool { n, _ := s.metric(t, "pargate_connections_open"); return n == 0 })
	if status, _ := getText(t, s.public+"/metrics"); status == 200 {
		if _, body := getText(t, s.public+"/metrics"); strings.Contains(body, "pargate_") {
			t.Error("the metrics are public")
		}
	}
}
