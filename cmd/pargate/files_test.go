package main

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFileThatGoesAgainIsToldOfAgain(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "first")
	synctest.Test(t, func(t *testing.T) {
		f := &operatorFiles{paths: []string{file}, use: func([][]byte) error { return nil }}
		f.reload()
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan error, 10)
		go f.watch(ctx, time.Second, func(err error) { told <- err })
		for _, step := range []struct {
			what   string
			change func() error
			want   int // lines in all
		}{
			{"as it was", func() error { return nil }, 0},
			{"gone", func() error { return os.Remove(file) }, 1},
			{"back", func() error { return os.WriteFile(file, []byte("first"), 0o600) }, 1},
			{"gone again", func() error { return os.Remove(file) }, 2},
			{"another", func() error { return os.WriteFile(file, []byte("second"), 0o600) }, 3},
		} {
			if err := step.change(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if len(told) != step.want {
				t.Errorf("%s: told %d times", step.what, len(told))
			}
		}
		cancel()
		synctest.Wait()
	})
}
