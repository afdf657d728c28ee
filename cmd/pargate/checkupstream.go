package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"pargate/proxy"
)

// upstream says what the authorization server is known to have, and which paths are protected. It returns nil where that is
// not known.
func (c *checking) upstream(ctx context.Context, server *proxy.Server) *proxy.Inspection {
	if chain, err := server.UpstreamCertificates(ctx); err == nil && chain != nil {
		defer c.dated(aboutUpstreamCert, "upstream", chain, "renew it")
	}
	inspection, err := server.Inspect(ctx)
	if err != nil {
		c.fail(aboutUpstream, "", err.Error(), whatToDoAbout(err))
		return nil
	}
	found := inspection.Discovery()
	c.ok(aboutUpstream, "", "upstream: %s", found)
	for _, warning := range found.Warnings {
		c.warn(aboutMetadata, "", warning, "")
	}
	for _, endpoint := range found.Endpoints {
		c.ok(aboutEndpoint, endpoint.Name, "upstream: %s endpoint %s", endpoint.Name, endpoint.URL)
	}
	for _, capability := range found.Capabilities {
		c.ok(aboutCapability, capability.Name, "upstream: %s", capability.Text)
	}
	for _, path := range found.Authorize {
		c.ok(aboutProtected, path, "protected: %s", path)
	}
	c.ok(aboutProtected, "", "protected: what is below these paths, and every spelling that a server might take for them; AUTHORIZE_PATH adds others")
	if c.gateway.keys != nil && c.cfg.PublicURL == nil {
		c.listenerName(inspection.PublicHost())
	}
	return inspection
}

// whatToDoAbout says it of an authorization server that could not be asked, or has nothing that can be used.
func whatToDoAbout(err error) string {
	var otherName x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &otherName):
		return "put a name into UPSTREAM_URL that its certificate has"
	case errors.As(err, &unknown):
		return "put the authority of its certificate into UPSTREAM_CA_FILE"
	}
	return "see what UPSTREAM_URL leads to from this machine"
}

func (c *checking) upstreamClock(ctx context.Context, inspection *proxy.Inspection) {
	ahead, err := inspection.ClockAhead(ctx)
	if err != nil {
		c.ok(aboutUpstreamClock, "", "upstream: its clock could not be compared with this machine's: %v", err)
		return
	}
	c.clock(aboutUpstreamClock, "upstream", "the authorization server", ahead)
}

// Differences of clocks: what is worth a warning, and what makes the times in cookies and assertions mean nothing.
const (
	maxClockDifference = 2 * time.Second
	maxClockAhead      = 30 * time.Second
)

func (c *checking) clock(name findingName, what, whose string, ahead time.Duration) {
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	text, fix := fmt.Sprintf("%s: the clock of %s is %v %s this machine's", what, whose, ahead.Abs().Round(time.Second/10), way), "set both by NTP"
	switch {
	case ahead.Abs() > maxClockAhead:
		c.fail(name, "", text, fix)
	case ahead.Abs() > maxClockDifference:
		c.warn(name, "", text, fix)
	default:
		c.ok(name, "", "%s: the clock of %s agrees with this machine's", what, whose)
	}
}

// delegation says for each way in which clients authenticate whether the authorization server can be asked about it:
// whether it turns away a client that does not exist. Whether it takes a real one, the first push shows.
func (c *checking) delegation(ctx context.Context, s *proxy.Server) {
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
			c.ok(aboutDelegation, method, "clients outside of CLIENTS_FILE: %s can be asked about: %s", method, strings.Join(usable[method], ", "))
			continue
		}
		c.warn(aboutDelegation, method, fmt.Sprintf("clients outside of CLIENTS_FILE: nobody is authenticated by %s: %s", method, strings.Join(answers[method], "; ")),
			"describe clients that use it in CLIENTS_FILE")
	}
}
