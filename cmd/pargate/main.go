// Command pargate gives an OAuth 2.0 authorization server the pushed authorization request endpoint of RFC 9126,
// without a change to that server.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupt is why a run ends that a person ended: nobody else has to be told first.
var errInterrupt = errors.New("interrupted")

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if <-signals == os.Interrupt {
			cancel(errInterrupt)
		} else {
			cancel(nil)
		}
		<-signals // a second one ends the process, whatever is still in flight
		os.Exit(exitFailure)
	}()
	hushLibraries()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
