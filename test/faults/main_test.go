package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

var built string // the program; set by program alone

// program builds the gateway once, as it is released, and returns the file.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pargate-faults-")
	if err != nil {
		return "", err
	}
	built = filepath.Join(dir, "pargate")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, "pargate/cmd/pargate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	return built, build.Run()
})
