package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// check reads the settings as serve does and says what is wrong with them; with --connect it also asks the
// authorization server and the store, and says what they answer.
func check(ctx context.Context, args []string, p program) int {
	var connect, asJSON bool
	if !parseFlags("check", args, p, func(f *flag.FlagSet) {
		f.BoolVar(&connect, "connect", false, "also ask the authorization server and the store")
		f.BoolVar(&asJSON, "json", false, "not built yet")
	}) {
		return exitConfig
	}
	if asJSON {
		fmt.Fprintln(p.stderr, "pargate check: -json is not built yet; leave it out")
		return exitConfig
	}
	cfg, warnings, ok := loadConfig(p)
	if !ok {
		return exitConfig
	}
	for _, w := range warnings {
		fmt.Fprintf(p.stdout, "warn  %s %s\n", w.Name, w.Text)
	}
	g, err := build(cfg, zap.NewNop())
	if err != nil {
		fmt.Fprintf(p.stderr, "pargate %s: %v\n", versionName(), err)
		return exitConfig
	}
	defer g.server.Store.Close()
	fmt.Fprintln(p.stdout, "ok    the configuration is valid")
	if !connect {
		return exitOK
	}
	return checkConnections(ctx, g, p)
}

func checkConnections(ctx context.Context, g *gateway, p program) int {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	code := exitOK
	report := func(err error, good string) {
		if err != nil {
			fmt.Fprintf(p.stdout, "fail  %v\n", err)
			code = exitFailure
			return
		}
		fmt.Fprintf(p.stdout, "ok    %s\n", good)
	}
	found, err := g.server.Discover(ctx)
	report(err, "upstream: "+found.String())
	err = g.server.Store.Ping(ctx)
	report(err, "store answers")
	return code
}
