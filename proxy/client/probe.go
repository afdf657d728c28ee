package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// Endpoints are the upstream's endpoints that authenticate clients, as URLs to send requests to.
type Endpoints struct {
	Token         string // empty: not known yet, and nobody can be authenticated
	Revocation    string // RFC 7009; empty: there is none
	Introspection string // RFC 7662; empty: there is none
}

// probe is a way to ask the upstream about credentials: a request that a client may send and that cannot succeed.
type probe int

const ( // in the order of metrics.Probe
	codeProbe          probe = iota // redeems a code that nobody was given
	refreshProbe                    // redeems a refresh token that nobody was given
	revocationProbe                 // revokes a token that nobody was given
	introspectionProbe              // asks about a token that nobody was given
)

// probes are in the order in which they are tried.
var probes = []probe{codeProbe, refreshProbe, revocationProbe, introspectionProbe}

func (p probe) atToken() bool { return p == codeProbe || p == refreshProbe }

// String names p for the log and for reports.
func (p probe) String() string {
	return [...]string{"token endpoint with a made-up code", "token endpoint with a made-up refresh token",
		"revocation endpoint", "introspection endpoint"}[p]
}

func (e Endpoints) of(p probe) string {
	return [...]string{e.Token, e.Token, e.Revocation, e.Introspection}[p]
}

// nobodysURI is a redirect_uri that is no client's (RFC 2606 §2).
const nobodysURI = "https://pargate.invalid/callback"

// form returns what p asks, without credentials. There is no code_verifier: one upstream takes a client that sends
// one for a public client, and does not ask for its secret.
func (p probe) form(redirectURI string) oauth.Params {
	switch p {
	case codeProbe:
		// Without code or redirect_uri some upstreams complain before they look at the client.
		return oauth.Params{{Name: "grant_type", Value: "authorization_code"}, {Name: "code", Value: rand.Text()},
			{Name: oauth.ParamRedirectURI, Value: cmp.Or(redirectURI, nobodysURI)}}
	case refreshProbe:
		return oauth.Params{{Name: "grant_type", Value: "refresh_token"}, {Name: "refresh_token", Value: rand.Text()}}
	}
	return oauth.Params{{Name: "token", Value: rand.Text()}}
}

// site is a probe at the place to which it is sent.
type site struct {
	probe probe
	url   string
}

// request builds the request that puts q at s: with one client authentication method and one client_id, whatever the
// client has sent.
func (s site) request(ctx context.Context, q question, redirectURI string) (*http.Request, error) {
	form := s.probe.form(redirectURI)
	switch {
	case q.asserts():
		form = append(form, oauth.Param{Name: oauth.ParamClientID, Value: q.id},
			oauth.Param{Name: oauth.ParamClientAssertionType, Value: assertionType},
			oauth.Param{Name: oauth.ParamClientAssertion, Value: q.assertion.value().text})
	case q.method != MethodBasic:
		form = append(form, oauth.Param{Name: oauth.ParamClientID, Value: q.id})
	}
	if q.method == MethodPost {
		form = append(form, oauth.Param{Name: oauth.ParamClientSecret, Value: q.secret.value()})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the endpoint's URL is malformed")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pargate")
	if q.method == MethodBasic {
		req.SetBasicAuth(q.id, q.secret.value())
	}
	return req, nil
}

// maxAnswer bounds the body of an answer, in bytes.
const maxAnswer = 64 << 10

// send asks q at s, and reads the answer.
func (d *Delegate) send(ctx context.Context, s site, q question) answer {
	a := d.exchange(ctx, s, q)
	d.Metrics.Probes.Inc(metrics.Probe(s.probe), a.counted(s.probe, d.Accept))
	return a
}

// counted is what the answer to p counts as.
func (a answer) counted(p probe, accept []string) metrics.Answer {
	switch v := a.verdict(p, accept); {
	case v == refused:
		return metrics.AnswerRefused
	case v == candidate:
		return metrics.AnswerCandidate
	case a.trouble():
		return metrics.AnswerTrouble
	}
	return metrics.AnswerCannotTell
}

func (d *Delegate) exchange(ctx context.Context, s site, q question) answer {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	req, err := s.request(ctx, q, q.redirectURI)
	if err != nil {
		return answer{failure: err}
	}
	if d.Prepare != nil {
		d.Prepare(req)
	}
	res, err := d.Transport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return answer{failure: kindOf(err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{failure: kindOf(err)}
	case len(body) > maxAnswer:
		return answer{failure: errors.New("the answer is too long")}
	}
	return readAnswer(res.StatusCode, res.Header, body, d.Now())
}

// kindOf says for the log why there is no answer. The error's own text may repeat what was sent.
func kindOf(err error) error {
	var timeout interface{ Timeout() bool }
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("timeout")
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	}
	return errors.New("no usable answer")
}
