//go:build profile

package main

import (
	"log"
	"net/http"
	_ "net/http/pprof"
	"os"
)

// A build with the tag profile tells at PROFILE_ADDR what it spends its time on, to whoever asks: it is for benchmarks, and is
// what default.pgo is made with. No release has it.
func init() {
	go func() {
		log.Fatal(http.ListenAndServe(os.Getenv("PROFILE_ADDR"), nil))
	}()
}
