package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// PublicAnswer is where the public name leads from this machine.
type PublicAnswer struct {
	URL          string
	Leads        Leads
	Why          string              // in words, where it leads to no gateway
	Certificates []*x509.Certificate // that are shown there; nil: none
}

// Leads is one of the places to which the public name may lead.
type Leads int

const (
	LeadsNowhere   Leads = iota // nobody answers
	LeadsElsewhere              // who answers is neither
	LeadsToGateway              // to one that adds the push endpoint
	LeadsAround                 // to the authorization server, without a gateway
)

// FollowPublicName asks at the public name, over the network as a browser does, for the metadata and the push endpoint.
// That tells a gateway from the authorization server that it should stand in front of.
func (i *Inspection) FollowPublicName(ctx context.Context) PublicAnswer {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	p := &publicName{Inspection: i, transport: newTransport(inspectTryTime, i.server.UpstreamRoots)}
	defer p.transport.CloseIdleConnections()
	a := PublicAnswer{URL: i.known.public.String()}
	if strings.HasPrefix(i.known.source, "/") {
		a.Leads, a.Why = p.byMetadata(ctx)
	}
	if a.Leads == LeadsNowhere && a.Why == "" {
		a.Leads, a.Why = p.byPush(ctx)
	}
	a.Certificates = p.certificates
	return a
}

// publicName is one run of FollowPublicName.
type publicName struct {
	*Inspection
	transport    *http.Transport
	certificates []*x509.Certificate
}

// get fetches a path. Nothing of this process is in the request: it is a stranger's.
func (p *publicName) get(ctx context.Context, path string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTryTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.known.public.String()+path, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header = http.Header{"User-Agent": {"pargate"}, "Accept": {"application/json"}}
	res, err := p.transport.RoundTrip(req)
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		p.certificates = refused.UnverifiedCertificates
	}
	if err != nil {
		return nil, nil, errors.New(whyNoAnswer(err))
	}
	defer res.Body.Close()
	if res.TLS != nil {
		p.certificates = res.TLS.PeerCertificates
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxMetadata))
	if err != nil {
		return nil, nil, errors.New(whyNoAnswer(err))
	}
	return res, body, nil
}

// byMetadata tells by the document that is published there. An empty reason with LeadsNowhere means that it does not tell.
func (p *publicName) byMetadata(ctx context.Context) (Leads, string) {
	res, body, err := p.get(ctx, p.known.source)
	if err != nil {
		return LeadsNowhere, err.Error()
	}
	var says members
	if res.StatusCode != http.StatusOK || json.Unmarshal(body, &says) != nil || says.Issuer == "" {
		return LeadsElsewhere, fmt.Sprintf("%s is answered by %s, and not with the metadata of %s", p.known.source, newAnswer(res), p.known.issuer)
	}
	switch {
	case says.Issuer != p.known.issuer:
		return LeadsElsewhere, "the metadata there is that of another issuer"
	case p.known.push != "" && says.PushEndpoint == p.known.pushURL():
		return LeadsToGateway, ""
	case p.known.native != "" || !p.server.PatchMetadata:
		return LeadsNowhere, "" // a gateway would leave it as it is
	}
	return LeadsAround, "the metadata there has no pushed_authorization_request_endpoint"
}

// byPush tells by the push endpoint, which takes no GET.
func (p *publicName) byPush(ctx context.Context) (Leads, string) {
	if p.known.push == "" {
		return LeadsElsewhere, "the authorization server's own push endpoint has the path by which a gateway would be known"
	}
	res, body, err := p.get(ctx, p.known.push)
	if err != nil {
		return LeadsNowhere, err.Error()
	}
	var told struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &told) // another's answer has another form
	switch {
	case res.StatusCode == http.StatusMethodNotAllowed && strings.Contains(res.Header.Get("Allow"), http.MethodPost) && told.Error == "invalid_request":
		return LeadsToGateway, ""
	case res.StatusCode == http.StatusServiceUnavailable:
		return LeadsElsewhere, "the push endpoint is answered by 503: a gateway that is not ready, or something else"
	}
	return LeadsAround, fmt.Sprintf("the push endpoint is answered by %s", newAnswer(res))
}

// PushPathTaken reports whether the upstream has something of its own at the path of the push endpoint, and how it answers
// there. A path that cannot be anything's is answered otherwise then.
func (i *Inspection) PushPathTaken(ctx context.Context) (taken bool, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	if i.known.push == "" {
		return false, "", nil
	}
	here, err := i.ask(ctx, i.known.push, "", "")
	if err != nil {
		return false, "", err
	}
	nothing, err := i.ask(ctx, i.known.push+"-"+strings.ToLower(rand.Text()[:12]), "", "")
	if err != nil {
		return false, "", err
	}
	return here.status != http.StatusNotFound && here.marks != nothing.marks, here.String(), nil
}
