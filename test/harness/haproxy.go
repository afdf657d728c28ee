package harness

import (
	"os"
	"os/exec"
	"testing"
)

// HAProxy is the program that stands in front of gateways. Where it is not installed the test is skipped; where CI is true
// in the environment it fails instead.
func HAProxy(t testing.TB) (program string) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/haproxy") // not on everybody's PATH
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal("haproxy is not installed (.ci/install haproxy)")
	case err != nil:
		t.Skip("haproxy is not installed: skipped (.ci/install haproxy)")
	}
	return program
}
