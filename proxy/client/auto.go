package client

import (
	"context"
	"errors"

	"pargate/proxy/oauth"
)

// Auto authenticates the clients of a registry here, and asks the upstream about all others.
type Auto struct {
	File     *Authenticator
	Upstream *Delegate
}

// Authenticate returns the client that cred proves (RFC 9126 §2.1, step 1). A name that differs from that of a
// registered client in case or blanks alone is not asked about: an upstream that compares names generously would answer
// for the registered one.
func (a Auto) Authenticate(ctx context.Context, cred Credentials, at Server) (*Client, error) {
	ids, err := cred.clientIDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if a.File.Clients.Resembles(id) {
			return a.File.Authenticate(ctx, cred, at)
		}
	}
	return a.Upstream.Authenticate(ctx, cred)
}

// Ask asks the upstream about every client. What the registry says of one beside its credentials still counts.
type Ask struct {
	Clients  *Registry
	Upstream *Delegate
}

// Authenticate returns the client that cred proves to the upstream.
func (a Ask) Authenticate(ctx context.Context, cred Credentials, _ Server) (*Client, error) {
	ids, err := cred.clientIDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if a.Clients.Resembles(id) && a.Clients.Lookup(id) == nil { // the upstream may take it for the registered one
			return nil, oauth.InvalidClient("client authentication failed", cred.Challenged()).Because(errors.New("the client_id is a registered one in another spelling")).ChangedBy("client_id in CLIENTS_FILE")
		}
	}
	c, err := a.Upstream.Authenticate(ctx, cred)
	if err != nil {
		return nil, err
	}
	if registered := a.Clients.Lookup(c.ID); registered != nil {
		described := *registered
		described.AuthMethods = c.AuthMethods
		return &described, nil
	}
	return c, nil
}
