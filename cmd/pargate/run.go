package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"pargate/config"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something went wrong while it ran
	exitConfig  = 2 // the settings or the command line are wrong
)

// version is set when a release is built.
var version = ""

// command is one verb of the command line.
type command struct {
	name, help string
	run        func(ctx context.Context, args []string, p program) int
}

// program is what a verb works with.
type program struct {
	environ        []string
	stdout, stderr io.Writer
}

func commands() []command {
	return []command{
		{"serve", "Serve; the same as no command.", serve},
		{"check", "Check the settings; with -connect also ask the authorization server and the store. -json, -strict: docs/check.md.", check},
		{"healthcheck", "Ask the admin listener of this machine whether the process lives; with -ready, whether it is ready.", healthcheck},
		{"version", "Print the version.", printVersion},
		{"help", "Print this; \"help env\" prints every setting.", nil},
	}
}

// run is the whole program. Tests call it as main does.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	p := program{environ, stdout, stderr}
	if len(args) == 0 {
		return serve(ctx, nil, p)
	}
	verb := strings.TrimLeft(args[0], "-")
	if verb == "help" || verb == "h" {
		return help(args[1:], p)
	}
	for _, c := range commands() {
		if c.name == verb && c.run != nil {
			return c.run(ctx, args[1:], p)
		}
	}
	fmt.Fprintf(stderr, "pargate: %q is not a command; try: pargate help\n", args[0])
	return exitConfig
}

func help(args []string, p program) int {
	if len(args) > 0 && args[0] == "env" {
		config.WriteHelp(p.stdout)
		return exitOK
	}
	fmt.Fprintf(p.stdout, "pargate gives an authorization server Pushed Authorization Requests (RFC 9126).\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(p.stdout, "  %-12s %s\n", c.name, c.help)
	}
	fmt.Fprintf(p.stdout, "\nEverything is set by environment variables; UPSTREAM_URL is the only required one.\n")
	return exitOK
}

// parseFlags parses the flags of a verb, which takes no other arguments. It has printed what is wrong.
func parseFlags(name string, args []string, p program, define func(*flag.FlagSet)) bool {
	flags := flag.NewFlagSet("pargate "+name, flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	if define != nil {
		define(flags)
	}
	if flags.Parse(args) != nil {
		return false
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(p.stderr, "pargate %s: unexpected argument %q\n", name, flags.Arg(0))
		return false
	}
	return true
}

// loadConfig reads the settings. It has printed what is wrong with them.
func loadConfig(p program) (*config.Config, []config.Warning, bool) {
	cfg, warnings, err := config.Load(p.environ)
	if err != nil {
		explainProblems(err, p)
		return nil, nil, false
	}
	return cfg, append(warnings, warnOfGODEBUG(p.environ)...), true
}

// explainProblems prints what is wrong with the settings.
func explainProblems(err error, p program) {
	var problems config.Problems
	switch {
	case !errors.As(err, &problems):
		fmt.Fprintf(p.stderr, "pargate %s: %v\n", versionName(), err)
	case len(problems) == 1:
		fmt.Fprintf(p.stderr, "pargate %s: 1 problem in the configuration:\n\n%v\n\nAll settings: pargate help env\n", versionName(), problems)
	default:
		fmt.Fprintf(p.stderr, "pargate %s: %d problems in the configuration:\n\n%v\n\nAll settings: pargate help env\n", versionName(), len(problems), problems)
	}
}

func printVersion(_ context.Context, args []string, p program) int {
	if !parseFlags("version", args, p, nil) {
		return exitConfig
	}
	fmt.Fprintf(p.stdout, "pargate %s (%s, %s/%s)\n", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
