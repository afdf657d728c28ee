package oauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"pargate/proxy/oauth"
)

// constructors are all of them, each with what it must tell.
var constructors = []struct {
	name   string
	err    *oauth.Error
	status int
	code   string
}{
	{"InvalidRequest", oauth.InvalidRequest("why"), 400, "invalid_request"},
	{"InvalidRequestURI", oauth.InvalidRequestURI(), 400, "invalid_request_uri"},
	{"InvalidScope", oauth.InvalidScope("why"), 400, "invalid_scope"},
	{"InvalidTarget", oauth.InvalidTarget("why"), 400, "invalid_target"},
	{"InvalidAuthorizationDetails", oauth.InvalidAuthorizationDetails("why"), 400, "invalid_authorization_details"},
	{"InvalidDPoPProof", oauth.InvalidDPoPProof("why"), 400, "invalid_dpop_proof"},
	{"UnsupportedResponseType", oauth.UnsupportedResponseType("why"), 400, "unsupported_response_type"},
	{"UnauthorizedClient", oauth.UnauthorizedClient("why"), 400, "unauthorized_client"},
	{"InvalidRequestObject", oauth.InvalidRequestObject("why"), 400, "invalid_request_object"},
	{"RequestNotSupported", oauth.RequestNotSupported(), 400, "request_not_supported"},
	{"InvalidClient", oauth.InvalidClient("why", false), 401, "invalid_client"},
	{"InvalidClient with a challenge", oauth.InvalidClient("why", true), 401, "invalid_client"},
	{"MethodNotAllowed", oauth.MethodNotAllowed(), 405, "invalid_request"},
	{"TooLarge", oauth.TooLarge("why"), 413, "invalid_request"},
	{"UnsupportedMediaType", oauth.UnsupportedMediaType("why"), 415, "invalid_request"},
	{"TooManyRequests", oauth.TooManyRequests(time.Second), 429, "temporarily_unavailable"},
	{"TemporarilyUnavailable", oauth.TemporarilyUnavailable("why"), 503, "temporarily_unavailable"},
	{"ServerError", oauth.ServerError(), 500, "server_error"},
}

func TestEveryErrorHasItsStatusItsCodeAndTwoMembers(t *testing.T) {
	t.Parallel()
	for _, test := range constructors {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.err.Status != test.status || test.err.Code != test.code {
				t.Errorf("%d %s, want %d %s", test.err.Status, test.err.Code, test.status, test.code)
			}
			body, err := json.Marshal(test.err)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"error": test.code, "error_description": test.err.Description}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("wire form %s, want %v", body, want)
			}
			if !plain(test.err.Description) {
				t.Errorf("description %q, want plain ASCII without quotation mark and backslash (RFC 6749 §5.2)", test.err.Description)
			}
		})
	}
}

func TestParseFormDescriptionsArePlain(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`"`, `\`, "ü", "<script>", "\n", "%", "%22", "%5C", "%C3%BC", "%0A", "%00", "%FF", ";"} {
		for _, body := range []string{bad + "=1&" + bad + "=1", "x=" + bad + "%", "x" + bad + "%=1", "scope[" + bad + "]=1", "state=" + bad + "%zz"} {
			_, err := oauth.ParseForm(body)
			var e *oauth.Error
			if !errors.As(err, &e) || !plain(e.Description) {
				t.Errorf("ParseForm(%q): %v, want a plain description", body, err)
			}
		}
	}
}

// plain reports whether s is made of the characters that RFC 6749 §5.2 allows in an error_description.
func plain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' })
}

func TestADescriptionThatIsEmptyIsLeftOut(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(&oauth.Error{Code: oauth.CodeInvalidScope})
	if got, want := string(body), `{"error":"invalid_scope"}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestTheCauseIsLoggedAndNeverTold(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial redis.internal:6379")
	err := oauth.TemporarilyUnavailable("try again").Because(cause)
	if !errors.Is(err, cause) {
		t.Error("the cause is not in the chain")
	}
	if got, want := err.Error(), "temporarily_unavailable: try again: dial redis.internal:6379"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := oauth.InvalidScope("no").Error(), "invalid_scope: no"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	body, _ := json.Marshal(err)
	header := http.Header{}
	err.WriteHead(header)
	if told := string(body) + strings.Join(header.Values("Www-Authenticate"), ""); strings.Contains(told, "redis") {
		t.Errorf("the cause is told: %s", told)
	}
}

func TestRetryAfterIsRoundedUpToSeconds(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		-time.Second: "", 0: "", 1: "1", 999 * time.Millisecond: "1", time.Second: "1", time.Second + 1: "2",
		1500 * time.Millisecond: "2", 2 * time.Second: "2", time.Hour: "3600",
	} {
		header := http.Header{}
		oauth.TooManyRequests(wait).WriteHead(header)
		if got := header.Get("Retry-After"); got != want {
			t.Errorf("Retry-After for %v = %q, want %q", wait, got, want)
		}
	}
}

func TestEveryErrorForbidsCachesAndOnlySomeSayMore(t *testing.T) {
	t.Parallel()
	more := map[string]http.Header{
		"InvalidClient with a challenge": {"Www-Authenticate": {`Basic realm="pushed authorization requests", charset="UTF-8"`}},
		"MethodNotAllowed":               {"Allow": {"POST"}},
		"TooManyRequests":                {"Retry-After": {"1"}},
		"TemporarilyUnavailable":         {"Retry-After": {"2"}},
	}
	for _, test := range constructors {
		want := http.Header{"Cache-Control": {"no-cache, no-store"}, "Pragma": {"no-cache"}}
		for name, values := range more[test.name] {
			want[name] = values
		}
		got := http.Header{"Cache-Control": {"public"}}
		test.err.WriteHead(got)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: headers %v, want %v", test.name, got, want)
		}
	}
}
