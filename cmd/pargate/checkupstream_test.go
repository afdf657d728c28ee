package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/test/upstream"
)

// standIn is an authorization server whose authorization endpoint answers so. Its issuer is at a port where nobody is.
func standIn(t *testing.T, authorize http.HandlerFunc, members string) (up *upstream.Recorder, environ []string) {
	t.Helper()
	up = upstream.New(t, func(r *upstream.Recorder) {
		r.Issuer = "http://127.0.0.1:1"
		r.Metadata = map[string]string{"/.well-known/openid-configuration": r.Document(members)}
		if authorize != nil {
			r.Handlers["/authorize"] = authorize
		}
	})
	return up, []string{"UPSTREAM_URL=" + up.URL, "PUBLIC_URL=http://127.0.0.1:1", "CLIENT_AUTH=file"}
}

func TestCheckSaysWhatWasDiscovered(t *testing.T) {
	t.Parallel()
	const members = `,"revocation_endpoint":"http://127.0.0.1:1/revoke","code_challenge_methods_supported":["plain","S256"],"response_modes_supported":["query\u001b[31m"],
		"dpop_signing_alg_values_supported":["ES256"],"authorization_response_iss_parameter_supported":true,"request_parameter_supported":true`
	_, environ := standIn(t, nil, members)
	c, stdout := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, "[]")), "-connect")
	for _, want := range []string{"ok token: upstream: token endpoint http://127.0.0.1:1/token", "ok revocation: upstream: revocation endpoint http://127.0.0.1:1/revoke",
		"ok end session: upstream: end session endpoint http://127.0.0.1:1/logout"} {
		if !strings.Contains(c.text(aboutEndpoint), want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	for _, want := range []string{"PAR of its own: no", "PKCE: S256, plain", "DPoP: ES256", "request objects of its own: yes", "iss in responses of its own: yes", `response modes: query\x1b[31m`} {
		if !strings.Contains(c.text(aboutCapability), want) {
			t.Errorf("no %q in\n%s", want, c.text(aboutCapability))
		}
	}
	if c.level(aboutProtected) != "ok" || !strings.Contains(c.text(aboutProtected), "ok /authorize: ") {
		t.Error(c.text(aboutProtected))
	}
}

func TestCheckSaysWhetherThereIsPOST(t *testing.T) {
	t.Parallel()
	login := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/login/"+r.FormValue("state"), http.StatusFound)
	}
	byMethod := func(post http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				post(w, r)
				return
			}
			login(w, r)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		authorize http.HandlerFunc
		get, post string // the levels with each setting
		want      string
	}{
		"as GET":              {login, "ok", "ok", "answers a POST as it answers a GET"},
		"no route":            {byMethod(status(404)), "ok", "fail", "takes no authorization request by POST: it answers 404"},
		"not allowed":         {byMethod(status(405)), "ok", "fail", "takes no authorization request by POST: it answers 405"},
		"a token is missing":  {byMethod(status(403)), "ok", "fail", "takes no authorization request by POST: it answers 403"},
		"Rails' way":          {byMethod(status(422)), "ok", "fail", "takes no authorization request by POST: it answers 422"},
		"something else":      {byMethod(status(500)), "ok", "warn", "could not be told"},
		"nothing for nobody":  {status(403), "ok", "warn", "could not be told"},
		"no endpoint at all":  {status(404), "ok", "warn", "could not be told"},
		"a page for a client": {byMethod(status(200)), "ok", "warn", "could not be told"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, want := range map[string]string{"GET": c.get, "POST": c.post} {
				_, environ := standIn(t, c.authorize, "")
				got, stdout := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, "[]"), "UPSTREAM_AUTHORIZE_METHOD="+method), "-connect")
				if got.level(aboutPost) != want || !strings.Contains(got.text(aboutPost), c.want) {
					t.Errorf("%s: %s", method, stdout)
				}
			}
		})
	}
}

func TestCheckSaysWhetherPKCEIsEnforced(t *testing.T) {
	t.Parallel()
	clients := "CLIENTS_FILE=" + writeFile(t, `[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]},
		{"client_id": "spa", "token_endpoint_auth_method": "none", "redirect_uris": ["https://spa.example/cb"]},
		{"client_id": "tool", "client_secret": "s3cret"}]`)
	// back answers at the client, with these parameters.
	back := func(w http.ResponseWriter, r *http.Request, params string) {
		http.Redirect(w, r, r.FormValue("redirect_uri")+"?state="+url.QueryEscape(r.FormValue("state"))+"&"+params, http.StatusFound)
	}
	needsIt := func(r *http.Request) bool { return r.FormValue("code_challenge") == "" }
	for name, c := range map[string]struct {
		authorize http.HandlerFunc
		levels    string
		want      []string
	}{
		"enforced": {func(w http.ResponseWriter, r *http.Request) {
			if needsIt(r) {
				back(w, r, "error=invalid_request&error_description=code_challenge+is+missing")
				return
			}
			back(w, r, "error=login_required")
		}, "ok", []string{`ok web: PKCE: enforced of "web", a client with credentials (error invalid_request: code_challenge is missing)`, `ok spa: PKCE: enforced of "spa", a client without credentials`}},
		"enforced of public clients, on a page, by a server that shows its login": {func(w http.ResponseWriter, r *http.Request) {
			if needsIt(r) && r.FormValue("client_id") == "spa" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		}, "ok", []string{`ok spa: PKCE: enforced of "spa"`, `ok web: PKCE: whether it is enforced of "web", a client with credentials could not be told: it answers both alike before a login`}},
		"not enforced":   {func(w http.ResponseWriter, r *http.Request) { back(w, r, "error=login_required") }, "warn", []string{`warn web: PKCE: not enforced of "web"`, `warn spa: PKCE: not enforced of "spa"`}},
		"only its login": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "ok", []string{"could not be told: it answers both alike"}},
		"not this client at all": {func(w http.ResponseWriter, r *http.Request) { back(w, r, "error=unauthorized_client") }, "ok",
			[]string{"could not be told: it refuses the request with a code_challenge too: error unauthorized_client"}},
		"nobody is signed in": {func(w http.ResponseWriter, r *http.Request) {
			if needsIt(r) {
				t.Errorf("a code that can be redeemed was asked for: %s", r.URL)
			}
			back(w, r, "code=c0de")
		}, "fail", []string{"fail spa: PKCE: the authorization server has answered a request"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authorize := func(w http.ResponseWriter, r *http.Request) {
				if id := r.FormValue("client_id"); id != "web" && id != "spa" { // another question
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				c.authorize(w, r)
			}
			_, environ := standIn(t, authorize, "")
			got, stdout := checkJSON(t, append(environ, clients), "-connect")
			if got.level(aboutPKCE) != c.levels {
				t.Errorf("levels %q: %s", got.level(aboutPKCE), got.text(aboutPKCE))
			}
			for _, want := range c.want {
				if !strings.Contains(got.text(aboutPKCE), want) {
					t.Errorf("no %q in\n%s", want, got.text(aboutPKCE))
				}
			}
			if strings.Contains(stdout, "c0de") {
				t.Errorf("a code is told: %s", stdout)
			}
		})
	}
	_, environ := standIn(t, nil, "")
	if got, _ := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, "[]")), "-connect"); got.text(aboutPKCE) != "ok : PKCE: whether it is enforced could not be told: it shows with a client of CLIENTS_FILE that has redirect_uris; \n" {
		t.Error(got.text(aboutPKCE))
	}
}

// The public name leads to what the test says, and the gateway's own settings are the same in all rows.
func TestCheckFollowsThePublicName(t *testing.T) {
	t.Parallel()
	clients := "CLIENTS_FILE=" + writeFile(t, "[]")
	one := "CLIENTS_FILE=" + writeFile(t, `[{"client_id": "web", "client_secret": "s", "require_pushed_authorization_requests": true}]`)
	for name, c := range map[string]struct {
		gateway bool             // one serves at the public name
		page    http.HandlerFunc // does; nil: the authorization server
		set     []string
		level   string
		want    string
	}{
		"a gateway":                                   {gateway: true, level: "ok", want: "leads to a gateway"},
		"a gateway that leaves metadata alone":        {gateway: true, set: []string{"METADATA_PATCH=false"}, level: "ok", want: "leads to a gateway"},
		"the server itself":                           {level: "warn", want: "leads past the gateway"},
		"the server, and metadata that is left alone": {set: []string{"METADATA_PATCH=false"}, level: "warn", want: "leads past the gateway"},
		"the server, and requests must be pushed":     {set: []string{"PAR_REQUIRED=true"}, level: "fail", want: "although requests must be pushed"},
		"the server, and one client must push":        {set: []string{one}, level: "fail", want: "although requests must be pushed"},
		"another site":                                {page: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, level: "warn", want: "leads neither to a gateway nor"},
		"another issuer":                              {page: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"issuer":"https://other.example"}`) }, level: "warn", want: "that of another issuer"},
		"a site that moves on":                        {page: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, level: "warn", want: "leads neither to a gateway nor"},
		"nobody":                                      {page: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, level: "warn", want: "is not reachable from this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := upstream.New(t)
			public := up.URL
			switch {
			case c.gateway:
				s := start(t, append(c.set, "UPSTREAM_URL="+up.URL)...)
				public = s.public
				up.SetIssuer(public)
				s.waitReady(t)
			case c.page != nil:
				site := httptest.NewServer(c.page)
				t.Cleanup(site.Close)
				public = site.URL
			}
			up.SetIssuer(public)
			got, stdout := checkJSON(t, append([]string{"UPSTREAM_URL=" + up.URL, "PUBLIC_URL=" + public, "CLIENT_AUTH=file", clients}, c.set...), "-connect")
			if got.level(aboutPublicName) != c.level || !strings.Contains(got.text(aboutPublicName), c.want) {
				t.Errorf("%s", stdout)
			}
		})
	}
}

func TestCheckWarnsOfAPathThatTheServerUses(t *testing.T) {
	t.Parallel()
	notFound := func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
	for name, c := range map[string]struct {
		handler http.HandlerFunc // at /par; nil: as at any other path
		want    string
	}{
		"a page for everything": {nil, "ok"},
		"not there":             {notFound, "ok"},
		"something":             {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }, "warn"},
		"a page":                {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, "warn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, environ := standIn(t, nil, "")
			if c.handler != nil {
				up.Handlers["/par"] = c.handler
			}
			got, stdout := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, "[]")), "-connect")
			if got.level(aboutPushPath) != c.want {
				t.Errorf("%s", stdout)
			}
		})
	}
}

func TestCheckComparesTheClocks(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]string{0: "ok", -time.Second: "ok", 10 * time.Second: "warn", -10 * time.Second: "warn", time.Minute: "fail", -time.Hour: "fail"} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			t.Parallel()
			_, environ := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusBadRequest)
			}, "")
			got, stdout := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, "[]")), "-connect")
			if got.level(aboutUpstreamClock) != want || (got.Exit == exitFailure) != (want == "fail") {
				t.Errorf("%s", stdout)
			}
		})
	}
	for name, header := range map[string]string{"no Date": "", "from a cache": "10"} {
		_, environ := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			if header != "" {
				w.Header()["Date"] = []string{time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat)}
				w.Header().Set("Age", header)
			}
			w.WriteHeader(http.StatusBadRequest)
		}, "")
		if got, stdout := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, "[]")), "-connect"); !strings.Contains(got.text(aboutUpstreamClock), "could not be compared") {
			t.Errorf("%s: %s", name, stdout)
		}
	}
}

// Whoever does not answer is not waited for for long.
func TestCheckEndsWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	_, environ := standIn(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "")
	began := time.Now()
	got, stdout := checkJSON(t, append(environ, "CLIENTS_FILE="+writeFile(t, `[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]}]`)), "-connect")
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, name := range []findingName{aboutPost, aboutPKCE, aboutUpstreamClock, aboutSize} {
		if !strings.Contains(got.text(name), "no answer in time") && !strings.Contains(got.text(name), "not be ") {
			t.Errorf("%s: %s", name, stdout)
		}
	}
}

// A line that fails says what to do, in which setting.
func TestCheckSaysWhatToDoAboutAServerThatItCannotAsk(t *testing.T) {
	t.Parallel()
	secured := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secured.Close)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	for name, c := range map[string]struct{ url, fix string }{
		"nobody listens":               {"http://127.0.0.1:1", "see what UPSTREAM_URL leads to from this machine"},
		"an authority of nobody's":     {secured.URL, "put the authority of its certificate into UPSTREAM_CA_FILE"},
		"a certificate of other names": {strings.Replace(secured.URL, "127.0.0.1", "localhost", 1), "put a name into UPSTREAM_URL that its certificate has"},
	} {
		got, _ := checkJSON(t, []string{"UPSTREAM_URL=" + c.url, "PUBLIC_URL=https://login.example"}, "-connect")
		if text := got.text(aboutUpstream); !strings.HasPrefix(text, "fail ") || !strings.HasSuffix(text, "; "+c.fix+"\n") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
