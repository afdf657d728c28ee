package main

import (
	"context"
	"errors"
	"flag"
	"strings"
	"time"

	"go.uber.org/zap"

	"pargate/config"
	"pargate/proxy"
)

// check reads the settings as serve does and says what is wrong with them, and looks at the certificates that they name.
// With -connect it also asks the authorization server and the store. docs/check.md has every line of it.
func check(ctx context.Context, args []string, p program) int {
	var connect, asJSON, strict bool
	if !parseFlags("check", args, p, func(f *flag.FlagSet) {
		f.BoolVar(&connect, "connect", false, "also ask the authorization server and the store")
		f.BoolVar(&asJSON, "json", false, "print one JSON document instead of lines")
		f.BoolVar(&strict, "strict", false, "let a warning fail too, by the exit status")
	}) {
		return exitConfig
	}
	c := &checking{environ: p.environ, now: time.Now}
	if !asJSON {
		c.lines = p.stdout
	}
	code := c.configuration(p, asJSON)
	if c.gateway != nil {
		defer c.gateway.server.Store.Close()
		defer c.gateway.traces.end()
		c.files()
		if connect {
			c.connections(ctx)
		}
		code = c.exitCode(strict)
	}
	if asJSON {
		c.writeJSON(p.stdout, code, connect)
	}
	return code
}

// checking is one run of check.
type checking struct {
	findings
	environ []string
	now     func() time.Time
	cfg     *config.Config
	gateway *gateway // nil: the settings do not make one
}

// configuration reads the settings, and makes of them what serve would. What is wrong with them is told as serve tells it,
// or in JSON.
func (c *checking) configuration(p program, asJSON bool) int {
	cfg, warnings, err := config.Load(p.environ)
	if err == nil {
		c.cfg = cfg
		for _, w := range append(warnings, warnOfGODEBUG(p.environ)...) {
			c.warn(aboutConfiguration, w.Name, w.String(), "")
		}
		c.gateway, err = build(cfg, zap.NewNop())
	}
	if err != nil {
		c.gateway = nil
		c.problems(err)
		if !asJSON {
			explainProblems(err, p)
		}
		return exitConfig
	}
	c.ok(aboutConfiguration, "", "the configuration is valid")
	for _, effect := range cfg.Profile.Effects() {
		c.ok(aboutProfile, effect.Name, "PROFILE=%s, %s: %s", cfg.Profile, effect.Name, effect.Text)
	}
	c.kubernetes()
	return exitOK
}

// problems adds a finding for each thing that is wrong with the settings. As lines they are told otherwise.
func (c *checking) problems(err error) {
	c.lines = nil
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, one := range problems {
			c.fail(aboutConfiguration, one.Name, one.Name+" "+one.Text, "")
		}
		return
	}
	all := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	for _, one := range all {
		setting, _, found := strings.Cut(one.Error(), ": ")
		if !found || strings.ToUpper(setting) != setting {
			setting = ""
		}
		c.fail(aboutConfiguration, setting, one.Error(), "")
	}
}

// kubernetes warns of a pod that keeps pushed requests to itself: there is seldom only one, and never while it is replaced.
func (c *checking) kubernetes() {
	if c.cfg.RedisURL.IsSet() {
		return
	}
	for _, variable := range c.environ {
		if value, found := strings.CutPrefix(variable, "KUBERNETES_SERVICE_HOST="); found && value != "" {
			c.warn(aboutKubernetes, "", "this is a pod of Kubernetes, and pushed requests are kept in its memory: a second replica, or the next one in a rollout, does not know them",
				"set REDIS_URL")
			return
		}
	}
}

// connections asks the authorization server and the store.
func (c *checking) connections(ctx context.Context) {
	server := c.gateway.server
	inspection := c.upstream(ctx, server)
	c.store(ctx)
	if inspection == nil {
		c.warn(aboutSize, "", "UPSTREAM_MAX_REQUEST was not compared with what the authorization server takes, since that is not known", "")
		return
	}
	c.delegation(ctx, server)
	for _, look := range []func(context.Context, *proxy.Inspection){c.upstreamClock, c.post, c.pkce, c.publicName, c.pushPath} {
		look(ctx, inspection)
	}
	c.size(ctx, server)
}
