package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"pargate/config"
	"pargate/proxy"
)

// check reads the settings as serve does and says what is wrong with them; with --connect it also asks the
// authorization server and the store, and says what they answer, which paths are protected, and how long a query the
// authorization server takes.
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
	for _, effect := range cfg.Profile.Effects() {
		fmt.Fprintf(p.stdout, "ok    PROFILE=%s, %s: %s\n", cfg.Profile, effect.Name, effect.Text)
	}
	if !connect {
		return exitOK
	}
	return checkConnections(ctx, g, p)
}

// checkConnections fails when the gateway could not serve. A setting that could be better is a warning.
func checkConnections(ctx context.Context, g *gateway, p program) int {
	asking, cancel := context.WithTimeout(ctx, 15*time.Second)
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
	found, upstreamErr := g.server.Discover(asking)
	report(upstreamErr, "upstream: "+found.String())
	for _, warning := range found.Warnings {
		fmt.Fprintf(p.stdout, "warn  %s\n", warning)
	}
	for _, path := range found.Authorize {
		report(nil, "protected: "+path)
	}
	if upstreamErr == nil {
		report(nil, "protected: what is below these paths, and every spelling that a server might take for them; AUTHORIZE_PATH adds others")
	}
	err := g.server.Store.Ping(asking)
	report(err, "store answers")
	if err == nil && g.redis != nil {
		explainRedis(asking, g, p)
	}
	if upstreamErr != nil {
		fmt.Fprintln(p.stdout, "warn  UPSTREAM_MAX_REQUEST was not compared with what the authorization server takes, since that is not known")
		return code
	}
	for _, line := range explainDelegation(ctx, g.server) {
		fmt.Fprintln(p.stdout, line)
	}
	fmt.Fprintln(p.stdout, compareLimit(ctx, g.server))
	return code
}

// explainRedis says what Redis it is, and what could be better.
func explainRedis(ctx context.Context, g *gateway, p program) {
	info, err := g.redis.Describe(ctx)
	if err != nil {
		fmt.Fprintf(p.stdout, "warn  store: %v\n", err)
		return
	}
	if info.Version == "" {
		fmt.Fprintln(p.stdout, "warn  store: its user may not ask about eviction and replicas; docs/redis.md has the rule")
		return
	}
	fmt.Fprintf(p.stdout, "ok    store: %s %s\n", info.Server, info.Version)
	for _, warning := range redisWarnings(info, g.wait) {
		fmt.Fprintf(p.stdout, "warn  store: %s\n", warning.text)
	}
}

// compareLimit measures how long a query the authorization server takes, and says in a line whether
// UPSTREAM_MAX_REQUEST fits.
func compareLimit(ctx context.Context, s *proxy.Server) string {
	if s.AuthorizeByPOST {
		return fmt.Sprintf("ok    upstream: pushed requests go to it in a form of up to UPSTREAM_MAX_REQUEST, %v; what it takes is not measured", config.Bytes(s.MaxQueryBytes))
	}
	limit, err := s.MeasureLimit(ctx)
	if err != nil {
		return fmt.Sprintf("warn  UPSTREAM_MAX_REQUEST could not be compared with what the authorization server takes: %v", err)
	}
	set, usable := config.Bytes(s.MaxQueryBytes), config.Bytes(limit.Usable())
	if limit.Refused > 0 && set > usable {
		return fmt.Sprintf("warn  UPSTREAM_MAX_REQUEST is %v, but %s; %s", set, describeLimit(limit), adviseOn(usable))
	}
	raise := ""
	if set < usable {
		raise = fmt.Sprintf(" and could be raised to %v", usable)
	}
	return fmt.Sprintf("ok    upstream: %s; UPSTREAM_MAX_REQUEST is %v%s", describeLimit(limit), set, raise)
}

func describeLimit(l proxy.Limit) string {
	if l.Refused == 0 {
		return fmt.Sprintf("%s takes a query of at least %d bytes, answered %s as short ones are; longer ones were not tried", l.Path, l.Taken, l.Answer)
	}
	text := fmt.Sprintf("%s takes a query of %d bytes and refuses one of %d (%s)", l.Path, l.Taken, l.Refused, l.How)
	if room := l.Taken - l.Usable(); room > 0 {
		text += fmt.Sprintf(", in which a browser's cookies and headers need %d too", room)
	}
	return text
}

// adviseOn says what to do where the setting is above what can be used.
func adviseOn(usable config.Bytes) string {
	if usable < 1<<10 { // the setting's smallest value
		return "that is too little for pushed requests"
	}
	return fmt.Sprintf("set it to %v", usable)
}

// explainDelegation says for each way in which clients authenticate whether the authorization server can be asked about
// it: whether it turns away a client that does not exist. Whether it takes a real one, the first push shows.
func explainDelegation(ctx context.Context, s *proxy.Server) (lines []string) {
	asking, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	usable, answers := map[string][]string{}, map[string][]string{}
	var methods []string
	for _, f := range s.ExplainDelegation(asking) {
		if answers[f.Method] == nil {
			methods = append(methods, f.Method)
		}
		answers[f.Method] = append(answers[f.Method], fmt.Sprintf("%s: %s, %s", f.Probe, f.Answer, f.Note))
		if f.Usable {
			usable[f.Method] = append(usable[f.Method], fmt.Sprintf("%s (%s)", f.Probe, f.Answer))
		}
	}
	for _, method := range methods {
		if len(usable[method]) > 0 {
			lines = append(lines, fmt.Sprintf("ok    clients outside of CLIENTS_FILE: %s can be asked about: %s", method, strings.Join(usable[method], ", ")))
			continue
		}
		lines = append(lines, fmt.Sprintf("warn  clients outside of CLIENTS_FILE: nobody is authenticated by %s: %s", method, strings.Join(answers[method], "; ")))
	}
	return lines
}
