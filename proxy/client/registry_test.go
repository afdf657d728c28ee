package client_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pargate/proxy/client"
)

// write replaces the file at path in one step, as an operator's tool does.
func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, content string) *client.Registry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clients.json")
	write(t, path, content)
	r, err := client.Load(path)
	if err != nil {
		t.Fatalf("Load(%s): %v", content, err)
	}
	return r
}

func TestAClientHasItsMembersAndTheDefaultsOfRFC7591(t *testing.T) {
	t.Parallel()
	r := load(t, `[
		{"client_id": "all", "client_secret": "s", "token_endpoint_auth_method": ["client_secret_post", "client_secret_basic"],
		 "redirect_uris": ["https://app.example/cb", "app:/cb"], "response_types": ["code", "code id_token"],
		 "scope": "openid  email", "require_pushed_authorization_requests": true},
		{"client_id": "little", "client_secret": "s"},
		{"client_id": "public", "token_endpoint_auth_method": "none", "redirect_uris": [], "response_types": [], "scope": ""}
	]`)
	if r.Len() != 3 {
		t.Errorf("Len() = %d, want 3", r.Len())
	}
	all, little, public := r.Lookup("all"), r.Lookup("little"), r.Lookup("public")
	if all == nil || little == nil || public == nil || r.Lookup("nobody") != nil || r.Lookup("ALL") != nil || r.Lookup("") != nil {
		t.Fatal("Lookup finds other clients than there are")
	}
	if !slices.Equal(all.AuthMethods, []string{"client_secret_post", "client_secret_basic"}) ||
		!slices.Equal(all.RedirectURIs, []string{"https://app.example/cb", "app:/cb"}) ||
		!slices.Equal(all.ResponseTypes, []string{"code", "code id_token"}) ||
		!slices.Equal(all.Scope, []string{"openid", "email"}) || !all.RequirePAR || all.Public() {
		t.Errorf("got %+v, want every member as in the file", all)
	}
	if !slices.Equal(little.AuthMethods, []string{"client_secret_basic"}) || little.RedirectURIs != nil ||
		little.ResponseTypes != nil || little.Scope != nil || little.RequirePAR || little.Public() {
		t.Errorf("got %+v, want client_secret_basic and nothing that is checked", little)
	}
	if !public.Public() || public.RedirectURIs == nil || public.ResponseTypes == nil || public.Scope == nil {
		t.Errorf("got %+v, want a public client that may use nothing", public)
	}
}

func TestMembersThatOnlyDescribeAClientAreTaken(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "web", "client_secret": "s", "client_name": "Web", "client_name#de": "Netz", "client_name#ja-Kana-JP": "ウェブ",
		"client_uri": "https://app.example", "contacts": ["a@app.example"], "grant_types": ["authorization_code"],
		"logo_uri#fr": "https://app.example/fr.png", "software_id": "x", "client_id_issued_at": 1}]`)
	if r.Lookup("web") == nil {
		t.Error("the client is missing")
	}
}

func TestLoadNamesTheClientAndTheMember(t *testing.T) {
	t.Parallel()
	// Every text is what follows the client's number and name; s3cret is in every file and in no error.
	const (
		secret  = `"client_secret": "s3cret"`
		methods = "client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or none"
	)
	for _, test := range []struct {
		name, entry string
		want        []string
	}{
		{"no client_id", `{` + secret + `}`, []string{`client 1 (""): client_id is missing`}},
		{"an empty client_id", `{"client_id": "", ` + secret + `}`, []string{`client 1 (""): client_id is empty`}},
		{"a client_id that is null", `{"client_id": null, ` + secret + `}`, []string{`client 1 (""): client_id is not a string`}},
		{"a client_id that is a number", `{"client_id": 7, ` + secret + `}`, []string{`client 1 (""): client_id is not a string`}},
		{"a long client_id", `{"client_id": "` + strings.Repeat("x", 513) + `", ` + secret + `}`,
			[]string{`client 1 ("` + strings.Repeat("x", 64) + `"): client_id has more than 512 bytes`}},
		{"a client_id with a control character", `{"client_id": "a\u0000b", ` + secret + `}`, []string{`client 1 ("a\x00b"): client_id has a control character`}},
		{"a client_id with a line end", `{"client_id": "a\n", ` + secret + `}`, []string{`client 1 ("a\n"): client_id has a control character`}},
		{"a client_id with DEL", `{"client_id": "a\u007f", ` + secret + `}`, []string{`client 1 ("a\x7f"): client_id has a control character`}},
		{"a client_id with a control character of Latin-1", `{"client_id": "a\u0085", ` + secret + `}`, []string{`client 1 ("a\u0085"): client_id has a control character`}},
		{"no secret", `{"client_id": "a"}`, []string{`client 1 ("a"): client_secret is missing; a public client has token_endpoint_auth_method none`}},
		{"no secret though one method needs it", `{"client_id": "a", "token_endpoint_auth_method": ["none", "client_secret_post"]}`,
			[]string{`client 1 ("a"): client_secret is missing; a public client has token_endpoint_auth_method none`}},
		{"a public client with a secret", `{"client_id": "a", "token_endpoint_auth_method": "none", ` + secret + `}`,
			[]string{`client 1 ("a"): client_secret is there and token_endpoint_auth_method may be none; decide for one`}},
		{"an empty secret", `{"client_id": "a", "client_secret": "", "x-note": "s3cret"}`,
			[]string{`client 1 ("a"): client_secret is empty`, `client 1 ("a"): x-note has no effect here yet; take it out`}},
		{"a secret that is null", `{"client_id": "a", "client_secret": null}`, []string{`client 1 ("a"): client_secret is not a string`}},
		{"a secret that is an array", `{"client_id": "a", "client_secret": ["s3cret"]}`, []string{`client 1 ("a"): client_secret is not a string`}},
		{"several methods that are none", `{"client_id": "a", "token_endpoint_auth_method": ["basic", "client_secret_post", "x"], ` + secret + `}`,
			[]string{`client 1 ("a"): token_endpoint_auth_method "basic" is not a method; use ` + methods + `; "x" is not a method; use ` + methods}},
		{"no method at all", `{"client_id": "a", "token_endpoint_auth_method": [], ` + secret + `}`,
			[]string{`client 1 ("a"): token_endpoint_auth_method is neither a method nor an array of methods`}},
		{"a method that is null", `{"client_id": "a", "token_endpoint_auth_method": null, ` + secret + `}`,
			[]string{`client 1 ("a"): token_endpoint_auth_method "" is not a method; use ` + methods}},
		{"a method that is an object", `{"client_id": "a", "token_endpoint_auth_method": {}, ` + secret + `}`,
			[]string{`client 1 ("a"): token_endpoint_auth_method is neither a method nor an array of methods`}},
		{"redirect_uris that are none", `{"client_id": "a", "redirect_uris": ["https://app.example/cb", "/cb", "https://app.example/#x", "://"], ` + secret + `}`,
			[]string{`client 1 ("a"): redirect_uris has "/cb", which is not an absolute URI without fragment; has "https://app.example/#x", which is ` +
				`not an absolute URI without fragment; has "://", which is not an absolute URI without fragment`}},
		{"redirect_uris that are one", `{"client_id": "a", "redirect_uris": "https://app.example/cb", ` + secret + `}`,
			[]string{`client 1 ("a"): redirect_uris is not an array of strings`}},
		{"redirect_uris that are null", `{"client_id": "a", "redirect_uris": null, ` + secret + `}`, []string{`client 1 ("a"): redirect_uris is not an array of strings`}},
		{"response_types with a number", `{"client_id": "a", "response_types": ["code", 1], ` + secret + `}`, []string{`client 1 ("a"): response_types is not an array of strings`}},
		{"scope as an array", `{"client_id": "a", "scope": ["openid"], ` + secret + `}`, []string{`client 1 ("a"): scope is not a string`}},
		{"scope that is null", `{"client_id": "a", "scope": null, ` + secret + `}`, []string{`client 1 ("a"): scope is not a string`}},
		{"a text for a boolean", `{"client_id": "a", "require_pushed_authorization_requests": "true", ` + secret + `}`,
			[]string{`client 1 ("a"): require_pushed_authorization_requests is not true or false`}},
		{"null for a boolean", `{"client_id": "a", "require_pushed_authorization_requests": null, ` + secret + `}`,
			[]string{`client 1 ("a"): require_pushed_authorization_requests is not true or false`}},
		{"members that are not built yet", `{"client_id": "a", "backchannel_logout_uri": "https://app.example/out", "dpop_bound_access_tokens": true, ` + secret + `}`,
			[]string{`client 1 ("a"): backchannel_logout_uri has no effect here yet; take it out`, `client 1 ("a"): dpop_bound_access_tokens has no effect here yet; take it out`}},
		{"a misspelt member", `{"client_id": "a", "redirect_uri": "https://app.example/cb", ` + secret + `}`, []string{`client 1 ("a"): redirect_uri has no effect here yet; take it out`}},
		{"a member in another case", `{"client_id": "a", "Scope": "openid", ` + secret + `}`, []string{`client 1 ("a"): Scope has no effect here yet; take it out`}},
		{"a language where there is none", `{"client_id": "a", "scope#de": "openid", ` + secret + `}`, []string{`client 1 ("a"): scope#de has no effect here yet; take it out`}},
		{"a member twice", `{"client_id": "a", "scope": "a", "scope": "b", ` + secret + `}`, []string{`client 1 ("a"): scope occurs more than once`}},
		{"a client_id twice in one client", `{"client_id": "a", "client_id": "b", ` + secret + `}`, []string{`client 1 ("b"): client_id occurs more than once`}},
		{"two clients with one client_id", `{"client_id": "a", ` + secret + `}, {"client_id": "a", ` + secret + `}`, []string{`client 2 ("a"): client_id is another client's too`}},
		{"a client that is null", `null, {"client_id": "a", ` + secret + `}`, []string{`client 1 (""): is not a JSON object`}},
		{"a client that is a text", `"s3cret"`, []string{`client 1 (""): is not a JSON object`}},
		{"every problem of every client", `{"client_id": "a", "x": {}, "scope": 1}, {"client_id": "b", ` + secret + `}, {"client_secret": 1}`, []string{
			`client 1 ("a"): scope is not a string`, `client 1 ("a"): x has no effect here yet; take it out`,
			`client 1 ("a"): client_secret is missing; a public client has token_endpoint_auth_method none`,
			`client 3 (""): client_secret is not a string`, `client 3 (""): client_id is missing`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkLoadFails(t, "["+test.entry+"]", test.want...)
		})
	}
}

func TestLoadRefusesWhatIsNoArrayOfClients(t *testing.T) {
	t.Parallel()
	const text = "is not a JSON array of client metadata (RFC 7591)"
	for _, test := range []struct{ name, content, want string }{
		{"an empty file", ``, text + "; line 1: unexpected end of JSON input"},
		{"one client", `{"client_id": "a", "client_secret": "s3cret"}`, text},
		{"null", `null`, text},
		{"a text", `"s3cret"`, text},
		{"a comma too much", "[\n{\"client_id\": \"a\"},\n]", text + "; line 3: invalid character ']' looking for beginning of value"},
		{"a quotation mark too few", "[\n\n{\"client_secret: s3cret", text + "; line 3: unexpected end of JSON input"},
		{"a bracket too much", `[]]`, text + "; line 1: invalid character ']' after top-level value"},
		{"two arrays", `[] []`, text + "; line 1: invalid character '[' after top-level value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkLoadFails(t, test.content, test.want)
		})
	}
}

// checkLoadFails: the error is the file's name and exactly the lines of want.
func checkLoadFails(t *testing.T, content string, want ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clients.json")
	write(t, path, content)
	r, err := client.Load(path)
	if err == nil || r != nil {
		t.Fatalf("Load(%s) succeeds", content)
	}
	if got, want := err.Error(), "client file "+path+": "+strings.Join(want, "\n"); got != want {
		t.Errorf("Load(%s)\n got %s\nwant %s", content, got, want)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error tells the secret: %v", err)
	}
}

func TestAClientIDMayHave512BytesOfAnyOtherKind(t *testing.T) {
	t.Parallel()
	id := "https://ü/ " + strings.Repeat("x", 500)
	if len(id) != 512 {
		t.Fatal(len(id))
	}
	if r := load(t, `[{"client_id": "`+id+`", "client_secret": "s"}]`); r.Lookup(id) == nil {
		t.Error("the client is missing")
	}
}

func TestLoadNamesAFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clients.json")
	if _, err := client.Load(path); err == nil || !strings.HasPrefix(err.Error(), "reading client file: ") || !strings.Contains(err.Error(), path) {
		t.Errorf("Load of no file: %v, want an error with its path", err)
	}
	if _, err := client.Load(filepath.Dir(path)); err == nil {
		t.Error("Load of a directory succeeds")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 16<<20+1); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Load(path); err == nil || !strings.Contains(err.Error(), "has more than 16777216 bytes") {
		t.Errorf("Load of a huge file: %v", err)
	}
}

func TestTheZeroRegistryIsEmpty(t *testing.T) {
	t.Parallel()
	var r client.Registry
	if r.Len() != 0 || r.Lookup("a") != nil || r.AnyRefusesPlain() || r.ResemblesRestricted("a") {
		t.Error("it has clients")
	}
	if c, err := authenticator(t, &r).Authenticate(t.Context(), client.Credentials{Method: client.MethodNone, ClientID: "a"}, server); err == nil {
		t.Errorf("it authenticates %+v", c)
	}
}

func TestANameResemblesARequiredOneButForCaseAndBlanks(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "Web App", "client_secret": "s", "require_pushed_authorization_requests": true},
		{"client_id": "other", "client_secret": "s"}, {"client_id": "weiß", "client_secret": "s", "require_pushed_authorization_requests": true}]`)
	if !r.AnyRefusesPlain() {
		t.Error("AnyRefusesPlain() = false")
	}
	for id, want := range map[string]bool{
		"Web App": true, "web app": true, "WEBAPP": true, " web\tapp\n": true, "web\u00a0app": true, "weiß": true, "WEIß": true,
		"web-app": false, "webap": false, "other": false, "OTHER": false, "": false, " ": false, "nobody": false,
	} {
		if got := r.ResemblesRestricted(id); got != want {
			t.Errorf("ResemblesRestricted(%q) = %t, want %t", id, got, want)
		}
	}
	if load(t, `[{"client_id": "a", "client_secret": "s"}]`).AnyRefusesPlain() {
		t.Error("AnyRefusesPlain() = true without such a client")
	}
}

const (
	oneClient  = `[{"client_id": "a", "client_secret": "s"}]`
	twoClients = `[{"client_id": "a", "client_secret": "s"}, {"client_id": "b", "client_secret": "s"}]`
)

func TestReloadTakesAChangedFileAndKeepsTheClientsOfABrokenOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clients.json")
	write(t, path, oneClient)
	r, err := client.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, content string // empty: no file
		changed       bool
		fails         bool
		clients       int
	}{
		{"the same file", oneClient, false, false, 1},
		{"a changed file", twoClients, true, false, 2},
		{"a broken file", `[{"client_id": "a"}]`, false, true, 2},
		{"the broken file again", `[{"client_id": "a"}]`, false, false, 2},
		{"no file", "", false, true, 2},
		{"the old file again", twoClients, true, false, 2},
		{"no clients", `[]`, true, false, 0},
	} {
		os.Remove(path)
		if step.content != "" {
			write(t, path, step.content)
		}
		changed, err := r.Reload()
		if changed != step.changed || (err != nil) != step.fails || r.Len() != step.clients {
			t.Errorf("%s: Reload() = %t, %v with %d clients, want %t, an error %t, %d clients",
				step.name, changed, err, r.Len(), step.changed, step.fails, step.clients)
		}
	}
}

// The clock of these tests is synctest's: an interval passes when nothing else can happen.
func TestWatchReportsEachChangeAndEachProblemOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clients.json")
	write(t, path, oneClient)
	r, err := client.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		reported := make(chan string, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Watch(ctx, time.Second, func(err error) {
				text := "changed"
				if err != nil {
					text = err.Error()
				}
				reported <- text
			})
		}()
		time.Sleep(time.Second / 2) // between two ticks from here on
		for _, step := range []struct {
			name, content string // empty: no file
			want          string // the beginning of the one report; empty: none
			clients       int
		}{
			{"the same file", oneClient, "", 1},
			{"a changed file", twoClients, "changed", 2},
			{"a broken file", `[{"client_id": "a"}]`, "client file " + path + `: client 1 ("a"): client_secret is missing`, 2},
			{"a file broken otherwise", `[`, "client file " + path + ": is not a JSON array", 2},
			{"no file", "", "reading client file: ", 2},
			{"a whole file", oneClient, "changed", 1},
		} {
			os.Remove(path)
			if step.content != "" {
				write(t, path, step.content)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			var reports []string
			for range len(reported) {
				reports = append(reports, <-reported)
			}
			want := 1
			if step.want == "" {
				want = 0
			}
			if len(reports) != want || want == 1 && !strings.HasPrefix(reports[0], step.want) || r.Len() != step.clients {
				t.Errorf("%s: reports %q with %d clients, want one that begins %q with %d clients", step.name, reports, r.Len(), step.want, step.clients)
			}
		}
		cancel()
		<-done
	})
}

// Kubernetes swaps a link to the directory, and the file's own time may stay.
func TestWatchSeesASwappedLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"one": oneClient, "two": twoClients} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "clients.json"), content)
	}
	link := filepath.Join(dir, "current")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	r, err := client.Load(filepath.Join(link, "clients.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("two", link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	if changed, err := r.Reload(); !changed || err != nil || r.Len() != 2 {
		t.Errorf("Reload() = %t, %v with %d clients, want 2", changed, err, r.Len())
	}
}

// For the race detector: requests are answered while the file is read, by Watch and by hand.
func TestClientsAreReplacedWhileTheyAreInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clients.json")
	write(t, path, oneClient)
	r, err := client.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 50 {
				if _, err := r.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
		wait.Go(func() {
			for range 50 {
				if c := r.Lookup("a"); c == nil || r.Len() == 0 {
					t.Error("a client is missing for a moment")
				}
			}
		})
	}
	for i := range 50 {
		write(t, path, []string{oneClient, twoClients}[i%2])
	}
	wait.Wait()
}
