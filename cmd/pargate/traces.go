package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"pargate/config"
)

// tracesTimeout is how long the last spans may take when the program ends.
const tracesTimeout = 3 * time.Second

// traces sends spans to a collector. A nil one has none and sends nothing.
type traces struct {
	provider *sdktrace.TracerProvider
	exporter *exporter
}

// newTraces returns what sends spans to where the settings say; nil when they say nowhere. It opens no connection. All but the
// address the SDK reads for itself, from the environment of the process: headers, certificates and timeouts, the sampler, the
// resource, and how many spans may wait.
func newTraces(cfg *config.Config, log *zap.Logger) (*traces, error) {
	address := cfg.TracesURL()
	if address == "" {
		return nil, nil
	}
	told := &tracesLog{log: log, now: time.Now}
	// For the whole process: of the programs of a test the last one to start is told.
	otel.SetErrorHandler(told)
	otel.SetLogger(logr.New(told))
	ctx := context.Background()
	next, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address), otlptracehttp.WithProxy(proxyTo(address)))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "pargate"), attribute.String("service.version", versionName())),
		resource.WithFromEnv(), // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
	)
	if err != nil {
		return nil, err
	}
	e := &exporter{SpanExporter: next, told: told}
	e.ctx, e.cancel = context.WithCancel(ctx)
	return &traces{sdktrace.NewTracerProvider(sdktrace.WithBatcher(e), sdktrace.WithResource(about),
		sdktrace.WithoutPanicRecording()), // a panic's text is for the log
		e}, nil
}

var errRedirected = errors.New("the collector redirects to another server, which is not followed")

// proxyTo returns what finds the proxy of requests to the collector, and keeps them from anybody else: the SDK follows
// redirects, and takes its headers along, which may hold a key. A proxy is asked for ahead of every request.
func proxyTo(address string) otlptracehttp.HTTPTransportProxyFunc {
	collector, err := url.Parse(address)
	return func(r *http.Request) (*url.URL, error) {
		if err != nil || r.URL.Scheme != collector.Scheme || r.URL.Host != collector.Host {
			return nil, errRedirected
		}
		return http.ProxyFromEnvironment(r)
	}
}

// tracer returns what makes the gateway's spans; nil when there are none.
func (t *traces) tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("pargate", trace.WithInstrumentationVersion(versionName()))
}

// end sends the last spans, for as long as tracesTimeout. What is not sent by then is dropped.
func (t *traces) end() {
	if t == nil {
		return
	}
	timer := time.AfterFunc(tracesTimeout, t.exporter.cancel)
	defer timer.Stop()
	defer t.exporter.cancel()
	if err := t.provider.Shutdown(context.Background()); err != nil { // which waits no longer than the exporter does
		t.exporter.told.Handle(err)
	}
}

// exporter is the SDK's, which the end of the program interrupts: the SDK itself goes on with a collector that hangs, behind
// the back of whoever has stopped waiting. Its errors go into the log.
type exporter struct {
	sdktrace.SpanExporter
	told   *tracesLog
	ctx    context.Context // ends when nobody waits any more
	cancel context.CancelFunc
}

// ExportSpans implements trace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.told.lost(err, len(spans))
	}
	return nil // it has been told
}

// tracesInterval is how often the log tells that something is wrong with the traces.
const tracesInterval = time.Minute

// tracesLog logs what goes wrong with traces, once a minute at most: a collector that is gone is gone for every batch. It is
// also where the SDK logs to. Values that come with a message are left out: they are those of variables, headers too.
type tracesLog struct {
	log *zap.Logger
	now func() time.Time

	mu     sync.Mutex
	last   time.Time // zero: nothing was logged yet
	silent int       // errors since then that were not
	spans  int       // that were lost since then
}

// Handle implements otel.ErrorHandler.
func (l *tracesLog) Handle(err error) { l.lost(err, 0) }

// lost is about an error for which some spans were dropped.
func (l *tracesLog) lost(err error, spans int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans += spans
	now := l.now()
	if !l.last.IsZero() && now.Sub(l.last) < tracesInterval {
		l.silent++
		return
	}
	text := err.Error()
	l.log.Warn("traces are not as they should be", zap.String("error", text[:min(len(text), 512)]),
		zap.Int("spans_lost", l.spans), zap.Int("not_logged", l.silent))
	l.last, l.silent, l.spans = now, 0, 0
}

// Init implements logr.LogSink.
func (l *tracesLog) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink: what is no error is the SDK's own business.
func (l *tracesLog) Enabled(int) bool { return false }

// Info implements logr.LogSink.
func (l *tracesLog) Info(int, string, ...any) {}

// Error implements logr.LogSink. It is about one of the variables, each of which is read once.
func (l *tracesLog) Error(err error, message string, _ ...any) {
	l.log.Warn("an OTEL_* variable is not as it must be, and is left out", zap.String("while", message), zap.NamedError("error", err))
}

// WithValues implements logr.LogSink.
func (l *tracesLog) WithValues(...any) logr.LogSink { return l }

// WithName implements logr.LogSink.
func (l *tracesLog) WithName(string) logr.LogSink { return l }
