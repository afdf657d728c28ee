// Command pargate-demo shows a pushed authorization request (RFC 9126) from one end to the other, on one machine and
// over real HTTP: a legacy authorization server that has no PAR, the gateway in front of it, and a client.
//
//	client ──▶ gateway ──▶ legacy server (-auto: the example provider of zitadel/oidc, and its login page)
//	  ▲           ▲
//	  └─ browser ─┘          yours, or a stand-in
//
// What it prints, and draws on a page, was seen by taps:
//
//	tap.go, storetap.go   what passes by, at the client, the browser stand-in, the gateway, its store and the legacy server
//	relay.go              the same on the wire between the gateway and the legacy server
//	film.go, event.go     all of it in order: who sent what to whom, and in which of the ten steps
//	story.go, steps_*.go  -auto: the steps in the terminal, each with what must hold
//	picture.go, take.go   the page, and one sign-in on it
//	compare.go            the same sign-in without PAR
//	attack.go, attacks.go what somebody might try
//
// It keeps pushed requests in memory, or in the Redis that REDIS_URL names.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // it did not work, or a step was not what it should be
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process, whatever is still open
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the whole program. Tests call it as main does.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("pargate-demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: pargate-demo [-auto]\n\nPushed requests are kept in memory, or in the Redis of REDIS_URL.\n\n")
		flags.PrintDefaults()
	}
	auto := flags.Bool("auto", false, "sign in without a person, print the ten steps of the story and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "pargate-demo: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	fmt.Fprint(stdout, "pargate demo: Pushed Authorization Requests (RFC 9126) for a server that has none\n\n")
	s := setup{redisURL: lookup(environ, "REDIS_URL")}
	if *auto {
		return runAuto(ctx, s, stdout, stderr)
	}
	return runUntilEnd(ctx, s, stdout, stderr)
}

// runAuto tells the story and ends.
func runAuto(ctx context.Context, s setup, stdout, stderr io.Writer) int {
	var log logBuffer
	s.log = &log
	d, err := start(ctx, s)
	if err != nil {
		return failure(stderr, err, &log)
	}
	defer d.close()
	if err := tell(ctx, d, stdout); err != nil {
		return failure(stderr, err, &log)
	}
	return exitOK
}

// failure says why it did not work, with what the gateway has logged.
func failure(stderr io.Writer, err error, log *logBuffer) int {
	fmt.Fprintln(stderr, "pargate-demo:", err)
	if text := log.String(); text != "" {
		fmt.Fprintf(stderr, "\nThe gateway's log:\n%s", text)
	}
	return exitFailure
}

// runUntilEnd says where to look, and serves until ctx ends.
func runUntilEnd(ctx context.Context, s setup, stdout, stderr io.Writer) int {
	s.log = stderr
	if s.redisURL != "" { // say now what is wrong with it, and not when somebody clicks
		d, err := start(ctx, s)
		if err != nil {
			fmt.Fprintln(stderr, "pargate-demo:", err)
			return exitFailure
		}
		d.close()
	}
	p, err := newPicture(ctx, s)
	if err != nil {
		fmt.Fprintln(stderr, "pargate-demo:", err)
		return exitFailure
	}
	defer p.close()
	fmt.Fprintf(stdout, `  open this        %s/

There a client, the gateway and a legacy server of your choice are started, and you see what happens between them when
somebody signs in. Everything listens on this machine alone. Ctrl-C ends it.
`, p.site)
	<-ctx.Done()
	return exitOK
}

// lookup returns the value of a variable; empty when it is not set.
func lookup(environ []string, name string) string {
	value := ""
	for _, entry := range environ {
		if n, v, _ := strings.Cut(entry, "="); n == name {
			value = v
		}
	}
	return value
}
