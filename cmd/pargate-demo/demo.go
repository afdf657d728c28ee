package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
)

// setup is what a demo is started with.
type setup struct {
	redisURL string    // empty: memory
	log      io.Writer // where the gateway logs

	// What follows is for tests that want a step to fail.

	optional bool                            // PAR is not required
	meddle   func(http.Handler) http.Handler // between the gateway and the legacy server; nil: nothing
}

// demo is everything, running.
type demo struct {
	legacySite, gatewaySite, clientSite *site

	legacy    *tap // what reaches the legacy server
	gateway   *gateway
	client    *client
	clientTap *tap            // what the client sends
	transport *http.Transport // the client's
}

// clientID is the client's name at the legacy server and at the gateway.
const clientID = "pargate-demo"

// wellKnown is where an issuer's metadata lies (OpenID Connect Discovery §4).
const wellKnown = "/.well-known/openid-configuration"

// start listens, builds and serves, in the order of dependence. Whatever has been started is ended by close, and when
// start fails.
func start(ctx context.Context, s setup) (_ *demo, err error) {
	d := &demo{legacy: &tap{}, clientTap: &tap{}, transport: newTransport()}
	defer func() {
		if err != nil {
			d.close()
		}
	}()

	// 1. The addresses, because each of the three must know another's.
	for _, at := range []**site{&d.gatewaySite, &d.legacySite, &d.clientSite} {
		if *at, err = listen(ctx); err != nil {
			return nil, err
		}
	}
	registration := registration{id: clientID, secret: rand.Text(), redirectURI: d.clientSite.String() + callbackPath}

	// 2. The legacy server. It believes that the gateway's address is its own: that is how it comes into its metadata,
	// its tokens and its links.
	legacy, err := newLegacy(d.gatewaySite.String(), registration)
	if err != nil {
		return nil, fmt.Errorf("legacy server: %w", err)
	}
	legacy = d.legacy.around(legacy)
	if s.meddle != nil {
		legacy = s.meddle(legacy)
	}
	d.legacySite.serve(legacy)

	// 3. The gateway in front of it.
	d.gateway, err = startGateway(ctx, d.legacySite.url, d.gatewaySite.url, registration, s)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	d.gatewaySite.serve(d.gateway.server)
	if err := d.gateway.wait(ctx); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}

	// 4. The client, which knows of the gateway alone.
	via := &http.Client{Transport: d.clientTap.inFrontOf(d.transport)}
	d.client, err = newClient(ctx, d.gatewaySite.String(), registration, via)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	d.clientSite.serve(d.client)
	return d, nil
}

// close ends what was started, in reverse.
func (d *demo) close() {
	d.clientSite.close()
	d.transport.CloseIdleConnections()
	d.gatewaySite.close()
	d.gateway.close()
	d.legacySite.close()
}

// registration is the client as both servers know it.
type registration struct {
	id, secret, redirectURI string
}
