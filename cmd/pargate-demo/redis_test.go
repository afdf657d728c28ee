package main

import (
	"bytes"
	"strings"
	"testing"

	"pargate/pushstore/storetest"
)

func TestAutoOverRedis(t *testing.T) {
	leavesNothing(t)
	server := storetest.StartRedis(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-auto"}, []string{"REDIS_URL=" + server.URL()}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit %d\n%s\n%s", code, &stdout, &stderr)
	}
	wantStory(t, stdout.String())
	if !strings.Contains(stdout.String(), "pushed requests in Redis") {
		t.Error("it does not say where pushed requests are kept")
	}
}
