package config_test

import (
	"testing"

	"pargate/config"
)

func TestMisspeltNamesAreProblems(t *testing.T) {
	t.Parallel()
	for name, meant := range map[string]string{
		"TRUSTED_PROXYS": "TRUSTED_PROXIES", "PAR_REQUIRED_FILE": "PAR_REQUIRED", "TRUSTED_PROXY": "TRUSTED_PROXIES", "PAR_REQUIERD": "PAR_REQUIRED",
		"PAR_REQUIRE": "PAR_REQUIRED", "PARREQUIRED": "PAR_REQUIRED", "par_required": "PAR_REQUIRED", "PAR-REQUIRED": "PAR_REQUIRED",
		"PAR_TLT": "PAR_TTL", "UPSTREAM_URI": "UPSTREAM_URL", "UP_STREAM_TIMEOUT": "UPSTREAM_TIMEOUT", "CLIENT_FILE": "CLIENTS_FILE",
		"CLIENTAUTH": "CLIENT_AUTH", "PUBLIC_URI": "PUBLIC_URL", "AUTHORISE_PATH": "AUTHORIZE_PATH", "AUTHORIZE_PATHS": "AUTHORIZE_PATH",
		"TOKENS_PATH": "TOKEN_PATH", "RESPONSE_IIS": "RESPONSE_ISS", "TLS_CERTFILE": "TLS_CERT_FILE", "LISTEN_ADDRS": "LISTEN_ADDR",
		"PARGATE_PARREQUIRED": "PARGATE_PAR_REQUIRED", "PARGATE_REDIS_URI": "PARGATE_REDIS_URL", "PARGATE_TRUSTED_PROXYS": "PARGATE_TRUSTED_PROXIES",
		"PARGTE_PAR_REQUIRED": "PARGATE_PAR_REQUIRED", "PARGATE_REDIS_PASSWORD_FILES": "PARGATE_REDIS_PASSWORD_FILE",
	} {
		expect(t, name+" is not a setting; did you mean "+meant+" ?", name+"=x")
	}
	for _, name := range []string{"PARGATE_", "PARGATE_FOO", "PARGATE_X_Y_Z"} {
		expect(t, name+" is not a setting", name+"=x")
	}
	expect(t, "PARGATE_PORT is not a setting", "PARGATE_PORT=8080")
	expect(t, `"PARGATE_\x1b[31m" is not a setting`, "PARGATE_\x1b[31m=x")
	expect(t, "", "PARGATE_FOO=", "PAR_REQUIERD=") // set to nothing is unset
}

func TestOrdinaryEnvironmentsAreLeftAlone(t *testing.T) {
	t.Parallel()
	environ := []string{
		upstream, "CLIENTS_FILE=" + file(t, "[]"), "REDIS_URL=redis://r",
		"PATH=/bin", "HOME=/root", "PWD=/", "SHLVL=1", "TERM=xterm", "HOSTNAME=x", "LANG=C.UTF-8", "TZ=UTC", "_=/bin/env", "TMPDIR=/tmp",
		"HTTP_PROXY=http://p", "NO_PROXY=x", "http_proxy=http://p", "SSL_CERT_FILE=/x", "SSL_CERT_DIR=/x", "GOMEMLIMIT=1GiB", "GODEBUG=x=1",
		"LOG_DIR=/var/log", "LOG_FILE=/x", "LOG_PATH=/x", "PORT=8080", "HOST=x", "APP_PATH=/x", "PERL_PATH=/x", "MAN_PATH=/x", "JAR_PATH=/x",
		"TOKEN_HASH=x", "TOKEN_AUTH=x", "TOKEN_FILE=x", "CLIENT_ID=x", "CLIENT_SECRET=x", "PUBLIC_KEY=x", "TLS_CA_FILE=x",
		"REDIS_HOST=x", "REDIS_PORT=tcp://10.0.0.1:6379", "REDIS_DB=1", "REDIS_TTL=1", "REDIS_URI=x", "REDIS_USER=x",
		"REDIS_PORT_6379_TCP=tcp://10.0.0.1:6379", "REDIS_SERVICE_HOST=10.0.0.1", "REDIS_SERVICE_PORT=6379",
		"PARGATE_SERVICE_HOST=10.0.0.1", "PARGATE_SERVICE_PORT=8080", "PARGATE_SERVICE_PORT_HTTP=8080", "PARGATE_PORT=tcp://10.0.0.1:8080",
		"PARGATE_PORT_8080_TCP=tcp://10.0.0.1:8080", "PARGATE_PORT_8080_TCP_PROTO=tcp", "PARGATE_PORT_8080_TCP_PORT=8080",
		"PARGATE_PORT_8080_TCP_ADDR=10.0.0.1", "PARGATE_REDIS_SERVICE_HOST=10.0.0.1", "PARGATE_REDIS_PORT=tcp://10.0.0.1:6379",
		"UPSTREAM_PORT=tcp://10.0.0.1:80", "OTEL_SERVICE_NAME=x", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=x", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"KUBERNETES_PORT=tcp://10.0.0.1:443", "SHUTDOWN=1", "LISTEN_FDS=1", "LISTEN_PID=1", "CORS_ORIGIN=",
	}
	if _, warnings, err := config.Load(environ); err != nil || len(warnings) > 0 {
		t.Errorf("warnings %v, problems\n%v", warnings, err)
	}
}
