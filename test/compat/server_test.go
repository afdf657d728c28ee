//go:build compat

package compat

import (
	"cmp"
	"net"
	"testing"
)

// A server is an authorization server without PAR that somebody else wrote, and how a person logs in there.
type server struct {
	name    string // of its subtests
	title   string // in the table
	version func() (string, error)
	missing func() string // what the machine lacks for it; empty: nothing

	// start starts it and returns when it answers; the test's end ends it. What it returns makes it forget consents
	// that were given; nil: it keeps none beyond a session.
	start func(t *testing.T, p place) (forget func())

	authorize string // the path of its authorization endpoint
	token     string // and of its token endpoint
	metadata  string // the path of its issuer, "/" when that has none; empty: it publishes no metadata

	ownsHost bool // its issuer is the address that it is asked at, so that pargate must be told PUBLIC_URL

	scope    string // what is pushed
	idToken  bool   // whether it issues one
	host     string // what its public address is called; empty: 127.0.0.1
	user     string // empty: alice
	password string // empty: the registered one
	size     int    // bytes of the pushed request; zero: bigRequest

	// act says what a person does on a page that the usual rules do not understand; nil, or a zero request: as usual.
	act func(b *browser, p person, page *page) request

	// What it does by itself.

	noDeny       string // why a person cannot say no at its pages; empty: they can
	noWrong      string // why there is no wrong password
	formPost     bool   // answers response_mode=form_post with a page
	fragment     bool   // answers response_mode=fragment with one
	takesPOST    bool   // its authorization endpoint takes an authorization request by POST
	hidden       bool   // its own pages repeat the request in hidden fields
	escapesState bool   // of a state, form_post gives back only letters and digits as they were
	losesNonce   bool   // its consent page forgets the nonce
	losesPlus    bool   // a + in a state comes back as a space

	// How it answers questions about clients.

	probeAccept []string // what says as much as invalid_grant
	noBasic     bool     // it does not tell the client from others, even by Basic
	noPost      bool     // it takes no secret in the form
	noPublic    bool     // it has no public clients, or asks them for more than their client_id
	latePublic  bool     // it ignores a public client's secret, so that one with a secret must have pushed before

	// What the table says of it.

	setup string   // what was set at the server
	notes []string // what else is to know
	asked []string // what else is to know of questions about clients
}

// place is where a server listens, and what it must believe its address to be: the gateway's or its own.
type place struct {
	addr   string // host:port
	public string // an origin
}

// What is registered at every server.
const (
	clientID     = "web"
	clientSecret = "s3cret"
	publicID     = "spa" // a client without a secret, where the server has such
	userName     = "alice"
	userPassword = "korrektes pferd ä" // with what a form must escape

	redirectURI = "https://app.example/cb/Xq7redirecturi4Wz"
	otherURI    = "https://app.example/other" // registered too: where a changed request would like to end
)

// bigRequest is how many bytes of a query most servers are given.
const bigRequest = 8000

// servers returns every server, in the order of the table.
func servers() []*server {
	return []*server{
		oidcProvider9(), oidcProvider6(), oauth2orize(), expressOAuthServer(), zitadelProvider(), zitadelServer(), goOAuth2(),
		djangoOAuthToolkit(), lemonLDAP(), glewlwyd(), authlib(), doorkeeperSession(), doorkeeperAddress(),
	}
}

// serversAsked returns those that are asked about clients: every server, and one more as it must be set up for that.
func serversAsked() []*server { return append(servers(), goOAuth2OptionalPKCE()) }

// at returns the origin that browsers and clients know, for what listens on addr.
func (s *server) at(addr string) string {
	if s.host == "" {
		return "http://" + addr
	}
	_, port, _ := net.SplitHostPort(addr)
	return "http://" + net.JoinHostPort(s.host, port)
}

func (s *server) userName() string { return cmp.Or(s.user, userName) }

func (s *server) userPassword() string { return cmp.Or(s.password, userPassword) }

// need skips the test when the machine lacks what the server needs.
func (s *server) need(t *testing.T) {
	t.Helper()
	if s.missing == nil {
		return
	}
	if what := s.missing(); what != "" {
		t.Skipf("%s: skipped (%s is not installed)", s.title, what)
	}
}
