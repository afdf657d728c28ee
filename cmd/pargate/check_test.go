package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"pargate/config"
	"pargate/test/upstream"
)

// refusing is an authorization server that is its own issuer, and answers what has more than limit bytes of query with
// this status; zero closes the connection.
func refusing(t *testing.T, limit, status int) (environ string) {
	t.Helper()
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Issuer = r.URL
		r.Handlers["/authorize"] = func(w http.ResponseWriter, req *http.Request) {
			switch {
			case len(req.URL.RawQuery) <= limit:
				http.Redirect(w, req, "/login?next="+req.RequestURI, http.StatusFound)
			case status == 0:
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(status)
			}
		}
	})
	return "UPSTREAM_URL=" + up.URL
}

func TestCheckListsTheProtectedPaths(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := call(t, []string{refusing(t, 100_000, 414), "AUTHORIZE_PATH=/oauth/start /legacy"}, "check", "--connect")
	const want = "\nok    protected: /authorize\nok    protected: /oauth/start\nok    protected: /legacy\nok    protected: what is below these paths, " +
		"and every spelling that a server might take for them; AUTHORIZE_PATH adds others\nok    store answers\n"
	if code != exitOK || stderr != "" || !strings.Contains(stdout, want) {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
}

func TestCheckWarnsOfAServerThatCallsItselfByItsOwnAddress(t *testing.T) {
	t.Parallel()
	const warning = "\nwarn  the issuer has the address of UPSTREAM_URL, so clients and browsers go around the gateway"
	upstreamURL := refusing(t, 100_000, 414)
	code, stdout, _ := call(t, []string{upstreamURL}, "check", "--connect")
	if code != exitOK || !strings.Contains(stdout, warning) {
		t.Errorf("%d %s", code, stdout)
	}
	public := strings.Replace(upstreamURL, "UPSTREAM_URL", "PUBLIC_URL", 1)
	if _, stdout, _ := call(t, []string{upstreamURL, public}, "check", "--connect"); strings.Contains(stdout, warning) {
		t.Errorf("it was said so: %s", stdout)
	}
}

func TestCheckMeasuresNoQueryByPOST(t *testing.T) {
	t.Parallel()
	code, stdout, _ := call(t, []string{refusing(t, 4000, 414), "UPSTREAM_AUTHORIZE_METHOD=POST"}, "check", "--connect")
	if code != exitOK || !strings.HasSuffix(stdout, "\nok    upstream: pushed requests go to it in a form of up to UPSTREAM_MAX_REQUEST, 64KiB; what it takes is not measured\n") {
		t.Errorf("%d %s", code, stdout)
	}
}

func TestCheckComparesTheLimitWithTheSetting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, status int
		setting, want string
	}{
		{4000, 414, "8KiB", "warn  UPSTREAM_MAX_REQUEST is 8KiB, but /authorize takes a query of 3840 bytes and refuses one of 4096 (414); set it to 3840"},
		{4000, 414, "3840", "ok    upstream: /authorize takes a query of 3840 bytes and refuses one of 4096 (414); UPSTREAM_MAX_REQUEST is 3840"},
		{4000, 414, "2KiB", "ok    upstream: /authorize takes a query of 3840 bytes and refuses one of 4096 (414); UPSTREAM_MAX_REQUEST is 2KiB and could be raised to 3840"},
		{16200, 431, "15KiB", "warn  UPSTREAM_MAX_REQUEST is 15KiB, but /authorize takes a query of 16128 bytes and refuses one of 16384 (431), " +
			"in which a browser's cookies and headers need 2048 too; set it to 14080"},
		{16200, 431, "8KiB", "ok    upstream: /authorize takes a query of 16128 bytes and refuses one of 16384 (431), " +
			"in which a browser's cookies and headers need 2048 too; UPSTREAM_MAX_REQUEST is 8KiB and could be raised to 14080"},
		{14400, 0, "16KiB", "warn  UPSTREAM_MAX_REQUEST is 16KiB, but /authorize takes a query of 14336 bytes and refuses one of 14592 " +
			"(the connection is closed without an answer); set it to 14KiB"},
		{300, 414, "1KiB", "warn  UPSTREAM_MAX_REQUEST is 1KiB, but /authorize takes a query of 141 bytes and refuses one of 361 (414); that is too little for pushed requests"},
		{100_000, 414, "8KiB", "ok    upstream: /authorize takes a query of at least 65536 bytes, answered 302 to /login as short ones are; " +
			"longer ones were not tried; UPSTREAM_MAX_REQUEST is 8KiB and could be raised to 64KiB"},
		{100_000, 414, "1MiB", "ok    upstream: /authorize takes a query of at least 65536 bytes, answered 302 to /login as short ones are; " +
			"longer ones were not tried; UPSTREAM_MAX_REQUEST is 1MiB"},
		{0, 404, "8KiB", "warn  UPSTREAM_MAX_REQUEST could not be compared with what the authorization server takes: /authorize answers 404 to a query of any length; " +
			"set it by what the server's documentation says"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := call(t, []string{refusing(t, c.limit, c.status), "UPSTREAM_MAX_REQUEST=" + c.setting}, "check", "--connect")
			if code != exitOK || stderr != "" || !strings.HasSuffix(stdout, "\n"+c.want+"\n") {
				t.Errorf("%d %s%s", code, stdout, stderr)
			}
		})
	}
}

func TestCheckSaysWhatTheProfileChanges(t *testing.T) {
	t.Parallel()
	const environ = "UPSTREAM_URL=http://127.0.0.1:1"
	_, without, _ := call(t, []string{environ}, "check")
	code, stdout, stderr := call(t, []string{environ, "PROFILE=fapi2"}, "check")
	want := without
	for _, effect := range config.ProfileFAPI2.Effects() {
		want += "ok    PROFILE=fapi2, " + effect.Name + ": " + effect.Text + "\n"
	}
	if code != exitOK || stderr != "" || stdout != want || want == without {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
}

func TestCheckWarnsOfWhatTheServerLacks(t *testing.T) {
	t.Parallel()
	const (
		pkce   = "warn  PROFILE=fapi2: the authorization server does not advertise PKCE with S256 "
		bound  = "warn  PROFILE=fapi2: the authorization server advertises neither DPoP nor certificate-bound tokens "
		native = "warn  PROFILE=fapi2: the authorization server offers PAR itself, so its metadata is left alone"
		signed = "warn  the authorization server says require_signed_request_object in its metadata"
		dpop   = "warn  the authorization server advertises DPoP with no algorithm that is taken here "
		auth   = "warn  PROFILE=fapi2: the authorization server advertises none of the client authentication methods that are left "
		algs   = "warn  PROFILE=fapi2: the authorization server advertises none of the algorithms for client assertions that are left "
		all    = `,"code_challenge_methods_supported":["plain","S256"],"dpop_signing_alg_values_supported":["ES256"]`
	)
	for _, c := range []struct {
		name, members, profile string
		want                   []string
	}{
		{"nothing of it, and no profile", "", "", nil},
		{"nothing of it", "", "fapi2", []string{pkce, bound}},
		{"PKCE and DPoP", all, "fapi2", nil},
		{"certificates", `,"code_challenge_methods_supported":["S256"],"tls_client_certificate_bound_access_tokens":true`, "fapi2", nil},
		{"PKCE by plain, and no certificates", `,"code_challenge_methods_supported":["plain"],"tls_client_certificate_bound_access_tokens":false`, "fapi2", []string{pkce, bound}},
		{"lists that are none", `,"code_challenge_methods_supported":"S256","dpop_signing_alg_values_supported":[]`, "fapi2", []string{pkce, bound}},
		{"DPoP by what nobody knows here", `,"dpop_signing_alg_values_supported":["ES256K"]`, "", []string{dpop}},
		{"DPoP by what the profile does not take", `,"code_challenge_methods_supported":["S256"],"dpop_signing_alg_values_supported":["RS256"]`, "fapi2", []string{dpop}},
		{"DPoP by that, without the profile", `,"dpop_signing_alg_values_supported":["RS256"]`, "", nil},
		{"secrets alone", all + `,"token_endpoint_auth_methods_supported":["client_secret_basic"]`, "fapi2", []string{auth}},
		{"secrets alone, without the profile", all + `,"token_endpoint_auth_methods_supported":["client_secret_basic"]`, "", nil},
		{"assertions by RS256 alone", all + `,"token_endpoint_auth_methods_supported":["private_key_jwt"],"token_endpoint_auth_signing_alg_values_supported":["RS256","HS256"]`, "fapi2", []string{algs}},
		{"what the profile takes, among others", all + `,"token_endpoint_auth_methods_supported":["private_key_jwt","none"],"token_endpoint_auth_signing_alg_values_supported":["RS256","Ed25519"]`, "fapi2", nil},
		{"signed objects alone", `,"require_signed_request_object":true`, "", []string{signed}},
		{"signed objects or not", `,"require_signed_request_object":false`, "", nil},
		{"signed objects alone, with the profile", all + `,"require_signed_request_object":true`, "fapi2", []string{signed}},
		{"PAR of its own", all + `,"pushed_authorization_request_endpoint":"https://login.example/own"`, "fapi2", []string{native}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			up := upstream.New(t, func(r *upstream.Recorder) {
				r.Issuer = "https://login.example"
				r.Metadata = map[string]string{"/.well-known/openid-configuration": r.Document(c.members)}
			})
			code, stdout, stderr := call(t, []string{"UPSTREAM_URL=" + up.URL, "PROFILE=" + c.profile}, "check", "--connect")
			var got []string
			for line := range strings.Lines(stdout) {
				if strings.HasPrefix(line, "warn  PROFILE") || strings.HasPrefix(line, "warn  the authorization server") {
					got = append(got, line)
				}
			}
			same := slices.EqualFunc(got, c.want, func(line, want string) bool { return strings.HasPrefix(line, want) })
			if code != exitOK || stderr != "" || !same {
				t.Errorf("%d %s%s", code, stdout, stderr)
			}
		})
	}
}

// The exit status is that of the upstream; the limit has no say in it.
func TestCheckSaysThatNothingWasMeasured(t *testing.T) {
	t.Parallel()
	code, stdout, _ := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1"}, "check", "--connect")
	if code != exitFailure || !matchLines(stdout, "^fail  upstream: ", "^warn  UPSTREAM_MAX_REQUEST was not compared .* is not known$") || strings.Contains(stdout, "protected") {
		t.Errorf("%d %s", code, stdout)
	}
}
