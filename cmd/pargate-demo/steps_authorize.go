package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// hopsBeforeCode are the browser's exchanges up to the one that redirected it to the client with the answer.
func (s *story) hopsBeforeCode() []exchange {
	var hops []exchange
	for _, x := range s.browser.tap.all(nil) {
		if x.url.Host == s.demo.clientSite.url.Host && x.url.Path == callbackPath {
			break
		}
		hops = append(hops, x)
	}
	return hops
}

// shortRequest: what the browser is sent off with.
func (s *story) shortRequest(context.Context) error { return s.addressBar(s.hopsBeforeCode()) }

// hostOf says in a word whose address the browser has asked.
func (s *story) hostOf(x exchange) string {
	switch x.url.Host {
	case s.demo.gatewaySite.url.Host:
		return "gateway"
	case s.demo.clientSite.url.Host:
		return "client"
	case s.demo.legacySite.url.Host:
		return "server"
	}
	return "other"
}

// addressBar: the browser was sent off with two parameters.
func (s *story) addressBar(hops []exchange) error {
	var atGateway []exchange
	var elsewhere []string
	for _, x := range hops {
		switch s.hostOf(x) {
		case "gateway":
			atGateway = append(atGateway, x)
		case "client":
		default:
			elsewhere = append(elsewhere, x.url.String())
		}
	}
	s.same("it went to the client and the gateway, never to the legacy server's own address", "", strings.Join(elsewhere, ", "))
	if len(atGateway) == 0 {
		_, err := s.only("the browser came to the gateway", nil)
		return err
	}
	s.short = atGateway[0]
	got, err := parse(s.short.url.RawQuery)
	if err != nil {
		return err
	}
	s.plain = strings.TrimSuffix(s.short.url.String(), s.short.url.RawQuery) + string(s.push.body)
	s.same("the client sent it off with client_id and request_uri alone", params{{"client_id", clientID}, {"request_uri", s.requestURI}}.lines(), got.lines())
	s.holds(fmt.Sprintf("its URL has %d bytes; with the request in it, it would have %d", s.short.bytesOfURL(), len(s.plain)),
		s.short.bytesOfURL() < len(s.plain), "less than "+inBytes(len(s.plain)), inBytes(s.short.bytesOfURL()))
	// The second request, after the cookie, is the same with a marker that is always the same.
	for _, x := range atGateway[1:] {
		if x.url.Path == s.short.url.Path && x.url.Query().Has("request_uri") {
			s.same("after the gateway's cookie it came again, with the constant marker pargate=1", s.short.url.RawQuery+"&pargate=1", x.url.RawQuery)
		}
	}
	return nil
}

// opening: the gateway opens the request once it knows the browser.
func (s *story) opening(context.Context) error {
	found := s.arrows(5, atGateway, atStore)
	if !s.holds("the gateway has opened the request", len(found) > 0, "one arrow to the store", "none") {
		return nil
	}
	s.same("the store gave it what was pushed", s.pushed.lines(), asParams(found[0].Sides[1].Params).lines())
	return nil
}

// loginPage: what the server answers to the request, and what of it the browser is given.
func (s *story) loginPage(context.Context) error {
	fromServer, toBrowser := s.arrows(7, atServer, atGateway), s.arrows(7, atGateway, atBrowser)
	if !s.holds("the server has answered, and the browser was told", len(fromServer) > 0 && len(toBrowser) > 0, "an arrow each", "none") {
		return nil
	}
	location := toBrowser[0].seen.answerHeader.Get("Location")
	s.seen("the browser goes to", location, inBytes(len(location)))
	s.same("nothing of the request is in that address", "", sightings(s.pushed, location))
	return nil
}

// signingIn: the login form is the server's, and reaches it as it was sent.
func (s *story) signingIn(context.Context) error {
	sent, got := s.arrows(8, atBrowser, atGateway), s.arrows(8, atGateway, atServer)
	if !s.holds("the browser has sent the login form", len(sent) > 0 && len(got) > 0, "an arrow each", "none") {
		return nil
	}
	s.sameSecret("the server got it byte for byte: "+inBytes(len(sent[0].seen.body)), string(sent[0].seen.body), string(got[0].seen.body))
	return nil
}

// forwarded: the legacy server gets an ordinary authorization request, exactly as pushed, and no secret.
func (s *story) forwarded(context.Context) error {
	x, err := s.only("the legacy server got one authorization request", s.demo.legacy.all(to(http.MethodGet, s.short.url.Path)))
	if err != nil {
		return err
	}
	s.authorize = x
	got, err := parse(x.url.RawQuery)
	if err != nil {
		return err
	}
	s.seen("the server got", x.method+" "+x.target, inBytes(len(x.target)))
	if s.same(fmt.Sprintf("the names are those that were pushed: %d", len(got)), s.pushed.names(), got.names()) {
		s.same(fmt.Sprintf("every value is, byte for byte, what was pushed: %d bytes, %d characters beyond ASCII", got.bytes(), got.beyondASCII()),
			s.pushed.lines(), got.lines())
	}
	secret := s.demo.client.oauth.ClientSecret
	text := x.target + string(x.body) + headerText(x.header)
	s.holds("no client_secret came along", !strings.Contains(text, secret) && x.header.Get("Authorization") == "" && got.get("client_secret") == "",
		"no secret, no Authorization", "there is one")
	return nil
}

// noSightings: of all that the browser saw before the authorization response, nothing holds a canary.
func (s *story) noSightings(context.Context) error {
	hops := s.hopsBeforeCode()
	var urls, forms, pages, headers []string
	for i, x := range hops {
		urls = append(urls, x.url.String())
		forms = append(forms, string(x.body))
		if i < len(hops)-1 { // the last one is answered with the code and the state
			pages = append(pages, string(x.answer))
			headers = append(headers, headerText(x.answerHeader))
		}
	}
	s.say("looked for in what the browser saw before the code:")
	s.say("  " + strings.Join(canaries, ", "))
	s.same(fmt.Sprintf("none of their values is in the browser's %d URLs", len(urls)), "", sightings(s.pushed, urls...))
	s.same("none in the form it submitted", "", sightings(s.pushed, forms...))
	s.same(fmt.Sprintf("none in the %d pages and redirects it was given", len(pages)), "", sightings(s.pushed, pages...))
	s.same("none in the headers of those", "", sightings(s.pushed, headers...))
	return nil
}

func headerText(h http.Header) string {
	var b strings.Builder
	h.Write(&b)
	return b.String()
}

// code: the authorization response, on its way to the client.
func (s *story) code(context.Context) error {
	hops := s.hopsBeforeCode()
	s.response = hops[len(hops)-1]
	location := s.response.location()
	if location == nil || len(hops) == len(s.browser.tap.all(nil)) {
		_, err := s.only("the browser was sent to the client", nil)
		return err
	}
	given := location.Query()
	fromServer, err := s.serversResponse()
	if err != nil {
		return err
	}
	s.seen("the server's redirect", withoutSecrets(fromServer), inBytes(len(fromServer.String())))
	s.seen("the browser's redirect", withoutSecrets(location), inBytes(len(location.String())))
	s.sameSecret("the code is the server's: "+mask(given.Get("code")), fromServer.Query().Get("code"), given.Get("code"))
	s.holds("there is one", given.Get("code") != "", "a code", "")
	s.same("state is the one that was pushed", s.pushed.get("state"), given.Get("state"))
	s.same("iss is the issuer (RFC 9207)", s.issuer, given.Get("iss"))
	s.same("it goes to the redirect_uri that was pushed", s.pushed.get("redirect_uri"), beforeQuery(location))
	caching := s.response.answerHeader.Get("Cache-Control")
	s.holds("Cache-Control: "+caching, strings.Contains(caching, "no-store"), "no-store", caching)
	s.seen("of the request in it", sightings(s.pushed, location.String())+": what OAuth 2.0 sends back", "")
	return nil
}

// serversResponse is the redirect with which the legacy server has answered the authorization request.
func (s *story) serversResponse() (*url.URL, error) {
	x, err := s.only("the legacy server has issued one code", s.demo.legacy.all(func(x exchange) bool {
		to := x.location()
		return to != nil && to.Query().Has("code")
	}))
	if err != nil {
		return nil, err
	}
	to := x.location()
	if to == nil {
		return nil, errors.New("no redirect")
	}
	return to, nil
}

func beforeQuery(u *url.URL) string {
	before, _, _ := strings.Cut(u.String(), "?")
	return before
}

// withoutSecrets is an authorization response as it may be printed.
func withoutSecrets(u *url.URL) string {
	var parts []string
	list, err := parse(u.RawQuery)
	if err != nil {
		return beforeQuery(u)
	}
	for _, p := range list {
		if p.name == "code" {
			p.value = p.value[:min(4, len(p.value))] + "…"
		}
		parts = append(parts, p.name+"="+p.value)
	}
	return u.Path + "?" + strings.Join(parts, "&")
}
