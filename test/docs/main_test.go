package docs

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// builtIn is the folder of the program that the pages' commands meet.
var builtIn string

func TestMain(m *testing.M) {
	var err error
	if builtIn, err = os.MkdirTemp("", "pargate-docs"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(builtIn)
		os.Exit(code)
	}))
}
