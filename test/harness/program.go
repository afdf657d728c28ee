package harness

import (
	"os"
	"os/exec"
	"testing"
)

// Program is the path of a program that stands in front of gateways: haproxy or nginx. Where it is not installed the test
// is skipped; where CI is true in the environment it fails instead.
func Program(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not on everybody's PATH
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed (.ci/install %[1]s)", name)
	case err != nil:
		t.Skipf("%s is not installed: skipped (.ci/install %[1]s)", name)
	}
	return path
}
