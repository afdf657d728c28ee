package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"pargate/config"
	"pargate/proxy"
	"pargate/pushstore"
)

// wired are the settings that end up in proxy.Options, each with a value that is not its default, the one field that
// it changes, and what that field then holds, as it prints.
var wired = []struct{ setting, value, field, want string }{
	{"UPSTREAM_URL", "https://login.example/realm", "Issuer.UpstreamURL", "https://login.example/realm"},
	{"PUBLIC_URL", "https://public.example/realm", "Issuer.PublicURL", "https://public.example/realm"},
	{"PAR_PATH", "/realm/push", "Issuer.PushPath", "/realm/push"},
	{"AUTHORIZE_PATH", "/auth,/oauth/start", "Issuer.AuthorizePaths", "[/auth /oauth/start]"},
	{"TOKEN_PATH", "/oauth/token", "Issuer.TokenPath", "/oauth/token"},
	{"ASSERTION_AUDIENCE", "issuer", "Audience", "issuer"},
	{"PAR_REQUIRED", "true", "PARRequired", "true"},
	{"PAR_TTL", "17s", "PushLifetime", "17s"},
	{"FLOW_TTL", "19m", "FlowLifetime", "19m0s"},
	{"PAR_MAX_BYTES", "3KiB", "MaxPushBytes", "3072"},
	{"UPSTREAM_MAX_REQUEST", "5KiB", "MaxQueryBytes", "5120"},
	{"CORS_ORIGINS", "https://a.example, http://127.0.0.1:3000", "CORSOrigins", "[https://a.example http://127.0.0.1:3000]"},
	{"RATE_LIMIT", "90/m", "PushRate", "1.5"},
	{"RATE_LIMIT", "off", "PushRate", "0"},
	{"METADATA_PATCH", "false", "PatchMetadata", "false"},
	{"CLIENT_AUTH", "upstream", "Delegation", "2"},
	{"PROBE_ACCEPT", "invalid_code, jti_known", "ProbeAccept", "[invalid_code jti_known]"},
	{"RESPONSE_ISS", "off", "AddIssuer", "false"},
	{"RESPONSE_ISS", "advertise", "Advertise", "true"},
	{"RESUME_PARAMS", "ticket, step", "ResumeParams", "[ticket step]"},
	{"TRUSTED_PROXIES", "10.0.0.0/8 192.0.2.7", "TrustedProxies", "[10.0.0.0/8 192.0.2.7/32]"},
	{"UPSTREAM_DRY_RUN", "true", "DryRun", "true"},
	{"UPSTREAM_TIMEOUT", "11s", "UpstreamTimeout", "11s"},
}

// wiredElsewhere are the settings whose effect another test shows.
var wiredElsewhere = map[string]string{
	"LISTEN_ADDR":                        "every test with start",
	"ADMIN_ADDR":                         "every test with start; off: TestAdminOffServesHealthNowhere",
	"LOG_LEVEL":                          "TestLogLevel",
	"LOG_FORMAT":                         "TestLogFormat",
	"CLIENTS_FILE":                       "TestTheClientFileIsReadAgain",
	"UPSTREAM_CA_FILE":                   "TestTheUpstreamsCertificateIsVerified",
	"TLS_CERT_FILE":                      "TestTheListenersCertificateIsReadAgain",
	"TLS_KEY_FILE":                       "the same",
	"TLS_CLIENT_CA_FILE":                 "TestAClientProvesItselfByItsCertificate",
	"CLIENT_CERT_HEADER":                 "the same, and TestCertificatesAreHandedOnByTrustedProxiesAlone",
	"REDIS_URL":                          "TestRedisIsReachedAsTheSettingsSay",
	"REDIS_USERNAME":                     "the same",
	"REDIS_PASSWORD":                     "the same",
	"REDIS_KEY_PREFIX":                   "the same",
	"REDIS_MODE":                         "TestRedisModeIsWhatTheSettingSays",
	"REDIS_CA_FILE":                      "TestRedisIsReachedOverTLS",
	"REDIS_CERT_FILE":                    "the same",
	"REDIS_KEY_FILE":                     "the same",
	"REDIS_WAIT_REPLICAS":                "TestAPushIsAnsweredWhenReplicasHaveIt",
	"PROFILE":                            "TestTheProfileSetsAllThatItImplies, TestTheClientFileIsHeldToTheProfile",
	"OTEL_EXPORTER_OTLP_ENDPOINT":        "TestALoginIsOneStoryInTheLogAndInTraces",
	"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "TestTracesGoToTheirOwnEndpoint",
	"SHUTDOWN_DELAY":                     "TestATerminationIsServedThroughItsDelay",
	"SHUTDOWN_TIMEOUT":                   "TestARequestThatNeverEndsIsCutAtTheTimeout",
	"UPSTREAM_AUTHORIZE_METHOD":          "TestByPOSTTheWholePushMayGoUpstream",
}

func TestEverySettingHasItsEffectAndNoOther(t *testing.T) {
	t.Parallel()
	unset := options(t)
	for _, row := range wired {
		set := options(t, row.setting+"="+row.value)
		var changed []string
		for name := range set {
			if set[name] != unset[name] {
				changed = append(changed, name)
			}
		}
		if !slices.Equal(changed, []string{row.field}) || set[row.field] != row.want {
			t.Errorf("%s=%s changes %v, %s is %s; want only that, to %s", row.setting, row.value, changed, row.field, set[row.field], row.want)
		}
	}
}

func TestUnsetSettingsMeanTheirDefaults(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"Issuer.UpstreamURL": "http://127.0.0.1:1", "Issuer.PublicURL": "<nil>", "Issuer.PushPath": "", "Issuer.AuthorizePaths": "[]",
		"Issuer.TokenPath": "", "Audience": "rfc9126", "ClientCertHeader": "", "ClientRoots": "<nil>", "AllowPrivateKeySets": "false",
		"KeySetRoots": "<nil>", "Delegation": "1", "ProbeAccept": "[]", "PARRequired": "false", "PushLifetime": "1m0s", "FlowLifetime": "30m0s", "MaxPushBytes": "65536",
		"MaxQueryBytes": "8192", "PushRate": "50", "CORSOrigins": "[]", "PatchMetadata": "true", "AddIssuer": "true", "Advertise": "false", "AuthorizeByPOST": "false", "DryRun": "false", "FAPI": "false", "ResumeParams": "[]",
		"TrustedProxies": "[]", "TrustSockets": "false", "UpstreamTimeout": "30s", "MaxResponses": strconv.Itoa(maxResponses()), "BodyTimeout": "10s", "WriteTimeout": "30s", "UpstreamRoots": "<nil>",
	}
	if got := options(t); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// options returns what build hands to the proxy, field by field as it prints.
func options(t *testing.T, environ ...string) map[string]string {
	t.Helper()
	g, err := build(load(t, append([]string{"UPSTREAM_URL=http://127.0.0.1:1"}, environ...)...), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer g.server.Store.Close()
	fields := map[string]string{}
	collect(fields, "", reflect.ValueOf(g.server.Options))
	return fields
}

func collect(into map[string]string, prefix string, v reflect.Value) {
	for i := range v.NumField() {
		name, field := prefix+v.Type().Field(i).Name, v.Field(i)
		switch {
		case field.Type() == reflect.TypeFor[proxy.Issuer]():
			collect(into, name+".", field)
		case !slices.Contains([]string{"Store", "Clients", "Log", "Metrics", "Tracer", "Now"}, name): // they are there, and show nothing here
			into[name] = fmt.Sprint(field.Interface())
		}
	}
}

func TestTheProfileSetsAllThatItImplies(t *testing.T) {
	t.Parallel()
	want := options(t)
	for field, value := range map[string]string{"FAPI": "true", "Audience": "issuer", "PARRequired": "true", "Advertise": "true"} {
		want[field] = value
	}
	if got := options(t, "PROFILE=fapi2"); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestTheClientFileIsHeldToTheProfile(t *testing.T) {
	t.Parallel()
	const method = `client 1 \("web"\): token_endpoint_auth_method client_secret_basic is not allowed with PROFILE=fapi2; use private_key_jwt`
	environ := []string{"UPSTREAM_URL=http://127.0.0.1:1", "CLIENTS_FILE=" + writeFile(t, `[{"client_id": "web", "client_secret": "s3cret"}]`)}
	if code, _, stderr := call(t, environ, "check"); code != exitOK {
		t.Errorf("without it: %d %s", code, stderr)
	}
	for _, verb := range []string{"check", "serve"} {
		code, _, stderr := call(t, append(environ, "PROFILE=fapi2"), verb)
		if code != exitConfig || !matchLines(stderr, "CLIENTS_FILE: .*"+method) {
			t.Errorf("%s: %d %s", verb, code, stderr)
		}
	}
}

func TestByPOSTTheWholePushMayGoUpstream(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		environ []string
		want    string
	}{
		{[]string{"UPSTREAM_AUTHORIZE_METHOD=GET", "PAR_MAX_BYTES=32KiB"}, "8192"},
		{[]string{"UPSTREAM_AUTHORIZE_METHOD=POST"}, "65536"},
		{[]string{"UPSTREAM_AUTHORIZE_METHOD=POST", "PAR_MAX_BYTES=32KiB"}, "32768"},
		{[]string{"UPSTREAM_AUTHORIZE_METHOD=POST", "UPSTREAM_MAX_REQUEST=9KiB"}, "9216"},
	} {
		got := options(t, row.environ...)
		if byPOST := fmt.Sprint(strings.Contains(row.environ[0], "POST")); got["MaxQueryBytes"] != row.want || got["AuthorizeByPOST"] != byPOST {
			t.Errorf("%v: up to %s bytes, by POST %s", row.environ, got["MaxQueryBytes"], got["AuthorizeByPOST"])
		}
	}
}

func TestNoSettingIsForgottenHere(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{}
	for _, row := range wired {
		rows[row.setting] = true
	}
	for _, s := range config.Settings() {
		_, elsewhere := wiredElsewhere[s.Name]
		if !rows[s.Name] && !elsewhere {
			t.Errorf("nothing shows the effect of %s", s.Name)
		}
		if rows[s.Name] && elsewhere {
			t.Errorf("%s is listed twice", s.Name)
		}
		delete(rows, s.Name)
	}
	for name := range rows {
		t.Errorf("%s is not a setting", name)
	}
}

func TestSettingsWithOneValueAreTaken(t *testing.T) {
	t.Parallel()
	clients := writeFile(t, "[]")
	environ := []string{"UPSTREAM_AUTHORIZE_METHOD=GET", "UPSTREAM_DRY_RUN=false", "REDIS_WAIT_REPLICAS=0", "REDIS_URL=redis://127.0.0.1:1",
		"REDIS_MODE=standalone", "CLIENT_AUTH=auto", "CLIENTS_FILE=" + clients, "ASSERTION_AUDIENCE=rfc9126", "RESPONSE_ISS=add"}
	if got, want := options(t, environ...), options(t); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// The memory store has the clock of the bubble.
func TestTheMemoryStoreKeepsAFlowForFlowTTL(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{time.Minute, 3 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			g, err := build(load(t, "UPSTREAM_URL=http://127.0.0.1:1", "FLOW_TTL="+ttl.String()), zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			defer g.server.Store.Close()
			alive := openFlow(t, g.server.Store)
			time.Sleep(ttl - time.Second)
			if err := alive(); err != nil {
				t.Errorf("%v: just before its end: %v", ttl, err)
			}
			time.Sleep(time.Second)
			if err := alive(); err == nil {
				t.Errorf("%v: still there at its end", ttl)
			}
		})
	}
}

// openFlow pushes and opens a request, and returns what looks whether the flow is still there.
func openFlow(t *testing.T, store pushstore.Store) (alive func() error) {
	t.Helper()
	party, owner := pushstore.Party{Issuer: "https://login.example", ClientID: "web"}, pushstore.OwnerOf([]byte("secret"))
	ref, err := store.Put(context.Background(), party, pushstore.Request{Query: "client_id=web"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(context.Background(), party, ref, owner); err != nil {
		t.Fatal(err)
	}
	return func() error {
		_, err := store.Flow(context.Background(), party, ref, owner)
		return err
	}
}

func TestProblemsOfFilesAndOfRedisAreToldAtOnce(t *testing.T) {
	t.Parallel()
	environ := []string{"UPSTREAM_URL=http://127.0.0.1:1", "CLIENTS_FILE=" + writeFile(t, "{"), "UPSTREAM_CA_FILE=" + writeFile(t, "no PEM"),
		"REDIS_URL=redis://:hunter2@127.0.0.1:1/no-number"}
	for _, verb := range []string{"check", "serve"} {
		code, _, stderr := call(t, environ, verb)
		if code != exitConfig || !matchLines(stderr, "CLIENTS_FILE: .", "UPSTREAM_CA_FILE: .* has no certificate", "REDIS_URL: .*number") {
			t.Errorf("%s: %d %s", verb, code, stderr)
		}
	}
}

func writeFile(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
