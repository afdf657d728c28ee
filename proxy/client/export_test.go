package client

import "net/http"

// CountWork calls f for each hash, signature and chain that is computed, with its name.
func (a *Authenticator) CountWork(f func(what string)) { a.work = f }

// SetTransport replaces what fetches key sets.
func (a *Authenticator) SetTransport(t http.RoundTripper) { a.fetcher.client.Transport = t }

// CheckPublic refuses an address that is not one of the public Internet.
var CheckPublic = checkPublic

// MaxVerified is how many secrets are known to be right at once.
const MaxVerified = maxVerified
