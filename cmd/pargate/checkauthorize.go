package main

import (
	"context"
	"fmt"

	"pargate/config"
	"pargate/proxy"
)

// post says whether UPSTREAM_AUTHORIZE_METHOD=POST works, which matters most where it is set.
func (c *checking) post(ctx context.Context, inspection *proxy.Inspection) {
	a, err := inspection.TakesPOST(ctx)
	byPOST := c.cfg.UpstreamAuthorizeMethod == config.MethodPost
	var text, fix string
	switch {
	case err != nil:
		text, fix = fmt.Sprintf("upstream: whether it takes an authorization request by POST could not be told: %v", err), "ask again"
	case a.Taken:
		text = fmt.Sprintf("upstream: %s answers a POST as it answers a GET (%s)", a.Path, a.Post)
		if !byPOST {
			text += "; UPSTREAM_AUTHORIZE_METHOD=POST is possible, where a POST begins an authorization and is not the consent to it"
		}
		c.ok(aboutPost, "", "%s", text)
		return
	case a.Refused:
		text, fix = fmt.Sprintf("upstream: %s takes no authorization request by POST: it answers %s, and %s to a GET", a.Path, a.Post, a.Get), "set UPSTREAM_AUTHORIZE_METHOD=GET"
	default:
		text, fix = fmt.Sprintf("upstream: whether %s takes an authorization request by POST could not be told: it answers %s, and %s to a GET, for a client that does not exist",
			a.Path, a.Post, a.Get), "try a login"
	}
	switch {
	case !byPOST:
		c.ok(aboutPost, "", "%s", text)
	case a.Refused:
		c.fail(aboutPost, "", text, fix)
	default:
		c.warn(aboutPost, "", text, fix)
	}
}

// pkce says whether the authorization server insists on a code_challenge. That shows with real clients alone, and not at
// every server.
func (c *checking) pkce(ctx context.Context, inspection *proxy.Inspection) {
	answers := inspection.EnforcesPKCE(ctx)
	if len(answers) == 0 {
		c.ok(aboutPKCE, "", "PKCE: whether it is enforced could not be told: it shows with a client of CLIENTS_FILE that has redirect_uris")
		return
	}
	for _, a := range answers {
		kind := "with credentials"
		if a.Public {
			kind = "without credentials"
		}
		switch about := fmt.Sprintf("of %+q, a client %s", a.Client, kind); a.Enforced {
		case proxy.PKCEEnforced:
			c.ok(aboutPKCE, a.Client, "PKCE: enforced %s (%s)", about, a.Why)
		case proxy.PKCENotEnforced:
			c.warn(aboutPKCE, a.Client, fmt.Sprintf("PKCE: not enforced %s: a request without code_challenge is taken (%s)", about, a.Why),
				"require it at the authorization server, where that can be done")
		case proxy.PKCEGranted:
			c.fail(aboutPKCE, a.Client, fmt.Sprintf("PKCE: the authorization server has answered a request %s with %s", about, a.Why),
				"find out whom it takes this machine for")
		default:
			c.ok(aboutPKCE, a.Client, "PKCE: whether it is enforced %s could not be told: %s", about, a.Why)
		}
	}
}
