package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"

	"pargate/proxy/client"
	"pargate/pushstore"
)

// PKCEAnswer is whether the upstream insists on a code_challenge (RFC 7636) of one client, as far as it says so before
// anybody has logged in.
type PKCEAnswer struct {
	Client   string // a client of the file
	Public   bool   // it has no credentials
	Enforced PKCE
	Why      string // what the upstream answered, in words
}

// PKCE is one of what can be found out.
type PKCE int

const (
	PKCEUnknown     PKCE = iota // it does not say
	PKCEEnforced                // a request without a code_challenge is refused, and one with is not
	PKCENotEnforced             // it is taken as far as it can be without a user
	PKCEGranted                 // the upstream has signed somebody in who is nobody
)

// EnforcesPKCE asks for an authorization of one public client of the file and one with credentials, each with a
// code_challenge and then without. Nobody can redeem a code of the first request, since its verifier is thrown away; if
// there is one all the same, no other is asked for.
func (i *Inspection) EnforcesPKCE(ctx context.Context) (all []PKCEAnswer) {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	asked := map[bool]bool{} // by Public
	for _, c := range i.server.Clients.All() {
		if asked[c.Public()] || len(c.RedirectURIs) == 0 || c.ResponseTypes != nil && !slices.Contains(c.ResponseTypes, "code") {
			continue
		}
		asked[c.Public()] = true
		answer := i.pkceOf(ctx, c)
		if all = append(all, answer); answer.Enforced == PKCEGranted {
			break
		}
	}
	return all
}

func (i *Inspection) pkceOf(ctx context.Context, c *client.Client) PKCEAnswer {
	a := PKCEAnswer{Client: c.ID, Public: c.Public()}
	with, err := i.trial(ctx, c, true)
	if err != nil {
		a.Why = err.Error()
		return a
	}
	if with.verdict == verdictGranted {
		a.Enforced, a.Why = PKCEGranted, with.why
		return a
	}
	without, err := i.trial(ctx, c, false)
	if err != nil {
		a.Why = err.Error()
		return a
	}
	a.Why = without.why
	switch {
	case without.verdict == verdictGranted:
		a.Enforced = PKCEGranted
	case without.verdict == verdictRejected && with.verdict != verdictRejected:
		a.Enforced = PKCEEnforced
	case without.verdict == verdictNone && without.status/100 == 4 && with.status/100 < 4:
		a.Enforced, a.Why = PKCEEnforced, fmt.Sprintf("%d without, %d with", without.status, with.status)
	case without.verdict == verdictAccepted:
		a.Enforced = PKCENotEnforced
	case without.verdict == verdictRejected:
		a.Why = "it refuses the request with a code_challenge too: " + with.why
	default:
		a.Why = "it answers both alike before a login: " + without.why
	}
	return a
}

// trial asks for an authorization without a user. prompt=none keeps a server that honours it from beginning a login.
func (i *Inspection) trial(ctx context.Context, c *client.Client, challenged bool) (opinion, error) {
	request := url.Values{"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "state": {rand.Text()},
		"nonce": {rand.Text()}, "prompt": {"none"}}
	switch {
	case c.Scope == nil || slices.Contains(c.Scope, "openid"):
		request.Set("scope", "openid")
	case len(c.Scope) > 0:
		request.Set("scope", cmp.Or(c.Scope...))
	}
	if challenged {
		digest := sha256.Sum256([]byte(rand.Text() + rand.Text())) // the verifier, which nobody keeps
		request.Set("code_challenge", base64.RawURLEncoding.EncodeToString(digest[:]))
		request.Set("code_challenge_method", "S256")
	}
	path, query := i.known.authorize[0], request.Encode()
	a, err := i.ask(ctx, path, joinQueries(i.known.authorizeQuery[path], query), "")
	if err != nil {
		return opinion{}, err
	}
	o := (&dryAnswer{Response: a.Response, server: i.server, known: i.known, body: a.body, whole: a.whole,
		request: pushstore.Request{Query: query, RedirectURI: c.RedirectURIs[0]}}).opinion()
	o.status, o.why = a.status, forTerminal(o.why, 300)
	return o, nil
}
