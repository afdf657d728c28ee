package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"

	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// collapse takes the request out of what the upstream sends to a browser in its flow: in its headers and in the attributes
// of a page, an address of ours that carries it gets a continuation in its place. An authorization response is left alone.
func (r *reply) collapse() error {
	if len(r.cookies) == 0 || r.response != nil || r.x.endpoints == nil {
		return nil
	}
	c := &collapser{reply: r, minted: map[string]pushstore.Reference{}}
	rules := &rewrite.Collapse{Origins: r.server.origins(r.x.endpoints), Path: r.x.path, Shorten: c.shorten}
	for name, values := range r.Header {
		r.collapseHeader(rules, name, values)
	}
	if r.page != nil && !isUTF16(r.page.text) {
		c.page(rules)
	}
	if c.failed != nil {
		return c.failed
	}
	if r.page == nil && r.collapsed && r.StatusCode >= 300 && r.StatusCode < 400 {
		r.dropBody() // many servers repeat the address there
	}
	return nil
}

// collapseHeader does it for one header: scripts are told addresses in others than Location. A cookie is the upstream's own
// memory, and may be signed.
func (r *reply) collapseHeader(rules *rewrite.Collapse, name string, values []string) {
	if name == "Set-Cookie" {
		return
	}
	for i, value := range values {
		shorten := rules.Value // of a header that holds something else than an address, nothing changes
		switch name {
		case "Location":
			shorten = rules.URL
		case "Refresh":
			shorten = rules.Refresh
		}
		if shorter, ok := shorten(value); ok {
			values[i], r.collapsed = shorter, true
		}
	}
}

// origins are the addresses by which the authorization server may call itself.
func (s *Server) origins(e *endpoints) []*url.URL {
	return []*url.URL{e.public, s.Issuer.UpstreamURL} // the issuer has the public origin
}

// collapser mints the continuations for one response.
type collapser struct {
	*reply
	minted map[string]pushstore.Reference // by flow and difference
	silent *bool                          // the browser's request mentions no request; nil: not looked at yet
	pure   bool                           // nor does anything else of it, and the upstream got nothing of the browser's
	failed error                          // the first failure; nothing of the response goes out then
}

// page takes the request out of the page's attributes.
func (c *collapser) page(rules *rewrite.Collapse) {
	text, changed := rewrite.EditPage(c.reply.page.text, func(a rewrite.Attribute) (string, bool) {
		rules.Base = a.Base
		switch {
		case a.Name == "value" || strings.HasPrefix(a.Name, "data-"):
			return rules.Value(a.Value)
		case a.Name == "content":
			if shorter, ok := rules.Refresh(a.Value); ok {
				return shorter, true
			}
			return rules.Value(a.Value)
		}
		return rules.URL(a.Value)
	})
	if changed && c.failed == nil {
		c.reply.page.text, c.reply.page.changed = text, true
	}
}

// shorten replaces the query of an address that names a flow of this browser.
func (c *collapser) shorten(a rewrite.Address) (string, bool) {
	if c.failed != nil {
		return "", false
	}
	flow, err := c.server.identify(c.Request, a.Pairs)
	if err != nil {
		c.failed = c.withhold(err)
		return "", false
	}
	if flow == nil {
		return c.strip(a)
	}
	pushed, beside := flow.pushed, ""
	difference := pushed.Difference(a.Pairs, c.trust(flow))
	if a.Path != "" && !c.x.endpoints.places.classify(a.Path).protected() {
		// The address is that of a page of the upstream's, which has parameters of its own.
		difference, beside = authorizationPart(difference), pushed.Others(a.Query)
	}
	ref, err := c.mint(flow, difference)
	if err != nil {
		c.failed = err
		return "", false
	}
	return shortQuery(flow.Party.ClientID, ref, beside), true
}

// shortQuery is the query of an authorization request by reference, made of its own two values and what stands beside.
func shortQuery(clientID string, ref pushstore.Reference, beside string) string {
	params := oauth.Params{
		{Name: oauth.ParamClientID, Value: clientID},
		{Name: oauth.ParamRequestURI, Value: oauth.RequestURIPrefix + string(ref)},
	}
	if beside != "" {
		beside = "&" + beside
	}
	return params.Encode() + beside
}

// strip takes away what an address has of a request beside a reference of ours, which is all that will be read.
func (c *collapser) strip(a rewrite.Address) (string, bool) {
	var kept oauth.Params
	carries, others := false, 0
	for _, pair := range a.Pairs {
		switch name := oauth.Fold(pair.Name); {
		case name == oauth.ParamRequestURI && hasURIPrefix(pair.Value):
			carries = true
			kept = append(kept, oauth.Param{Name: pair.Name, Value: pair.Value})
		case name == oauth.ParamClientID || !oauth.IsAuthorizationRequestName(name):
			kept = append(kept, oauth.Param{Name: pair.Name, Value: pair.Value})
		default:
			others++
		}
	}
	return kept.Encode(), carries && others > 0
}

// trust says how far the upstream's changes to an address of the flow are believed in this response.
func (c *collapser) trust(flow *openFlow) (trust rewrite.Trust) {
	if c.silent == nil {
		silent := !c.server.mentionsRequest(c.x, c.Request.Header.Get("Referer"))
		c.silent = &silent
		c.pure = silent && c.x.out != nil && c.x.out.pristine && !slices.ContainsFunc(valuesOf(c.x.cookies), c.server.vocabulary.Mentions)
	}
	trust.Prompt = *c.silent
	if own := c.x.flow; own != nil && own.Reference == flow.Reference {
		trust.Additions, trust.Known = c.pure, own.difference()
	}
	return trust
}

// mint returns the reference of a continuation, the same for all that differ in the same way. A login that adds something
// else each time goes on without it, once the flow has its number of continuations.
func (c *collapser) mint(flow *openFlow, difference rewrite.Difference) (pushstore.Reference, error) {
	base := rewrite.Difference{Without: difference.Without}
	if len(difference.Added) > 0 {
		// Made first, so that it is there when there is room for no other.
		if _, err := c.keep(flow, base, base); err != nil && !errors.Is(err, pushstore.ErrFull) {
			return "", err
		}
	}
	ref, err := c.keep(flow, difference, difference)
	if errors.Is(err, pushstore.ErrFull) && len(difference.Added) > 0 {
		c.server.Log.Warn("a flow has its number of continuations; what the authorization server adds is left out", zap.Inline(lineOf{c.x, pushstore.Digest(flow.Reference)}))
		ref, err = c.keep(flow, difference, base)
	}
	return ref, err
}

// keep makes the continuation with a difference, once in a response for those that wanted the same.
func (c *collapser) keep(flow *openFlow, wanted, difference rewrite.Difference) (pushstore.Reference, error) {
	key := string(flow.Reference) + wanted.Encode()
	if ref, ok := c.minted[key]; ok {
		return ref, nil
	}
	ref, err := c.server.continueFlow(c.Request, flow, difference)
	if err == nil {
		c.minted[key] = ref
	}
	return ref, err
}

// dropBody leaves a redirect with nothing but its headers.
func (r *reply) dropBody() {
	r.Body.Close()
	r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil
	dropDigests(r.Header)
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Trailer"} {
		r.Header.Del(name)
	}
	r.Header["Content-Length"] = []string{"0"}
}
