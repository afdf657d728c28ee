package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pargate/config"
	"pargate/test/upstream"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		found = append(found, match[1])
	}
	return found
}

func TestTheReadmeHasEverySetting(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := config.WriteMarkdownTable(&want); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(readme(t), "<!-- settings -->\n")
	got, _, _ := strings.Cut(rest, "<!-- end of settings -->")
	if got != want.String() {
		t.Errorf("the table between the markers is not the one of the settings, which is:\n%s", want.String())
	}
	if lines := strings.Count(readme(t), "\n"); lines >= 250 {
		t.Errorf("%d lines", lines)
	}
}

// Every command of the README is run: those that are listed here by .ci/run, the others below.
func TestTheReadmesCommandsAreRun(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	here := []string{"export UPSTREAM_URL=http://127.0.0.1:9998 LISTEN_ADDR=127.0.0.1:8080 CLIENTS_FILE=clients.json", "bin/pargate check", "bin/pargate"}
	for _, block := range blocks(t, "sh") {
		if strings.HasPrefix(block, "curl ") {
			continue
		}
		for command := range strings.Lines(block) {
			command = strings.TrimSpace(command)
			inCI := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(command) + "$").Match(script)
			if !inCI && !strings.Contains("\n"+strings.Join(here, "\n")+"\n", "\n"+command+"\n") {
				t.Errorf("nothing runs %q", command)
			}
		}
	}
}

func TestTheReadmesExampleWorks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is not on PATH")
		}
		t.Skip("the README's example: skipped (curl not on PATH)")
	}
	file := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(file, []byte(blocks(t, "json")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	up := upstream.New(t)
	if code, stdout, stderr := call(t, []string{"UPSTREAM_URL=" + up.URL, "LISTEN_ADDR=127.0.0.1:8080", "CLIENTS_FILE=" + file}, "check"); code != exitOK {
		t.Fatalf("check: %s%s", stdout, stderr)
	}
	s := start(t, "UPSTREAM_URL="+up.URL, "CLIENTS_FILE="+file)
	up.SetIssuer(s.public)
	s.waitReady(t)
	ran := false
	for _, block := range blocks(t, "sh") {
		if !strings.HasPrefix(block, "curl ") {
			continue
		}
		ran = true
		output, err := exec.CommandContext(t.Context(), "sh", "-c", "exec "+strings.ReplaceAll(block, "http://127.0.0.1:8080", s.public)).CombinedOutput()
		if err != nil || !strings.Contains(string(output), `"expires_in":60}`) {
			t.Errorf("%v: %s", err, output)
		}
	}
	if !ran {
		t.Error("the README pushes nothing")
	}
}
