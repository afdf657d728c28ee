package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	callbackPath  = "/callback"
	pageParam     = "page" // names the page that a sign-in belongs to
	browserCookie = "pargate-demo-client"
	maxAnswer     = 64 << 10 // bytes of a push's response
)

// client is an application that lets people sign in: golang.org/x/oauth2, and one POST for the push.
type client struct {
	oauth    oauth2.Config
	setup    setup
	issuer   string
	push     string // pushed_authorization_request_endpoint
	key      *ecdsa.PrivateKey
	verifier *oidc.IDTokenVerifier // nil: the server gives no ID tokens
	provider *oidc.Provider
	http     *http.Client
	mux      *http.ServeMux
	film     *film // nil: there is none

	mu       sync.Mutex
	begun    int
	attempts map[string]attempt // by state
	last     *outcome
}

// attempt is a sign-in that has begun.
type attempt struct {
	browser  string // the cookie of the browser that it began in
	nonce    string
	verifier string // of PKCE
	size     sizes
}

// outcome is how a sign-in ended.
type outcome struct {
	err      error          // nil: signed in
	stranger bool           // it belongs to no sign-in that may go on in this browser
	idToken  *oidc.IDToken  // nil: the server gives none
	userInfo *oidc.UserInfo // nil with it
	code     string
	home     string
	size     sizes
}

// sizes are what the page shows, in bytes.
type sizes struct{ Plain, Pushed, Short int }

// newClient asks the issuer for its metadata, and knows nothing else of it. Where there is none, it is configured.
func newClient(ctx context.Context, issuer string, r registration, via *http.Client, s setup) (*client, error) {
	c := &client{
		oauth:  oauth2.Config{ClientID: r.id, ClientSecret: r.secret, RedirectURL: r.redirectURI, Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess}},
		setup:  s,
		issuer: issuer, key: r.key, http: via, mux: http.NewServeMux(), attempts: map[string]attempt{},
	}
	if err := c.learn(ctx, s.server); err != nil {
		return nil, err
	}
	c.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	c.mux.HandleFunc("GET /{$}", c.start)
	c.mux.HandleFunc("GET "+callbackPath, c.callback)
	return c, nil
}

// learn finds out where the endpoints are.
func (c *client) learn(ctx context.Context, server *serverKind) (err error) {
	if paths := server.pathsAre; paths[0] != "" {
		c.oauth.Endpoint = oauth2.Endpoint{AuthURL: c.issuer + paths[0], TokenURL: c.issuer + paths[1]}
		c.push = c.issuer + "/par"
		return nil
	}
	if c.provider, err = oidc.NewProvider(oidc.ClientContext(ctx, c.http), c.issuer); err != nil {
		return err
	}
	var metadata struct {
		Push string `json:"pushed_authorization_request_endpoint"`
	}
	if err := c.provider.Claims(&metadata); err != nil {
		return err
	}
	c.oauth.Endpoint, c.push = c.provider.Endpoint(), metadata.Push
	if server.oidc {
		c.verifier = c.provider.Verifier(&oidc.Config{ClientID: c.oauth.ClientID})
	}
	return nil
}

// authorizationPath is where browsers are sent to.
func (c *client) authorizationPath() string {
	u, err := url.Parse(c.oauth.Endpoint.AuthURL)
	if err != nil {
		return ""
	}
	return u.Path
}

func (c *client) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// start begins a sign-in. A page has one, which nothing but its own link begins.
func (c *client) start(w http.ResponseWriter, r *http.Request) {
	if !begins(r.Method, r.URL, r.Header, c.setup.page) {
		c.show(w, outcome{stranger: true, err: errors.New("a sign-in begins with the button on its picture")})
		return
	}
	c.mu.Lock()
	c.begun++
	again := c.begun > 1
	c.mu.Unlock()
	if again && c.setup.page != "" {
		c.show(w, outcome{stranger: true, err: errors.New("one picture has one sign-in, and this one has begun already: start another there")})
		return
	}

	// 1. Make the request as for any authorization server: this is the URL for a browser that x/oauth2 has always made.
	a := attempt{browser: browserOf(r), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	state := rand.Text()
	plain := c.oauth.AuthCodeURL(state, append(c.setup.request.more(), oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier))...)
	address := plain

	// 2. Push its query, instead of sending the browser there, which then goes with what came back (RFC 9126 §4).
	if !c.setup.direct {
		endpoint, request, _ := strings.Cut(plain, "?")
		requestURI, err := c.pushIt(r.Context(), request)
		if err != nil {
			c.film.isOver(err)
			c.show(w, outcome{err: err})
			return
		}
		address = endpoint + "?" + url.Values{"client_id": {c.oauth.ClientID}, "request_uri": {requestURI}}.Encode()
		a.size = sizes{Plain: len(plain), Pushed: len(request), Short: len(address)}
	}

	c.mu.Lock()
	c.attempts[state] = a
	c.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: browserCookie, Value: a.browser, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusFound)
}

// pushIt pushes a request as it is, or as a request object.
func (c *client) pushIt(ctx context.Context, request string) (requestURI string, err error) {
	if c.setup.request == signedRequest {
		values, err := url.ParseQuery(request)
		if err != nil {
			return "", err
		}
		object, err := requestObject(c.key, values, c.issuer)
		if err != nil {
			return "", err
		}
		request = url.Values{"client_id": {c.oauth.ClientID}, "request": {object}}.Encode()
	}
	return c.pushRequest(ctx, request)
}

// browserOf returns by what this browser is known, or a new name.
func browserOf(r *http.Request) string {
	if cookie, err := r.Cookie(browserCookie); err == nil {
		return cookie.Value
	}
	return rand.Text()
}

// pushRequest is the one POST that x/oauth2 does not have (RFC 9126 §2.1).
func (c *client) pushRequest(ctx context.Context, request string) (requestURI string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.push, strings.NewReader(request))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.oauth.ClientID), url.QueryEscape(c.oauth.ClientSecret)) // RFC 6749 §2.3.1
	response, err := c.http.Do(r)
	if err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("pushing: %s: %s", response.Status, body)
	}
	var answer struct {
		RequestURI string `json:"request_uri"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	return answer.RequestURI, nil
}

// callback is the redirect_uri: where an authorization response ends.
func (c *client) callback(w http.ResponseWriter, r *http.Request) {
	o := c.redeem(r)
	c.mu.Lock()
	c.last = &o
	c.mu.Unlock()
	if !o.stranger { // who was sent here by somebody else ends nothing
		c.film.isOver(o.err)
	}
	c.show(w, o)
}

// show writes the page on which a sign-in ends.
func (c *client) show(w http.ResponseWriter, o outcome) {
	o.home = c.setup.home
	writeOutcome(w, o)
}

// redeem makes a signed-in person out of an authorization response.
func (c *client) redeem(r *http.Request) (o outcome) {
	ctx := oidc.ClientContext(r.Context(), c.http)
	fail := func(err error) outcome { o.err = err; return o }

	// 1. It must answer a request of this browser, once.
	response := r.URL.Query()
	a, ok := c.takeAttempt(response.Get("state"), browserOf(r))
	if !ok {
		o.stranger = true
		return fail(errors.New("state: this browser has not begun such a sign-in, or it has ended"))
	}
	o.size = a.size

	// 2. It must come from the issuer (RFC 9207 §2.4), and be no error.
	if iss := response.Get("iss"); response.Has("iss") && iss != c.issuer {
		return fail(fmt.Errorf("iss: the answer is from %q", iss))
	}
	if code := response.Get("error"); code != "" {
		return fail(responseError{code, response.Get("error_description")})
	}
	o.code = response.Get("code")

	// 3. Redeem the code with the verifier whose challenge was pushed (RFC 7636 §4.5).
	token, err := c.oauth.Exchange(ctx, response.Get("code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		return fail(fmt.Errorf("redeeming the code: %w", err))
	}

	if c.verifier == nil {
		return o
	}

	// 4. Verify the ID token: signature, issuer, audience, time, and the nonce of this attempt.
	raw, _ := token.Extra("id_token").(string)
	if o.idToken, err = c.verifier.Verify(ctx, raw); err != nil {
		return fail(err)
	}
	if o.idToken.Nonce != a.nonce {
		return fail(errors.New("nonce: the ID token belongs to another sign-in"))
	}

	// 5. Use the access token.
	if o.userInfo, err = c.provider.UserInfo(ctx, oauth2.StaticTokenSource(token)); err != nil {
		return fail(err)
	}
	return o
}

// responseError is an authorization response without a code (RFC 6749 §4.1.2.1).
type responseError struct{ code, description string }

func (e responseError) Error() string {
	text := "the authorization server answered with the error " + clip(e.code, 60)
	if e.description != "" {
		text += " (" + clip(e.description, 200) + ")"
	}
	return text
}

func (c *client) takeAttempt(state, browser string) (attempt, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.attempts[state]
	if !ok || a.browser != browser {
		return attempt{}, false
	}
	delete(c.attempts, state)
	return a, true
}

// outcome returns how the last sign-in ended; nil when none has.
func (c *client) outcome() *outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
