package test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pargate/proxy"
	"pargate/test/harness"
)

// BenchmarkPush says what a push costs through proxy.Server and the memory store, with its log lines written to nowhere: without
// traces, with every push sampled, and with none.
func BenchmarkPush(b *testing.B) {
	provider := func(sampler sdktrace.Sampler) sdktrace.TracerProviderOption { return sdktrace.WithSampler(sampler) }
	for _, row := range []struct {
		name    string
		sampler sdktrace.TracerProviderOption
	}{{"off", nil}, {"sampled", provider(sdktrace.AlwaysSample())}, {"unsampled", provider(sdktrace.NeverSample())}} {
		b.Run(row.name, func(b *testing.B) {
			core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel)
			g := harness.Start(b, harness.Setup{Options: func(o *proxy.Options) {
				o.Log = zap.New(core)
				if row.sampler != nil {
					p := sdktrace.NewTracerProvider(row.sampler, sdktrace.WithBatcher(tracetest.NewNoopExporter()))
					b.Cleanup(func() { p.Shutdown(b.Context()) })
					o.Tracer = p.Tracer("bench")
				}
			}})
			form := harness.Form().Encode()
			push := func() {
				r := httptest.NewRequest("POST", "/par", strings.NewReader(form))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.SetBasicAuth("web", "s3cret")
				w := httptest.NewRecorder()
				if g.Server.ServeHTTP(w, r); w.Code != 201 {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			push() // the secret is verified once, and remembered
			b.ReportAllocs()
			for b.Loop() {
				push()
			}
		})
	}
}
