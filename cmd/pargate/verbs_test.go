package main

import (
	"regexp"
	"strings"
	"testing"

	"pargate/config"
)

func TestHelpEnvListsEverySetting(t *testing.T) {
	t.Parallel()
	_, stdout, _ := call(t, nil, "help", "env")
	for _, s := range config.Settings() {
		if !regexp.MustCompile(`(?m)^  ` + s.Name + ` `).MatchString(stdout) {
			t.Errorf("%s is missing", s.Name)
		}
	}
}

func TestHelpListsEveryCommand(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"help", "-h", "--help"} {
		code, stdout, _ := call(t, nil, verb)
		for _, c := range commands() {
			if code != exitOK || !strings.Contains(stdout, c.name) {
				t.Errorf("%s: %d, %s is missing", verb, code, c.name)
			}
		}
	}
}

func TestCheckPrintsWarningsAndSucceeds(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1", "TRUSTED_PROXIES=0.0.0.0/0"}, "check")
	for _, name := range []string{"REDIS_URL", "TRUSTED_PROXIES"} {
		if !regexp.MustCompile(`(?m)^warn  ` + name + ` .`).MatchString(stdout) {
			t.Errorf("no warning about %s", name)
		}
	}
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "\nok    the configuration is valid\n") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
}

func TestEveryVerbRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"serve", "check", "healthcheck", "version"} {
		for _, arg := range []string{"extra", "-nope"} {
			if code, stdout, stderr := call(t, []string{"UPSTREAM_URL=http://127.0.0.1:1"}, verb, arg); code != exitConfig || stdout != "" || stderr == "" {
				t.Errorf("%s %s: %d %s%s", verb, arg, code, stdout, stderr)
			}
		}
	}
}
