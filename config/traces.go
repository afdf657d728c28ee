package config

import (
	"errors"
	"net/url"
	"strings"
)

const (
	otlpEndpoint   = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// traces checks where traces go, and those of the standard variables beside it that could ask for what is not done here. The
// others are the OpenTelemetry SDK's to read, and good ones and odd ones mean there what they mean everywhere.
func (c *checker) traces() {
	if c.cfg.OTLPEndpoint == "" && c.cfg.OTLPTracesEndpoint == "" {
		return
	}
	exporter := c.env.all["OTEL_TRACES_EXPORTER"]
	if exporter = strings.TrimSpace(exporter); exporter == "none" || strings.EqualFold(strings.TrimSpace(c.env.all["OTEL_SDK_DISABLED"]), "true") {
		c.cfg.OTLPEndpoint, c.cfg.OTLPTracesEndpoint = "", ""
		return
	}
	for setting, value := range map[string]string{otlpEndpoint: c.cfg.OTLPEndpoint, tracesEndpoint: c.cfg.OTLPTracesEndpoint} {
		if err := checkCollector(value); err != nil && value != "" {
			c.fail(setting, "%v", err)
		}
	}
	if exporter != "" && exporter != "otlp" {
		c.problems = append(c.problems, Problem{"OTEL_TRACES_EXPORTER", quote(exporter) + " is not supported; traces are exported by otlp, or not at all (none)"})
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		protocol := strings.TrimSpace(c.env.all[name])
		if protocol == "" {
			continue
		}
		if protocol != "http/protobuf" {
			c.problems = append(c.problems, Problem{name, quote(protocol) + " is not supported; traces are sent by http/protobuf, which collectors take at port 4318"})
		}
		return // the one for traces wins
	}
}

// checkCollector never repeats a user info.
func checkCollector(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("is not the URL of a collector, as http://collector:4318 is")
	case u.User != nil:
		return errors.New("has a user or a password in it; send them in OTEL_EXPORTER_OTLP_HEADERS")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("has a query or a fragment")
	case u.Port() != "" && !validPort(u.Port(), 1):
		return errors.New("has a port that is not from 1 to 65535")
	}
	return nil
}

// TracesURL returns where traces are sent; empty: there are none. The general endpoint is a base, to which the path of traces is
// added; the one for traces is taken as it is (OpenTelemetry Protocol Exporter, endpoint URLs for OTLP/HTTP).
func (c *Config) TracesURL() string {
	if c.OTLPTracesEndpoint != "" {
		return c.OTLPTracesEndpoint
	}
	if c.OTLPEndpoint == "" {
		return ""
	}
	return strings.TrimRight(c.OTLPEndpoint, "/") + "/v1/traces"
}
