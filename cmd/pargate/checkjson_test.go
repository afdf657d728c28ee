package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pargate/test/upstream"
)

// checked is the JSON form as somebody else reads it.
type checked struct {
	Version   string
	Status    string
	Exit      int
	Connected bool
	Findings  []struct{ Name, Level, Subject, Text, Fix string }
}

// checkJSON runs check -json and reads what it prints.
func checkJSON(t *testing.T, environ []string, args ...string) (c checked, stdout string) {
	t.Helper()
	code, stdout, stderr := call(t, environ, append([]string{"check", "-json"}, args...)...)
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil || decoder.More() || stderr != "" {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if c.Exit != code || c.Version != versionName() || len(c.Findings) == 0 {
		t.Errorf("ended with %d: %s", code, stdout)
	}
	return c, stdout
}

// level returns the levels of the findings of that name, without repetitions.
func (c checked) level(name findingName) string {
	var levels []string
	for _, f := range c.Findings {
		if f.Name == string(name) {
			levels = append(levels, f.Level)
		}
	}
	return strings.Join(slices.Compact(levels), " ")
}

// text returns those findings as lines.
func (c checked) text(name findingName) string {
	text := ""
	for _, f := range c.Findings {
		if f.Name == string(name) {
			text += f.Level + " " + f.Subject + ": " + f.Text + "; " + f.Fix + "\n"
		}
	}
	return text
}

func TestCheckPrintsTheSameAsJSON(t *testing.T) {
	t.Parallel()
	environ := []string{refusing(t, 4000, 414), "UPSTREAM_MAX_REQUEST=8KiB", "CLIENT_AUTH=file", "CLIENTS_FILE=" + writeFile(t, "[]")}
	c, _ := checkJSON(t, environ, "--connect")
	_, lines, _ := call(t, environ, "check", "--connect")
	want := ""
	for _, f := range c.Findings {
		want += (f.Level + "    ")[:6] + f.Text
		if f.Fix != "" {
			want += "; " + f.Fix
		}
		want += "\n"
	}
	// What is ahead of the clock, or how long a certificate lasts, is not there.
	if want != lines {
		t.Errorf("as lines:\n%s\nas JSON:\n%s", lines, want)
	}
	if c.Status != "warn" || c.Exit != exitOK || !c.Connected || c.level(aboutSize) != "warn" || !strings.HasSuffix(c.text(aboutSize), "; set it to 3840\n") {
		t.Errorf("%+v", c)
	}
}

func TestTheExitStatusIsThatOfTheWorst(t *testing.T) {
	t.Parallel()
	const upstreamGone = "UPSTREAM_URL=http://127.0.0.1:1"
	redis := "REDIS_URL=redis://127.0.0.1:1"
	for _, c := range []struct {
		environ []string
		args    []string
		code    int
		status  string
	}{
		{[]string{upstreamGone, redis}, nil, exitOK, "ok"},
		{[]string{upstreamGone, redis}, []string{"-strict"}, exitOK, "ok"},
		{[]string{upstreamGone}, nil, exitOK, "warn"},
		{[]string{upstreamGone}, []string{"-strict"}, exitFailure, "warn"},
		{[]string{upstreamGone, redis}, []string{"-connect"}, exitFailure, "fail"},
		{[]string{"UPSTREAM_URL=127.0.0.1:1"}, nil, exitConfig, "fail"},
		{[]string{"UPSTREAM_URL=127.0.0.1:1"}, []string{"-strict"}, exitConfig, "fail"},
	} {
		if got, stdout := checkJSON(t, c.environ, c.args...); got.Exit != c.code || got.Status != c.status {
			t.Errorf("%v %v: %s", c.environ, c.args, stdout)
		}
		code, stdout, stderr := call(t, c.environ, append([]string{"check"}, c.args...)...)
		if wrong := code == exitConfig; code != c.code || (stderr != "") != wrong || (stdout == "") != wrong {
			t.Errorf("%v %v as lines: %d %s%s", c.environ, c.args, code, stdout, stderr)
		}
	}
}

func TestProblemsOfTheSettingsAreJSONToo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ  []string
		subjects []string
	}{
		{[]string{"UPSTREAM_URL=localhost:1", "PAR_TTL=1s", "TRUSTED_PROXYS=10.0.0.1"}, []string{"UPSTREAM_URL", "PAR_TTL", "TRUSTED_PROXYS"}},
		{[]string{"UPSTREAM_URL=http://gate:hunter2@h"}, []string{"UPSTREAM_URL"}},
		{[]string{"UPSTREAM_URL=http://h", "REDIS_URL=redis://gate:hunter2@h:6379/zero", "CLIENTS_FILE=" + writeFile(t, `[{"client_id": "web", "client_secret": "hunter2"`)},
			[]string{"CLIENTS_FILE", "REDIS_URL"}},
		{[]string{"UPSTREAM_URL=http://h", "REDIS_URL=redis://gate:hunter2/@h"}, []string{"REDIS_URL"}},
	} {
		got, stdout := checkJSON(t, c.environ)
		var subjects []string
		for _, f := range got.Findings {
			if f.Name == "configuration" && f.Level == "fail" && strings.Contains(f.Text, f.Subject) {
				subjects = append(subjects, f.Subject)
			}
		}
		if got.Exit != exitConfig || !slices.Equal(subjects, c.subjects) || strings.Contains(stdout, "hunter2") {
			t.Errorf("%v: %s", c.environ, stdout)
		}
	}
}

func TestAPodWithoutRedisIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{[]string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}, "warn"},
		{[]string{"KUBERNETES_SERVICE_HOST="}, ""},
		{nil, ""},
		{[]string{"KUBERNETES_SERVICE_HOST=10.0.0.1", "REDIS_URL=redis://h"}, ""},
	} {
		if got, stdout := checkJSON(t, append(c.environ, "UPSTREAM_URL=http://127.0.0.1:1")); got.level(aboutKubernetes) != c.want {
			t.Errorf("%v: %s", c.environ, stdout)
		}
	}
}

// The document says what each name means, and no other; and there is no name that nothing is called by.
func TestEveryFindingIsDocumented(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	used := map[string]int{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				used[id.Name]++
			}
			if spec, ok := n.(*ast.ValueSpec); ok {
				if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "findingName" {
					name, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
					names = append(names, name)
				}
			}
			return true
		})
	}
	text, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, match[1])
	}
	if len(names) < 20 || !slices.Equal(documented, names) {
		t.Errorf("documented are\n%v\nand there are\n%v", documented, names)
	}
	for id, n := range used {
		if strings.HasPrefix(id, "about") && n == 1 {
			t.Errorf("nothing is %s", id)
		}
	}
	for _, member := range []string{"version", "status", "exit", "connected", "findings", "name", "level", "subject", "text", "fix"} {
		if !strings.Contains(string(text), "`"+member+"`") {
			t.Errorf("docs/check.md does not speak of %s", member)
		}
	}
}

// No login begins, and nobody's credentials leave: check is harmless to the server that it asks.
func TestCheckAsksForNothingThatCouldSucceed(t *testing.T) {
	t.Parallel()
	up := upstream.New(t, func(r *upstream.Recorder) { r.Issuer = r.URL })
	checkJSON(t, []string{"UPSTREAM_URL=" + up.URL, "CLIENTS_FILE=" + writeFile(t, `[
		{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]},
		{"client_id": "spa", "token_endpoint_auth_method": "none", "redirect_uris": ["https://spa.example/cb"]}]`)}, "-connect")
	requests := up.Requests()
	if len(requests) < 10 {
		t.Fatalf("%d requests", len(requests))
	}
	for _, r := range requests {
		if r.Header.Get("Cookie") != "" || strings.Contains(r.Target+r.Body, "s3cret") {
			t.Errorf("%+v", r)
		}
		if id := r.Query().Get("client_id"); (id == "web" || id == "spa") && r.Query().Get("prompt") != "none" {
			t.Errorf("a login may begin: %s %s", r.Method, r.Target)
		}
	}
}
