package test

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"go.uber.org/zap"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// startDryRun starts a gateway whose upstream answers the authorization request so.
func startDryRun(t *testing.T, answer http.HandlerFunc, change ...func(*proxy.Options)) *harness.Gateway {
	t.Helper()
	return harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) { r.Handlers["/authorize"] = answer },
		Options: func(o *proxy.Options) {
			o.DryRun = true
			for _, f := range change {
				f(o)
			}
		},
	})
}

// dryAnswer is an answer of the upstream's: a Location, or a body with its type.
func dryAnswer(status int, location, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// opinions are what the log says that the upstream thought.
func opinions(g *harness.Gateway) (all []string) {
	for _, entry := range g.Logs.FilterMessage("dry run").All() {
		all = append(all, fmt.Sprint(entry.ContextMap()["opinion"]))
	}
	return all
}

func signedResponse(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestWhatTheUpstreamWouldRefuseIsRefusedAtThePush(t *testing.T) {
	t.Parallel()
	const cb, json, html = "https://app.example/cb", "application/json", "text/html"
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		code   string // empty: the push succeeds
		want   string // in the log
	}{
		"an error to the client":               {dryAnswer(302, cb+"?error=invalid_scope&state=st4te", "", ""), "invalid_scope", "rejected"},
		"one with 303":                         {dryAnswer(303, cb+"?error=unauthorized_client", "", ""), "unauthorized_client", "rejected"},
		"in the fragment":                      {dryAnswer(302, cb+"#error=unsupported_response_type&state=st4te", "", ""), "unsupported_response_type", "rejected"},
		"with 400 and a Location":              {dryAnswer(400, cb+"?error=invalid_scope", html, "<p>"), "invalid_scope", "rejected"},
		"a code of its own":                    {dryAnswer(302, cb+"?error=invalid_state", "", ""), "invalid_state", "rejected"},
		"a signed error":                       {dryAnswer(302, cb+"?response="+signedResponse(`{"error":"invalid_scope"}`), "", ""), "invalid_scope", "rejected"},
		"login_required":                       {dryAnswer(302, cb+"?error=login_required", "", ""), "", "accepted"},
		"Login_Required with 400":              {dryAnswer(400, cb+"?error=Login_Required", html, "<p>"), "", "accepted"},
		"consent_required":                     {dryAnswer(302, cb+"?error=consent_required", "", ""), "", "accepted"},
		"interaction_required":                 {dryAnswer(302, cb+"#error=interaction_required", "", ""), "", "accepted"},
		"account_selection_required":           {dryAnswer(302, cb+"?error=account_selection_required", "", ""), "", "accepted"},
		"login_required, signed":               {dryAnswer(302, cb+"?response="+signedResponse(`{"error":"login_required"}`), "", ""), "", "accepted"},
		"access_denied":                        {dryAnswer(302, cb+"?error=access_denied", "", ""), "", "no opinion"},
		"temporarily_unavailable":              {dryAnswer(302, cb+"?error=temporarily_unavailable", "", ""), "", "no opinion"},
		"server_error":                         {dryAnswer(302, cb+"?error=server_error", "", ""), "", "no opinion"},
		"two errors, one about the user":       {dryAnswer(302, cb+"?error=invalid_request#error=login_required", "", ""), "", "accepted"},
		"400 with JSON":                        {dryAnswer(400, "", json, `{"error":"invalid_client","error_description":"x"}`), "invalid_client", "rejected"},
		"400 with JSON of another type":        {dryAnswer(400, "", html, `{"error":"invalid_scope"}`), "invalid_scope", "rejected"},
		"400 with JSON about the user":         {dryAnswer(400, "", json, `{"error":"login_required"}`), "", "accepted"},
		"400 with JSON of the moment":          {dryAnswer(400, "", json, `{"error":"server_error"}`), "", "no opinion"},
		"400 with JSON that is none":           {dryAnswer(400, "", json, `{"error":{"code":7}}`), "invalid_request", "rejected"},
		"400 with a page":                      {dryAnswer(400, "", html, "<h1>unknown client</h1>"), "invalid_request", "rejected"},
		"400 with text":                        {dryAnswer(400, "", "text/plain", "no such client"), "invalid_request", "rejected"},
		"400 without anything":                 {dryAnswer(400, "", "", ""), "invalid_request", "rejected"},
		"400 with much":                        {dryAnswer(400, "", json, `{"error":"invalid_scope","x":"`+strings.Repeat("x", 70<<10)+`"}`), "invalid_request", "rejected"},
		"404":                                  {dryAnswer(404, "", html, "<h1>"), "invalid_request", "rejected"},
		"a login page":                         {dryAnswer(200, "", html, `<form action="/login"><input name=code></form>`), "", "no opinion"},
		"a redirect to the login":              {dryAnswer(302, "/login?id=1", "", ""), "", "no opinion"},
		"a redirect to an error page":          {dryAnswer(302, "/error?error=invalid_client", "", ""), "", "no opinion"},
		"an error to another address":          {dryAnswer(302, "https://app.example/other?error=invalid_scope", "", ""), "", "no opinion"},
		"a code to another address":            {dryAnswer(302, "https://idp.example/start?code=x", "", ""), "", "no opinion"},
		"a redirect to the client, no error":   {dryAnswer(302, cb+"?hello=1", "", ""), "", "no opinion"},
		"a redirect that cannot be read":       {dryAnswer(302, "http://%zz/", "", ""), "", "no opinion"},
		"401":                                  {dryAnswer(401, "", json, `{"error":"invalid_client"}`), "", "no opinion"},
		"403":                                  {dryAnswer(403, "", "", ""), "", "no opinion"},
		"405":                                  {dryAnswer(405, "", json, `{"error":"invalid_request"}`), "", "no opinion"},
		"429":                                  {dryAnswer(429, "", json, `{"error":"invalid_request"}`), "", "no opinion"},
		"500":                                  {dryAnswer(500, "", json, `{"error":"invalid_client"}`), "", "no opinion"},
		"502":                                  {dryAnswer(502, "", "", ""), "", "no opinion"},
		"an error in a form_post page":         {dryAnswer(200, "", html, `<form method=post action="`+cb+`"><input name=error value=invalid_scope></form>`), "", "no opinion"},
		"a connection that ends":               {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "no opinion"},
		"400 that breaks off":                  {breakingOff, "", "no opinion"},
		"a code with a quotation mark":         {dryAnswer(302, cb+"?error=a%22b", "", ""), "invalid_request", "rejected"},
		"a code with a line end":               {dryAnswer(302, cb+"?error=a%0d%0ab", "", ""), "invalid_request", "rejected"},
		"a code in another script":             {dryAnswer(302, cb+"?error=%C3%BC", "", ""), "invalid_request", "rejected"},
		"a code of 65 characters":              {dryAnswer(302, cb+"?error="+strings.Repeat("e", 65), "", ""), "invalid_request", "rejected"},
		"a code of 64 characters":              {dryAnswer(302, cb+"?error="+strings.Repeat("e", 64), "", ""), strings.Repeat("e", 64), "rejected"},
		"an empty code":                        {dryAnswer(302, cb+"?error=", "", ""), "invalid_request", "rejected"},
		"what was pushed in place of a code":   {dryAnswer(302, cb+"?error=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "", ""), "invalid_request", "rejected"},
		"a code with a backslash in its JSON":  {dryAnswer(400, "", json, `{"error":"a\\b"}`), "invalid_request", "rejected"},
		"a redirect_uri in other letters":      {dryAnswer(302, "HTTPS://App.Example:443/cb?error=invalid_scope", "", ""), "invalid_scope", "rejected"},
		"JSON with a description of their own": {dryAnswer(400, "", json, `{"error":"invalid_scope","error_description":"Üb<script>"}`), "invalid_scope", "rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startDryRun(t, row.answer)
			res := pushOf(t, g, harness.Form().Encode(), asWeb)
			if row.code != "" {
				wantPushError(t, res, 400, row.code)
				if got := res.JSON(t)["error_description"]; got != "the authorization server would refuse this request at its authorization endpoint" {
					t.Errorf("error_description = %q", got)
				}
			} else if res.Status != 201 {
				t.Errorf("%d %s", res.Status, res.Body)
			}
			if got := opinions(g); len(got) != 1 || got[0] != row.want {
				t.Errorf("in the log: %v, want %s", got, row.want)
			}
			if id := g.Logs.FilterMessage("dry run").All()[0].ContextMap()["request_id"]; id != res.Header.Get("X-Request-Id") {
				t.Errorf("request_id = %v", id)
			}
		})
	}
}

func breakingOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "100")
	w.WriteHeader(400)
	io.WriteString(w, `{"error":"login_`)
}

// RFC 9126 §2.3: errors that need the user never answer a push.
func TestARefusalWithoutACodeIsNoneForPromptNone(t *testing.T) {
	t.Parallel()
	g := startDryRun(t, dryAnswer(400, "", "text/html", "<h1>please log in</h1>"))
	g.Push(t, "web", "s3cret", harness.Form("prompt", "none"))
	wantPushError(t, pushOf(t, g, harness.Form("prompt", "login").Encode(), asWeb), 400, "invalid_request")
}

func TestADryRunIsThePushedRequestWithoutCookies(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) {
			r.Authorize = "/authorize?tenant=7"
			r.Handlers["/authorize"] = func(w http.ResponseWriter, r *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1"})
				http.Redirect(w, r, "/login?id=1", http.StatusFound)
			}
		},
		Options: func(o *proxy.Options) { o.DryRun = true },
	})
	form := harness.Form("claims", `{"id_token":{"ü":null}}`, "tenant", "8", "custom", "a b+c")
	for range 2 {
		res := pushOf(t, g, form.Encode(), asWeb, setHeader("Cookie", "session=mine"), setHeader("X-Forwarded-Host", "evil.example"), setHeader("Forwarded", "host=evil.example"))
		if res.Status != 201 || res.Header.Get("Set-Cookie") != "" {
			t.Fatalf("%d %v %s", res.Status, res.Header, res.Body)
		}
	}
	asked := g.Upstream.Requests()
	if len(asked) != 2 { // so nothing was followed
		t.Fatalf("the upstream was asked %d times: %v", len(asked), asked)
	}
	public := strings.TrimPrefix(g.URL, "http://")
	form.Set("tenant", "7")
	for _, r := range asked {
		if r.Method != "GET" || r.Path() != "/authorize" || r.Body != "" || r.Query().Encode() != form.Encode() {
			t.Errorf("%s %s %s", r.Method, r.Target, r.Body)
		}
		if r.Host != public || r.Header.Get("X-Forwarded-Host") != public || r.Header.Get("X-Forwarded-Proto") != "http" || r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("Host %s, %v", r.Host, r.Header)
		}
		for _, name := range []string{"Cookie", "Authorization", "Forwarded", "Referer"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s: %s", name, r.Header.Get(name))
			}
		}
		if !strings.Contains(r.Target, "?tenant=7&") || strings.Contains(r.Target, "s3cret") {
			t.Error(r.Target)
		}
	}
	uri := g.Push(t, "web", "s3cret", harness.Form())
	harness.NewBrowser(g.URL).Open(t, "web", uri)
	forwarded, dry := g.Upstream.Requests()[3], asked[0]
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For"} {
		if forwarded.Host != dry.Host || forwarded.Header.Get(name) != dry.Header.Get(name) {
			t.Errorf("%s: %q for a browser, %q in the dry run", name, forwarded.Header.Get(name), dry.Header.Get(name))
		}
	}
}

func TestOnlyWhatPassesHereIsAskedAbout(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g := startDryRun(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, func(o *proxy.Options) { o.PushRate = 0.5 })
	for what, push := range map[string]func() harness.Response{
		"a wrong secret": func() harness.Response { return pushOf(t, g, harness.Form().Encode(), basic("web", "wrong")) },
		"an unregistered redirect_uri": func() harness.Response {
			return pushOf(t, g, harness.Form("client_id", "both", "redirect_uri", "https://evil.example").Encode(), basic("both", "b0th"))
		},
		"a public client": func() harness.Response {
			return pushOf(t, g, harness.Form("client_id", "public", "redirect_uri", "https://spa.example/cb").Encode())
		},
	} {
		if res := push(); asked.Load() != 0 || (res.Status == 201) != (what == "a public client") {
			t.Errorf("%s: %d, asked %d times", what, res.Status, asked.Load())
		}
	}
	for range 3 {
		pushOf(t, g, harness.Form("client_id", "post", "client_secret", "p0st").Encode())
	}
	if asked.Load() != 1 {
		t.Errorf("of three pushes faster than the rate %d were asked about", asked.Load())
	}
	if res := pushOf(t, harness.Start(t, harness.Setup{}), harness.Form().Encode(), asWeb); res.Status != 201 {
		t.Errorf("without the dry run: %d", res.Status)
	}
}

func TestACodeInTheAnswerSwitchesTheDryRunOff(t *testing.T) {
	t.Parallel()
	const cb = "https://app.example/cb"
	for name, answer := range map[string]http.HandlerFunc{
		"a code":                 dryAnswer(302, cb+"?code=leak8&state=st4te", "", ""),
		"a token":                dryAnswer(302, cb+"#access_token=leak8&token_type=bearer", "", ""),
		"an ID token":            dryAnswer(303, cb+"#id_token=leak8", "", ""),
		"a code beside an error": dryAnswer(302, cb+"?error=login_required&code=leak8", "", ""),
		"a signed one":           dryAnswer(302, cb+"?response="+signedResponse(`{"code":"leak8"}`), "", ""),
		"an encrypted one":       dryAnswer(302, cb+"?response=leak8.a.b.c.d", "", ""),
		"a form_post page":       dryAnswer(200, "", "text/html", `<form method=post action="`+cb+`"><input type=hidden name=code value=leak8></form>`),
		"a refresh":              dryAnswer(200, "", "text/html", `<meta http-equiv=refresh content="0;url=`+cb+`?code=leak8">`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startDryRun(t, answer)
			for range 2 {
				res := pushOf(t, g, harness.Form().Encode(), asWeb)
				if res.Status != 201 || strings.Contains(fmt.Sprint(res), "leak8") {
					t.Errorf("%v", res)
				}
			}
			if n := len(g.Upstream.Requests()); n != 1 {
				t.Errorf("asked %d times", n)
			}
			if got := fmt.Sprint(opinions(g)); got != "[no opinion not asked]" {
				t.Error(got)
			}
			errors := g.Logs.FilterLevelExact(zap.ErrorLevel).All()
			if len(errors) != 1 || !strings.Contains(fmt.Sprint(errors[0].ContextMap()["reason"]), "thrown away") {
				t.Errorf("%v", errors)
			}
			noneInLog(t, g, "leak8", base64.RawURLEncoding.EncodeToString([]byte(`{"code":"leak8"}`)))
		})
	}
}

func noneInLog(t *testing.T, g *harness.Gateway, secrets ...string) {
	t.Helper()
	for _, entry := range g.Logs.All() {
		for _, secret := range secrets {
			if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, secret) {
				t.Errorf("in the log: %s", text)
			}
		}
	}
}

func TestTheUpstreamsWordsGoToTheLogWithoutWhatWasPushed(t *testing.T) {
	t.Parallel()
	echo := func(r *http.Request) string {
		q := r.URL.Query()
		return "pity: " + q.Get("state") + " " + url.QueryEscape(q.Get("redirect_uri")) + " " + q.Get("claims") + " for " + q.Get("client_id") + strings.Repeat(" and so on", 50)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.FormValue("redirect_uri")+"?error=invalid_scope&error_description="+url.QueryEscape(echo(r)), http.StatusFound)
		},
		"text": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), 400) },
		"in the code": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.FormValue("redirect_uri")+"?error="+url.QueryEscape(echo(r)), http.StatusFound)
		},
		"as the code": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.FormValue("redirect_uri")+"?error=x"+r.FormValue("state"), http.StatusFound)
		},
		"with no error": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), 500) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startDryRun(t, answer)
			state := strings.Repeat("canary8state", 60)
			if name == "as the code" {
				state = "canary8state"
			}
			res := pushOf(t, g, harness.Form("state", state, "redirect_uri", "https://app.example/cb", "claims", `{"id_token":{"canary8claim":null}}`).Encode(), asWeb)
			if strings.Contains(res.Body, "pity") || strings.Contains(res.Body, "canary8") {
				t.Error(res.Body)
			}
			noneInLog(t, g, "canary8", "app.example")
			if name != "a redirect" && name != "text" {
				return
			}
			reason := fmt.Sprint(g.Logs.FilterMessage("refused").All()[0].ContextMap()["reason"])
			if !strings.Contains(reason, "pity: [state] ") || !strings.Contains(reason, " for web and so on") || len(reason) > 512 {
				t.Error(reason)
			}
		})
	}
}

func TestASlowUpstreamHoldsAPushUpForTwoSeconds(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"no end of the answer": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startDryRun(t, slow)
			start := time.Now()
			res := pushOf(t, g, harness.Form().Encode(), asWeb)
			if took := time.Since(start); res.Status != 201 || took < time.Second || took > 4*time.Second {
				t.Errorf("%d after %v", res.Status, took)
			}
		})
	}
}

func TestSixteenDryRunsAtOnceAreEnough(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	release := make(chan struct{})
	g := startDryRun(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-release
	})
	var pushes sync.WaitGroup
	for range 16 {
		pushes.Go(func() { pushOf(t, g, harness.Form().Encode(), asWeb) })
	}
	harness.WaitFor(t, "sixteen dry runs", func() bool { return now.Load() == 16 })
	for range 4 {
		pushes.Go(func() {
			if res := pushOf(t, g, harness.Form().Encode(), asWeb); res.Status != 201 {
				t.Errorf("%d %s", res.Status, res.Body)
			}
		})
	}
	harness.WaitFor(t, "the others to go without", func() bool { return g.Logs.FilterField(zap.String("reason", "too many at once")).Len() == 4 })
	close(release)
	pushes.Wait()
	if most.Load() != 16 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestByPOSTOnlyAShortRequestIsTriedOut(t *testing.T) {
	t.Parallel()
	g := startDryRun(t, dryAnswer(302, "/login", "", ""), func(o *proxy.Options) { o.AuthorizeByPOST = true })
	g.Push(t, "web", "s3cret", harness.Form("state", strings.Repeat("s", 9<<10)))
	if n := len(g.Upstream.Requests()); n != 0 {
		t.Errorf("a long one was asked about %d times", n)
	}
	g.Push(t, "web", "s3cret", harness.Form())
	if last := g.Upstream.Last(); last.Method != "GET" || last.Query().Get("state") != "st4te" {
		t.Errorf("%s %s", last.Method, last.Target)
	}
}

func TestZitadelRefusesAtThePush(t *testing.T) {
	t.Parallel()
	for _, wrapped := range []bool{false, true} {
		listener := listen(t)
		issuer := "http://" + listener.Addr().String()
		server := httptest.NewServer(exampleop.SetupServer(issuer, newZitadelStore(t, issuer), slog.New(slog.DiscardHandler), wrapped))
		t.Cleanup(server.Close)
		g := harness.InFrontOf(t, listener, server.URL, harness.Setup{
			Clients: `[{"client_id": "web", "client_secret": "s3cret"}, {"client_id": "stranger", "client_secret": "s3cret"}]`,
			Options: func(o *proxy.Options) { o.DryRun = true },
		})
		push := func(id string, changes ...string) harness.Response {
			return pushOf(t, g, harness.Form(append([]string{"client_id", id}, changes...)...).Encode(), basic(id, "s3cret"))
		}
		for what, res := range map[string]harness.Response{
			"a valid one":   push("web"),
			"prompt=none":   push("web", "prompt", "none"),
			"prompt=login":  push("web", "prompt", "login"),
			"without PKCE":  push("web", "code_challenge", "", "code_challenge_method", ""),
			"another state": push("web", "state", ""),
		} {
			if res.Status != 201 {
				t.Errorf("LegacyServer %t, %s: %d %s", wrapped, what, res.Status, res.Body)
			}
		}
		wantPushError(t, push("web", "redirect_uri", "https://evil.example/cb"), 400, "invalid_request")
		wantPushError(t, push("web", "response_type", "token"), 400, "unauthorized_client")
		if res := push("stranger"); !wrapped && res.Status != 400 || wrapped && res.Status != 201 { // 500 is no opinion
			t.Errorf("LegacyServer %t, unknown client: %d %s", wrapped, res.Status, res.Body)
		}
	}
}
