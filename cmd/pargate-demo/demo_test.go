package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

// asProgram makes the test's binary the program.
const asProgram = "PARGATE_DEMO_RUNS"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Args = os.Args[:1]
		main()
	}
	os.Exit(m.Run())
}

// leavesNothing checks that the test's end finds no goroutine and no file of the demo.
func leavesNothing(t *testing.T) {
	t.Helper()
	running := goleak.IgnoreCurrent()
	dir, err := os.MkdirTemp("", "demo-") // short: Chromium has a socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		defer os.RemoveAll(dir)
		goleak.VerifyNone(t, running)
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
}

// wantStory checks that a printed story has its ten steps, all as they should be, in lines that fit.
func wantStory(t *testing.T, text string) {
	t.Helper()
	for _, c := range chapters {
		if !strings.Contains(text, "\n"+chapterLine(c)) {
			t.Errorf("no chapter %s", c.name())
		}
	}
	if strings.Contains(text, "✗") {
		t.Error("a check was not met")
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// chapterLine is how a chapter begins.
func chapterLine(c chapter) string {
	var b strings.Builder
	r := report{out: &b}
	r.begin(c.step, c.name())
	return b.String()
}

func TestAutoTellsTenSteps(t *testing.T) {
	leavesNothing(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-auto"}, nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d\n%s\n%s", code, &stdout, &stderr)
	}
	wantStory(t, stdout.String())
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", &stderr)
	}
	if !strings.Contains(stdout.String(), "pushed requests in memory") {
		t.Error("it does not say where pushed requests are kept")
	}
}

func TestStoryPrintsNoSecret(t *testing.T) {
	leavesNothing(t)
	var log logBuffer
	d, err := start(t.Context(), setup{log: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	var out strings.Builder
	if err := tell(t.Context(), d, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	secrets := map[string]string{"client_secret": d.client.oauth.ClientSecret}
	for _, x := range d.clientTap.all(to(http.MethodPost, "/oauth/token")) {
		form, _ := url.ParseQuery(string(x.body))
		secrets["code"], secrets["code_verifier"] = form.Get("code"), form.Get("code_verifier")
		secrets["Authorization"] = strings.TrimPrefix(x.header.Get("Authorization"), "Basic ")
		var answer map[string]any
		if err := json.Unmarshal(x.answer, &answer); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"access_token", "id_token", "refresh_token"} {
			secrets[name], _ = answer[name].(string)
		}
	}
	for _, name := range []string{"client_secret", "code", "code_verifier", "Authorization", "access_token", "id_token", "refresh_token"} {
		secret := secrets[name]
		if len(secret) < 16 {
			t.Errorf("%s was not seen by the taps: %q", name, secret)
			continue
		}
		for where, text := range map[string]string{"story": out.String(), "log": log.String()} {
			if strings.Contains(text, secret) || strings.Contains(text, secret[:12]) && !strings.HasPrefix(secret, "eyJ") {
				t.Errorf("the %s has the %s", where, name)
			}
		}
	}
	if strings.Contains(out.String(), password) {
		t.Error("the story has the password")
	}
}

// A check that cannot fail checks nothing: each fault must be noticed by the step that is about it.
func TestStoryNoticesFaults(t *testing.T) {
	tests := []struct {
		name  string
		setup setup
		last  int      // of the chapters
		want  []string // in the output: what was expected, and what was seen
	}{
		{"PAR is not required", setup{optional: true}, 0, []string{"expected  true", "seen      false"}},
		{"the server has PAR itself", setup{meddle: addToMetadata("pushed_authorization_request_endpoint", "https://own.example/par")}, 0,
			[]string{"expected  (nothing)", "seen      https://own.example/par"}},
		{"a pushed value changes on its way", setup{meddle: editAuthorize(func(q string) string { return strings.Replace(q, "1234.50", "9234.50", 1) })}, 6,
			[]string{"1234.50", "9234.50"}},
		{"a pushed character changes on its way", setup{meddle: editAuthorize(func(q string) string { return strings.ReplaceAll(q, "K%C3%B6ln", "Koln") })}, 6,
			[]string{"Köln", "Koln"}},
		{"a parameter is added on its way", setup{meddle: editAuthorize(func(q string) string { return q + "&prompt=login" })}, 6,
			[]string{"ui_locales\n", "ui_locales, prompt\n"}},
		{"a secret goes along", setup{meddle: editAuthorize(func(q string) string { return q + "&client_secret=s3cret" })}, 6,
			[]string{"expected  no secret", "seen      there is one"}},
		{"the login page's address tells the state", setup{meddle: leakState}, 7, []string{"expected  (nothing)", "seen      state"}},
		{"the response is somebody else's", setup{meddle: addIssuer}, 9, []string{"expected  one", "seen      0; the browser ended at GET http"}},
		{"the token endpoint fails", setup{meddle: breakToken}, 10, []string{"expected  200", "seen      500"}},
		{"the ID token is signed with another key", setup{meddle: breakKeys}, 10, []string{"expected  verified", "seen      failed to verify signature"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			var stdout, stderr bytes.Buffer
			if code := runAuto(t.Context(), test.setup, &stdout, &stderr); code != exitFailure {
				t.Fatalf("exit %d, want %d\n%s", code, exitFailure, &stdout)
			}
			text := stdout.String()
			if !strings.Contains(text, chapterLine(chapters[test.last])) || strings.Contains(text, chapterLine(chapters[test.last+1])) {
				t.Errorf("%s is not the last chapter\n%s", chapters[test.last].name(), text)
			}
			for _, want := range append(test.want, "✗") {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if want := chapters[test.last].name() + ": "; !strings.Contains(stderr.String(), want) {
				t.Errorf("no %q in stderr: %s", want, &stderr)
			}
		})
	}
}

// editAuthorize changes the query of authorization requests before the legacy server, and its tap, see it.
func editAuthorize(edit func(query string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/auth" {
				r = r.Clone(r.Context())
				r.URL.RawQuery = edit(r.URL.RawQuery)
				r.RequestURI = r.URL.RequestURI()
			}
			next.ServeHTTP(w, r)
		})
	}
}

// addToMetadata gives the legacy server's metadata another member.
func addToMetadata(name, value string) func(http.Handler) http.Handler {
	return editAnswer(func(r *http.Request, k *keptResponse) {
		var members map[string]any
		if r.URL.Path != wellKnown || json.Unmarshal(k.body.Bytes(), &members) != nil {
			return
		}
		members[name] = value
		k.body.Reset()
		json.NewEncoder(&k.body).Encode(members)
	})
}

// leakState makes the legacy server send its login page the state, as many do.
func leakState(next http.Handler) http.Handler {
	return editAnswer(func(r *http.Request, k *keptResponse) {
		if r.URL.Path == "/auth" {
			state := r.URL.Query().Get("state")
			k.header.Set("Location", k.header.Get("Location")+"&back="+url.QueryEscape("/x?s="+state))
		}
	})(next)
}

// addIssuer makes the legacy server's authorization response one of another issuer (RFC 9207 §2.4).
func addIssuer(next http.Handler) http.Handler {
	return editAnswer(func(_ *http.Request, k *keptResponse) {
		if to := k.header.Get("Location"); strings.Contains(to, "code=") {
			k.header.Set("Location", to+"&iss=https%3A%2F%2Fother.example")
		}
	})(next)
}

// breakKeys makes the legacy server publish a key that it does not sign with.
func breakKeys(next http.Handler) http.Handler {
	return editAnswer(func(r *http.Request, k *keptResponse) {
		if r.URL.Path == "/keys" {
			text := regexp.MustCompile(`"n":"....`).ReplaceAllString(k.body.String(), `"n":"qqqq`)
			k.body.Reset()
			k.body.WriteString(text)
		}
	})(next)
}

func breakToken(next http.Handler) http.Handler {
	return editAnswer(func(r *http.Request, k *keptResponse) {
		if r.URL.Path == "/oauth/token" {
			k.status = http.StatusInternalServerError
		}
	})(next)
}

func editAnswer(edit func(*http.Request, *keptResponse)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kept := &keptResponse{header: http.Header{}}
			next.ServeHTTP(kept, r)
			edit(r, kept)
			kept.header.Del("Content-Length")
			for name, values := range kept.header {
				w.Header()[name] = values
			}
			w.WriteHeader(max(kept.status, http.StatusOK))
			w.Write(kept.body.Bytes())
		})
	}
}

// Without -auto there is a page, and Ctrl-C ends everything.
func TestServesUntilItIsEnded(t *testing.T) {
	leavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	var stderr logBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, nil, nil, writer, &stderr)
		writer.Close()
	}()
	text := readUntil(t, reader, "Ctrl-C ends it.")
	go io.Copy(io.Discard, reader)
	found := regexp.MustCompile(`open this +(http://127\.0\.0\.1:\S+)/\n`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no address to open in\n%s", text)
	}
	// Servers that were started, a page that waits for what happens, an attack that takes its time, and connections on which a browser
	// asks nothing end too.
	v := newVisitor(t, found[1])
	first := v.post(t, "/runs", "server=zitadel&request=small")
	v.post(t, first.at+"/sign-in", "")
	v.get(t, first.at+"/events?after=0")
	page := v.post(t, "/runs", "server=hydra&request=small")
	stream := v.open(t, page.at+"/events?after=0")
	defer stream.Body.Close()
	listening := slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(v.get(t, first.at).text+found[1], -1))))
	if len(listening) < 3 { // the page, the client and the gateway
		t.Errorf("it listens at %v", listening)
	}
	for _, address := range listening {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	go v.http.Post(v.base+page.at+"/break/expire", "", nil)
	cancel()
	began := time.Now()
	select {
	case code := <-ended:
		if text := stderr.String(); code != exitOK || strings.Contains(text, "WARN") || strings.Contains(text, "ERROR") {
			t.Errorf("exit %d: %s", code, text)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	t.Logf("it has ended after %s", time.Since(began))
	for _, address := range listening {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			t.Errorf("%s still listens", address)
		}
	}
}

// A first Ctrl-C lets what is on its way end, for a second; the next one ends the process, whatever is still open.
func TestASecondCtrlCDoesNotWait(t *testing.T) {
	for name, times := range map[string]int{"once": 1, "again and again": 1000} {
		t.Run(name, func(t *testing.T) {
			process := exec.CommandContext(t.Context(), os.Args[0])
			process.Env = append(os.Environ(), asProgram+"=1")
			out, err := process.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			process.Stderr = &stderr
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			text := readUntil(t, out, "Ctrl-C ends it.")
			address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(text)
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// A form that does not arrive, which is waited for.
			fmt.Fprintf(c, "POST /runs HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", address)
			if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, "100") { // it is being read
				t.Fatal(line, err)
			}
			ended := make(chan error, 1)
			go func() { ended <- process.Wait() }()
			began := time.Now()
			for n := 0; ; n++ {
				if n < times {
					process.Process.Signal(os.Interrupt) // it may have ended
				}
				select {
				case <-ended:
				case <-time.After(20 * time.Millisecond):
					if time.Since(began) > 10*time.Second {
						process.Process.Kill()
						t.Fatal("it does not end")
					}
					continue
				}
				break
			}
			status, _ := process.ProcessState.Sys().(syscall.WaitStatus)
			if times == 1 && process.ProcessState.ExitCode() != exitOK || times > 1 && status.Signal() != syscall.SIGINT {
				t.Errorf("it has ended with %s after %s: %s", process.ProcessState, time.Since(began), &stderr)
			}
		})
	}
}

func readUntil(t *testing.T, r io.Reader, end string) string {
	t.Helper()
	var text []byte
	for buf := make([]byte, 4096); !strings.Contains(string(text), end); {
		n, err := r.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil {
			t.Fatalf("%v after\n%s", err, text)
		}
	}
	return string(text)
}

// The answer to a sign-in is taken from the browser that began it, once.
func TestCallbackBelongsToTheBrowser(t *testing.T) {
	leavesNothing(t)
	d, err := start(t.Context(), setup{log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	transport := newTransport()
	defer transport.CloseIdleConnections()
	victim := newBrowser(transport, d)
	page, err := victim.visit(t.Context(), d.clientSite.String()+"/")
	if err != nil || page.status != http.StatusOK {
		t.Fatalf("%d %v", page.status, err)
	}
	for name, b := range map[string]*browser{"again": victim, "another browser": newBrowser(transport, d)} {
		if again, err := b.visit(t.Context(), page.url.String()); err != nil || again.status == http.StatusOK {
			t.Errorf("%s: %d %v", name, again.status, err)
		}
	}
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args []string
		env  []string
		want int
	}{
		{[]string{"-help"}, nil, exitOK},
		{[]string{"-nonsense"}, nil, exitUsage},
		{[]string{"auto"}, nil, exitUsage},
		{[]string{"-auto"}, []string{"REDIS_URL=bogus://nowhere"}, exitFailure},
		{[]string{"-auto"}, []string{"REDIS_URL=redis://127.0.0.1:1"}, exitFailure},
	}
	for _, test := range tests {
		t.Run(strings.Join(append(test.args, test.env...), " "), func(t *testing.T) {
			leavesNothing(t)
			var stderr strings.Builder
			if got := run(t.Context(), test.args, test.env, io.Discard, &stderr); got != test.want || stderr.Len() == 0 {
				t.Errorf("exit %d, want %d; %q", got, test.want, stderr.String())
			}
		})
	}
}
