package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"pargate/pushstore"
)

// setup is what a demo is started with.
type setup struct {
	redisURL string    // empty: memory
	log      io.Writer // where the gateway logs

	server   *serverKind   // nil: the first one
	request  requestKind   // empty: bigRequest
	direct   bool          // there is no gateway, and the client does not push
	lifetime time.Duration // of a request_uri; zero means 60 s
	home     string        // the page that the client links to at the end; empty: none
	page     string        // what a sign-in must bring to begin, which it does once; empty: nothing, and as often as one likes
	whole    bool          // the film does not end with a sign-in

	// What follows is for tests that want a step to fail.

	optional bool                                   // PAR is not required
	meddle   func(http.Handler) http.Handler        // between the gateway and the legacy server; nil: nothing
	front    func(*demo, http.Handler) http.Handler // in front of the gateway, where the taps see what it answers; nil: nothing
	keep     func(pushstore.Store) pushstore.Store  // in front of the gateway's store; nil: nothing
}

// demo is everything, running.
type demo struct {
	server                                               *serverKind
	legacySite, applicationSite, gatewaySite, clientSite *site

	film       *film
	legacy     *tap // what reaches the legacy server
	wire       *relay
	gateway    *gateway
	client     *client
	clientTap  *tap            // what the client sends
	transport  *http.Transport // the client's
	believed   func(code string) map[string]string
	authorizes string // the path of the authorization endpoint
}

// The names of the client at the legacy server and at the gateway, and of another one there.
const (
	clientID      = "pargate-demo"
	otherClientID = "another-client"
)

// wellKnown is where an issuer's metadata lies (OpenID Connect Discovery §4).
const wellKnown = "/.well-known/openid-configuration"

// start listens, builds and serves, in the order of dependence. Whatever has been started is ended by close, and when
// start fails.
func start(ctx context.Context, s setup) (_ *demo, err error) {
	if s.server == nil {
		s.server = serverKinds[0]
	}
	d := &demo{server: s.server, transport: newTransport()}
	defer func() {
		if err != nil {
			d.close()
		}
	}()

	// 1. The addresses, because each of the three must know another's.
	for _, at := range []**site{&d.gatewaySite, &d.legacySite, &d.applicationSite, &d.clientSite} {
		if *at, err = listen(ctx); err != nil {
			return nil, err
		}
	}
	registration, err := newRegistration(d.clientSite.String() + callbackPath)
	if err != nil {
		return nil, err
	}
	d.film = newFilm(registration.redirectURI)
	d.film.page, d.film.whole = s.page, s.whole
	d.legacy, d.clientTap = &tap{film: d.film, at: atServer}, &tap{film: d.film, at: atClient}
	issuer := d.gatewaySite
	if s.direct {
		issuer = d.legacySite
	}

	// 2. The legacy server. It believes that the gateway's address is its own: that is how it comes into its metadata,
	// its tokens and its links.
	if err := d.startLegacy(issuer.String(), registration, s); err != nil {
		return nil, fmt.Errorf("legacy server: %w", err)
	}

	// 3. The gateway in front of it.
	if !s.direct {
		if err := d.startGateway(ctx, registration, s); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}

	// 4. The client, which knows of the issuer alone.
	via := &http.Client{Transport: d.clientTap.inFrontOf(d.transport)}
	if d.client, err = newClient(ctx, issuer.String(), registration, via, s); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	d.client.film = d.film
	d.authorizes = d.client.authorizationPath()
	front := &tap{film: d.film, at: atClient}
	d.clientSite.serve(front.around(d.client))
	return d, nil
}

func (d *demo) startLegacy(issuer string, r registration, s setup) error {
	l, err := s.server.start(issuer, r)
	if err != nil {
		return err
	}
	handler := d.legacy.around(l.Handler)
	if s.meddle != nil {
		handler = s.meddle(handler)
	}
	application := ""
	if l.application != nil {
		application = d.applicationSite.String()
		d.applicationSite.serve((&tap{film: d.film, at: atServer}).around(l.application))
	}
	if l.listening != nil {
		l.listening(d.legacySite.String(), application)
	}
	d.believed = l.believed
	d.legacySite.serve(handler)
	return nil
}

func (d *demo) startGateway(ctx context.Context, r registration, s setup) (err error) {
	if d.wire, err = newRelay(ctx, d.legacySite.url.Host, d.film); err != nil {
		return err
	}
	if d.gateway, err = startGateway(ctx, d.wire.url(), d.gatewaySite.url, r, s, d.film); err != nil {
		return err
	}
	var handler http.Handler = d.gateway.server
	if s.front != nil {
		handler = s.front(d, handler)
	}
	d.gatewaySite.serve((&tap{film: d.film, at: atGateway}).around(handler))
	return d.gateway.wait(ctx)
}

// begins is the address at which a sign-in begins.
func (d *demo) begins() string {
	if d.film.page == "" {
		return d.clientSite.String() + "/"
	}
	return d.clientSite.String() + "/?" + url.Values{pageParam: {d.film.page}}.Encode()
}

// close ends what was started, in reverse.
func (d *demo) close() {
	d.clientSite.close()
	d.transport.CloseIdleConnections()
	d.gatewaySite.close()
	d.gateway.close()
	d.wire.close()
	d.legacySite.close()
	d.applicationSite.close()
}

// registration is the client as both servers know it. What it signs with is known to the gateway alone.
type registration struct {
	id, secret, redirectURI string
	key                     *ecdsa.PrivateKey
}

func newRegistration(redirectURI string) (registration, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return registration{id: clientID, secret: rand.Text(), redirectURI: redirectURI, key: key}, err
}
