package config_test

import (
	"testing"

	"pargate/config"
)

func TestWhereTracesGo(t *testing.T) {
	t.Parallel()
	const base, traces = "OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="
	for _, row := range []struct {
		environ []string
		want    string
	}{
		{nil, ""},
		{[]string{base + "http://c:4318"}, "http://c:4318/v1/traces"},
		{[]string{base + "http://c:4318/"}, "http://c:4318/v1/traces"},
		{[]string{base + "https://c/otlp"}, "https://c/otlp/v1/traces"},
		{[]string{traces + "https://c/mine"}, "https://c/mine"},
		{[]string{traces + "https://c"}, "https://c"},
		{[]string{base + "http://c:4318", traces + "https://d/mine"}, "https://d/mine"},
		{[]string{base + "http://c:4318", "PARGATE_" + base + "http://d:4318"}, "http://d:4318/v1/traces"},
		{[]string{base + "http://c", "OTEL_TRACES_EXPORTER=otlp", "OTEL_SDK_DISABLED=false"}, "http://c/v1/traces"},
		{[]string{base + "http://c", "OTEL_TRACES_EXPORTER=none"}, ""},
		{[]string{base + "c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_SDK_DISABLED=True"}, ""},
		{[]string{base + "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, "http://c/v1/traces"},
		{[]string{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, ""},
	} {
		if got := load(t, row.environ...).TracesURL(); got != row.want {
			t.Errorf("%q: %q, want %q", row.environ, got, row.want)
		}
	}
}

func TestTracesThatCannotBeSentAreProblems(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		for value, problem := range map[string]string{
			"collector:4317":    " is not the URL of a collector, as http://collector:4318 is",
			"grpc://c:4317":     " is not the URL of a collector, as http://collector:4318 is",
			"http://":           " is not the URL of a collector, as http://collector:4318 is",
			"http://%zz":        " is not the URL of a collector, as http://collector:4318 is",
			"http://u:p4ss@c":   " has a user or a password in it; send them in OTEL_EXPORTER_OTLP_HEADERS",
			"http://c?key=p4ss": " has a query or a fragment",
			"http://c:0":        " has a port that is not from 1 to 65535",
		} {
			expect(t, setting+problem, setting+"="+value)
		}
	}
	on := "OTEL_EXPORTER_OTLP_ENDPOINT=http://c"
	expect(t, `OTEL_TRACES_EXPORTER "zipkin" is not supported; traces are exported by otlp, or not at all (none)`, on, "OTEL_TRACES_EXPORTER=zipkin")
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		expect(t, name+` "grpc" is not supported; traces are sent by http/protobuf, which collectors take at port 4318`, on, name+"=grpc")
	}
}

// The standard variables are set for every program of a machine or a pod, and not every one is about traces.
func TestStandardVariablesAreTakenWithoutAWord(t *testing.T) {
	t.Parallel()
	var names []string
	for _, signal := range []string{"", "TRACES_", "METRICS_", "LOGS_"} {
		for _, name := range []string{"HEADERS", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "TIMEOUT", "COMPRESSION", "INSECURE"} {
			names = append(names, "OTEL_EXPORTER_OTLP_"+signal+name)
		}
	}
	for _, name := range []string{"SERVICE_NAME", "RESOURCE_ATTRIBUTES", "SDK_DISABLED", "PROPAGATORS", "LOG_LEVEL", "ENTITIES",
		"TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "METRICS_EXPORTER", "LOGS_EXPORTER", "METRICS_EXEMPLAR_FILTER", "METRIC_EXPORT_INTERVAL", "METRIC_EXPORT_TIMEOUT",
		"BSP_SCHEDULE_DELAY", "BSP_EXPORT_TIMEOUT", "BSP_MAX_QUEUE_SIZE", "BSP_MAX_EXPORT_BATCH_SIZE",
		"BLRP_SCHEDULE_DELAY", "BLRP_EXPORT_TIMEOUT", "BLRP_MAX_QUEUE_SIZE", "BLRP_MAX_EXPORT_BATCH_SIZE",
		"ATTRIBUTE_VALUE_LENGTH_LIMIT", "ATTRIBUTE_COUNT_LIMIT", "SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "SPAN_ATTRIBUTE_COUNT_LIMIT", "SPAN_EVENT_COUNT_LIMIT",
		"SPAN_LINK_COUNT_LIMIT", "EVENT_ATTRIBUTE_COUNT_LIMIT", "LINK_ATTRIBUTE_COUNT_LIMIT", "LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
		"EXPORTER_OTLP_METRICS_ENDPOINT", "EXPORTER_OTLP_LOGS_ENDPOINT", "EXPORTER_OTLP_METRICS_PROTOCOL", "EXPORTER_OTLP_LOGS_PROTOCOL",
		"EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
		"EXPORTER_ZIPKIN_ENDPOINT", "EXPORTER_ZIPKIN_TIMEOUT", "EXPORTER_PROMETHEUS_HOST", "EXPORTER_PROMETHEUS_PORT", "CONFIG_FILE", "GO_X_OBSERVABILITY", "SEMCONV_STABILITY_OPT_IN"} {
		names = append(names, "OTEL_"+name)
	}
	for _, on := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c", "PATH=/bin"} {
		environ := []string{upstream, "REDIS_URL=redis://r", on}
		for _, name := range names {
			environ = append(environ, name+"=x")
		}
		if _, warnings, err := config.Load(environ); err != nil || len(warnings) > 0 {
			t.Errorf("%s: warnings %v, problems\n%v", on, warnings, err)
		}
	}
}
