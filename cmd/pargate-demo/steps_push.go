package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// metadata are the members that the story looks at (RFC 8414 §2, RFC 9126 §5).
type metadata struct {
	Issuer   string `json:"issuer"`
	Push     string `json:"pushed_authorization_request_endpoint"`
	Required bool   `json:"require_pushed_authorization_requests"`
}

// clientAndServer: who is there, and which of them knows of PAR.
func (s *story) clientAndServer(ctx context.Context) error {
	s.seen("client", s.demo.clientSite.String()+"   golang.org/x/oauth2 and one POST", "")
	s.seen("legacy server", s.demo.legacySite.String()+"   "+legacyName(), "")
	s.seen("gateway in front of it", s.demo.gatewaySite.String()+"   pushed requests in "+s.demo.gateway.storeName, "")

	before, size, err := s.metadataOf(ctx, s.demo.legacySite.String())
	if err != nil {
		return err
	}
	s.seen("the server's metadata", "as it answers on its own address", inBytes(size))
	s.same("it has no pushed_authorization_request_endpoint", "", before.Push)
	s.same("it gives the gateway's address as its issuer", s.issuer, before.Issuer)

	found := s.demo.clientTap.all(to(http.MethodGet, wellKnown))
	x, err := s.only("the client has read the metadata", found)
	if err != nil {
		return err
	}
	var after metadata
	if err := json.Unmarshal(x.answer, &after); err != nil {
		return err
	}
	s.seen("the client was given", x.url.String(), inBytes(len(x.answer)))
	s.same("its issuer is the same", before.Issuer, after.Issuer)
	s.same("it has pushed_authorization_request_endpoint "+after.Push, s.issuer+"/par", after.Push)
	s.same("it says require_pushed_authorization_requests", "true", fmt.Sprint(after.Required))
	return nil
}

// metadataOf reads a server's metadata as an operator does.
func (s *story) metadataOf(ctx context.Context, server string) (m metadata, size int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server+wellKnown, nil)
	if err != nil {
		return m, 0, err
	}
	response, err := s.operator.Do(r)
	if err != nil {
		return m, 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return m, 0, err
	}
	return m, len(body), json.Unmarshal(body, &m)
}

// leastRequest is what a large request has, in bytes of its values.
const leastRequest = 2048

// complexRequest: what the client wants, which is too much for an address bar.
func (s *story) complexRequest(context.Context) error {
	x, err := s.only("the client has pushed a request", s.demo.clientTap.all(func(x exchange) bool {
		return x.method == http.MethodPost && strings.Contains(string(x.body), "code_challenge=")
	}))
	if err != nil {
		return err
	}
	s.push = x
	if s.pushed, err = parse(string(x.body)); err != nil {
		return err
	}
	for _, p := range s.pushed {
		s.seen(p.name, p.value, inBytes(len(p.value)))
	}
	s.seen("together", fmt.Sprintf("%d parameters, %d characters beyond ASCII", len(s.pushed), s.pushed.beyondASCII()), inBytes(s.pushed.bytes()))

	var details []struct {
		Type string `json:"type"`
	}
	var kinds []string
	problem := json.Unmarshal([]byte(s.pushed.get("authorization_details")), &details)
	for _, one := range details {
		kinds = append(kinds, one.Type)
	}
	s.seen("authorizations asked", strings.Join(kinds, ", "), "")
	s.holds("authorization_details is an array of objects with a type (RFC 9396)",
		problem == nil && len(kinds) > 0 && !slices.Contains(kinds, ""), "a type in each", strings.Join(kinds, ", "))
	var asked struct {
		UserInfo struct {
			Verified map[string]any `json:"verified_claims"`
		} `json:"userinfo"`
	}
	problem = json.Unmarshal([]byte(s.pushed.get("claims")), &asked)
	s.holds("claims asks for verified_claims (OpenID Connect for Identity Assurance)",
		problem == nil && len(asked.UserInfo.Verified) > 0, "an object", s.pushed.get("claims"))
	s.holds("it is large", s.pushed.bytes() >= leastRequest, "at least "+inBytes(leastRequest), inBytes(s.pushed.bytes()))
	s.holds("it is not all ASCII", s.pushed.beyondASCII() > 0 && utf8.ValidString(s.pushed.lines()), "umlauts", s.pushed.lines())
	return nil
}

// endpoint: where it is pushed to, and that it is none of the legacy server's.
func (s *story) endpoint(ctx context.Context) error {
	published, _, err := s.metadataOf(ctx, s.issuer)
	if err != nil {
		return err
	}
	s.seen(s.push.method, s.push.url.String(), inBytes(s.push.bytesOfURL()))
	s.same("the client pushed to the endpoint in the metadata", published.Push, s.push.url.String())
	s.same("nothing of the request is in the URL", "", s.push.url.RawQuery)

	direct := s.demo.legacySite.String() + s.push.url.Path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, direct, nil)
	if err != nil {
		return err
	}
	response, err := s.operator.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	size, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return err
	}
	s.seen("the same on the server", direct, inBytes(int(size)))
	s.sameNumber("the legacy server has no such endpoint: it answers 404", http.StatusNotFound, response.StatusCode)
	return nil
}

// thePush: one POST of a form, and its answer (RFC 9126 §2).
func (s *story) thePush(context.Context) error {
	user, secret, _ := (&http.Request{Header: s.push.header}).BasicAuth()
	s.seen("Authorization", "Basic "+user+" : "+mask(secret), inBytes(len(s.push.header.Get("Authorization"))))
	s.seen("Content-Type", s.push.header.Get("Content-Type"), "")
	s.seen("body", string(s.push.body), inBytes(len(s.push.body)))
	s.same("the client proves itself with client_secret_basic", clientID, user)
	s.holds("the secret is not in the body", !strings.Contains(string(s.push.body), secret), "no secret", "it is there")

	s.seen("answer", fmt.Sprint(s.push.status, " ", http.StatusText(s.push.status)), inBytes(len(s.push.answer)))
	if !s.sameNumber("status 201", http.StatusCreated, s.push.status) {
		return fmt.Errorf("the push was answered: %s", clip(string(s.push.answer), 200))
	}
	s.same("Content-Type: application/json", "application/json", s.push.answerHeader.Get("Content-Type"))
	caching := s.push.answerHeader.Get("Cache-Control")
	s.holds("Cache-Control: "+caching, strings.Contains(caching, "no-store"), "no-store", caching)
	return nil
}

// requestURIPattern is the form that pargate gives it: 32 random bytes behind the prefix of RFC 9126 §2.2.
var requestURIPattern = regexp.MustCompile(`^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}$`)

// theRequestURI: what stands for the request from now on.
func (s *story) theRequestURI(context.Context) error {
	var answer struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int    `json:"expires_in"`
	}
	if err := json.Unmarshal(s.push.answer, &answer); err != nil {
		return err
	}
	s.requestURI = answer.RequestURI
	s.seen("request_uri", answer.RequestURI, inBytes(len(answer.RequestURI)))
	s.seen("expires_in", fmt.Sprint(answer.ExpiresIn), "seconds")
	s.holds("it is a URN with 256 random bits", requestURIPattern.MatchString(answer.RequestURI), requestURIPattern.String(), answer.RequestURI)
	s.holds("it is short-lived: 5 to 600 seconds (RFC 9126 §2.2)", 5 <= answer.ExpiresIn && answer.ExpiresIn <= 600, "5 to 600", fmt.Sprint(answer.ExpiresIn))
	s.same("it tells nothing of the request", "", sightings(s.pushed, answer.RequestURI))
	return nil
}

// keeping: what the gateway keeps is what was pushed.
func (s *story) keeping(context.Context) error {
	found := s.arrows(2, atGateway, atStore)
	if !s.sameNumber("the gateway has kept one request", 1, len(found)) {
		return nil
	}
	s.same("with the parameters that were pushed", s.pushed.lines(), asParams(found[0].Sides[0].Params).lines())
	return nil
}

// asParams are the lines of a side as parameters.
func asParams(lines []line) (p params) {
	for _, l := range lines {
		p = append(p, param{l.Name, l.Value})
	}
	return p
}
