package metrics_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// What is counted for every request costs no allocation.
func TestCountingAllocatesNothing(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry())
	if n := testing.AllocsPerRun(1000, func() {
		m.Requests.Inc(metrics.RoutePush, metrics.MethodOf("POST"), metrics.CodeOf(201))
		m.RequestTimes.Observe(metrics.RoutePush, metrics.CodeOf(201), time.Millisecond)
		m.Pushes.Inc(metrics.PushCreated)
		m.Authentications.Inc(metrics.AuthMethodOf("private_key_jwt"), metrics.ByFile, metrics.AuthOK)
		m.Assertions.Inc(metrics.AudienceOf("issuer"), metrics.AcceptedIf(true))
		m.StoreTimes.Observe(metrics.OpPut, metrics.StoredOK, time.Millisecond)
		m.UpstreamTimes.Observe(metrics.AskedAuthorize, metrics.CodeOf(302), time.Millisecond)
		m.UpstreamAnswers(true)
		m.Overwritten.Inc("a name that nobody knows")
		m.Claimed(time.Second)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Without a registry everything counts, and nothing is registered anywhere.
func TestWithoutARegistryNothingIsExported(t *testing.T) {
	t.Parallel()
	for range 2 { // two of them do not meet
		m := metrics.New(nil)
		m.Pushes.Inc(metrics.PushCreated)
		m.Claimed(-1)
		m.BuildInfo("v", "r", "go")
		m.ReadRequests(func() int { return 1 })
		m.ReadPool(func() metrics.Pool { return metrics.Pool{} })
	}
	if n, err := testutil.GatherAndCount(prometheus.DefaultGatherer, "pargate_push_requests_total"); n != 0 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
}

// Whatever a request says, its label is one of those that there are.
func TestLabelsAreClosed(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := metrics.New(registry)
	before, err := testutil.GatherAndCount(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "GET", "get", "BREW", "\xff", "client_secret_basic", "xyz", "issuer", "state", "evil"} {
		m.Requests.Inc(metrics.RouteOther, metrics.MethodOf(text), metrics.CodeOf(len(text)*100))
		m.Authentications.Inc(metrics.AuthMethodOf(text), metrics.ByUpstream, metrics.AuthError)
		m.Assertions.Inc(metrics.AudienceOf(text), metrics.AcceptedIf(false))
		m.Overwritten.Inc(text)
		m.ValuesInCookies.Inc(text)
	}
	for _, name := range oauth.AuthorizationRequestNames() {
		m.Overwritten.Inc(name)
	}
	for _, status := range []int{-1, 0, 99, 100, 199, 600, 1 << 30} {
		m.RequestTimes.Observe(metrics.RouteOther, metrics.CodeOf(status), 0)
	}
	if after, err := testutil.GatherAndCount(registry); err != nil || after != before {
		t.Errorf("%d series, %d before, %v", after, before, err)
	}
}
