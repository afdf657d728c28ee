package main

import (
	"context"
	"fmt"

	"pargate/proxy"
)

// publicName says where clients and browsers come to, seen from this machine.
func (c *checking) publicName(ctx context.Context, inspection *proxy.Inspection) {
	a := inspection.FollowPublicName(ctx)
	defer c.dated(aboutPublicCertificate, a.URL, a.Certificates, "renew it")
	const around = "let the name lead to the gateway, and nothing but the gateway to the authorization server (SECURITY.md)"
	switch a.Leads {
	case proxy.LeadsToGateway:
		c.ok(aboutPublicName, a.URL, "%s leads to a gateway", a.URL)
	case proxy.LeadsAround:
		text := fmt.Sprintf("%s leads past the gateway, to the authorization server itself: %s", a.URL, a.Why)
		if c.cfg.PARRequired || c.gateway.clients != nil && c.gateway.clients.AnyRefusesPlain() {
			c.fail(aboutPublicName, a.URL, text+", although requests must be pushed", around)
			return
		}
		c.warn(aboutPublicName, a.URL, text, around)
	case proxy.LeadsElsewhere:
		c.warn(aboutPublicName, a.URL, fmt.Sprintf("%s leads neither to a gateway nor to the authorization server: %s", a.URL, a.Why), "look at DNS, and at what stands in front")
	default:
		c.warn(aboutPublicName, a.URL, fmt.Sprintf("%s is not reachable from this machine: %s", a.URL, a.Why), "try it from where a browser is")
	}
}

// pushPath says whether the push endpoint hides something of the authorization server's.
func (c *checking) pushPath(ctx context.Context, inspection *proxy.Inspection) {
	path := inspection.PushPath()
	if path == "" {
		return
	}
	taken, answer, err := inspection.PushPathTaken(ctx)
	switch {
	case err != nil:
		c.warn(aboutPushPath, path, fmt.Sprintf("%s, the push endpoint's path: whether the authorization server has something of its own there could not be told: %v", path, err), "ask again")
	case taken:
		c.warn(aboutPushPath, path, fmt.Sprintf("%s, the push endpoint's path, is one at which the authorization server answers %s itself, which the gateway hides", path, answer),
			"set PAR_PATH to another, unless that is nothing")
	default:
		c.ok(aboutPushPath, path, "%s, the push endpoint's path, is one at which the authorization server has nothing", path)
	}
}
