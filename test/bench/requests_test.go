package bench

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"pargate/test/harness"
)

// source has the requests of one scenario, and the status that each must get.
type source struct {
	request func(i int) []byte
	status  int
}

// always is the same request again and again.
func always(request []byte, status int) source {
	return source{func(int) []byte { return request }, status}
}

// each are requests of which each is sent once.
func each(requests [][]byte, status int) source {
	return source{func(i int) []byte { return requests[i] }, status}
}

// inTurn are requests that may be sent more than once.
func inTurn(requests [][]byte, status int) source {
	return source{func(i int) []byte { return requests[i%len(requests)] }, status}
}

// pushedForm is an ordinary authorization request.
func pushedForm(clientID string, more ...string) url.Values {
	form := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {"https://app.example/oauth/callback"},
		"scope": {"openid profile email offline_access"}, "state": {"Zm9yLWEtYnJvd3Nlci1zZXNzaW9u"}, "nonce": {"bi0wUzZfV3pBMk1q"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		"resource": {"https://api.example/accounts"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

const secret = "7Fjfp0ZBr1KtDRbnfVdmIw"

// The clients of the registry, one for each way to authenticate. Another one is known to the authorization server alone.
var (
	signerRSA    = harness.NewSigner("RS256", "rsa")
	signerEC     = harness.NewSigner("ES256", "ec")
	signerShared = &harness.Signer{Algorithm: "HS256", Key: []byte(sharedSecret)}
)

const sharedSecret = "a-secret-of-at-least-thirty-two-bytes-for-HS256"

var hashed = sync.OnceValue(func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost+6)
	if err != nil {
		panic(err)
	}
	return string(hash)
})

// registry is the client file.
func registry() string {
	client := func(id string, more map[string]any) map[string]any {
		more["client_id"], more["redirect_uris"] = id, []string{"https://app.example/oauth/callback"}
		return more
	}
	signed := func(s *harness.Signer) json.RawMessage { return json.RawMessage(harness.KeySet(s)) }
	text, err := json.Marshal([]any{
		client("web", map[string]any{"client_secret": secret}),
		client("hashed", map[string]any{"client_secret": hashed()}),
		client("shared", map[string]any{"client_secret": sharedSecret, "token_endpoint_auth_method": "client_secret_jwt"}),
		client("rsa", map[string]any{"jwks": signed(signerRSA), "token_endpoint_auth_method": "private_key_jwt"}),
		client("ec", map[string]any{"jwks": signed(signerEC), "token_endpoint_auth_method": "private_key_jwt"}),
		client("object_rsa", map[string]any{"client_secret": secret, "jwks": signed(signerRSA), "request_object_signing_alg": "RS256"}),
		client("object_ec", map[string]any{"client_secret": secret, "jwks": signed(signerEC), "request_object_signing_alg": "ES256"}),
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func basic(clientID, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret))
}

// askedOfProxy is what a server can be asked that passes everything on.
func (c *contestant) askedOfProxy() map[string]func(n int) (source, error) {
	get := func(target string) func(int) (source, error) {
		return func(int) (source, error) { return always(get(c.addr, target), http.StatusOK), nil }
	}
	return map[string]func(n int) (source, error){
		passSmall: get("/userinfo"), passLarge: get("/archive"), page: get("/login?step=1"), metadataDocument: get("/.well-known/openid-configuration"),
	}
}

// askedOfBare is what a gateway can be asked that checks nobody.
func (c *contestant) askedOfBare() map[string]func(n int) (source, error) {
	asked := c.askedOfProxy()
	asked[push] = func(int) (source, error) { return always(c.push(), http.StatusCreated), nil }
	byReference := func(more ...string) func(n int) (source, error) {
		return func(n int) (source, error) {
			requests, err := c.many(n, func(on *connection) ([]byte, error) { return c.short(on, more...) })
			return each(requests, http.StatusFound), err
		}
	}
	asked[authorize], asked[authorizeCarried] = byReference(), byReference("display", "page")
	return asked
}

// askedOfGateway is what the program can be asked.
func (c *contestant) askedOfGateway() map[string]func(n int) (source, error) {
	asked := c.askedOfBare()
	asked[firstVisit] = func(n int) (source, error) {
		requests, err := c.many(min(n, 500), func(on *connection) ([]byte, error) { return c.short(on) })
		return inTurn(requests, http.StatusSeeOther), err
	}
	second := func(more ...string) func(n int) (source, error) {
		return func(n int) (source, error) {
			requests, err := c.many(n, func(on *connection) ([]byte, error) {
				visit, err := c.visit(on, more...)
				return visit.second, err
			})
			return each(requests, http.StatusFound), err
		}
	}
	asked[authorize], asked[authorizeCarried] = second(), second("display", "page")
	asked[page] = func(n int) (source, error) {
		requests, err := c.many(min(n, 500), func(on *connection) ([]byte, error) {
			visit, err := c.visit(on)
			if err == nil {
				_, err = on.send(visit.second)
			}
			return get(c.addr, "/login?step=1", "Cookie: "+visit.cookie), err
		})
		return inTurn(requests, http.StatusOK), err
	}
	asked[pushHashed] = c.pushes(func() url.Values { return pushedForm("hashed") }, basic("hashed", secret))
	asked[pushDelegated] = c.pushes(func() url.Values { return pushedForm("legacy") }, basic("legacy", "l3gacy"))
	for name, client := range map[string]struct {
		id     string
		signer *harness.Signer
	}{pushSharedJWT: {"shared", signerShared}, pushRSA: {"rsa", signerRSA}, pushEC: {"ec", signerEC}} {
		asked[name] = c.pushes(func() url.Values {
			return harness.Assert(pushedForm(client.id), client.signer.Sign(harness.Claims(client.id, "http://"+c.addr, time.Now(), "exp", time.Now().Add(10*time.Minute).Unix())))
		})
	}
	for name, client := range map[string]struct {
		id     string
		signer *harness.Signer
	}{pushObjectRSA: {"object_rsa", signerRSA}, pushObjectEC: {"object_ec", signerEC}} {
		asked[name] = c.pushes(func() url.Values {
			return url.Values{"request": {requestObject(client.signer, client.id, "http://"+c.addr)}}
		}, basic(client.id, secret))
	}
	return asked
}

// requestObject is the ordinary request, signed (RFC 9101).
func requestObject(signer *harness.Signer, clientID, audience string) string {
	claims := map[string]any{"iss": clientID, "aud": audience, "exp": time.Now().Add(10 * time.Minute).Unix(), "nbf": time.Now().Unix()}
	for name, values := range pushedForm(clientID) {
		claims[name] = values[0]
	}
	return signer.Sign(claims, "typ", "oauth-authz-req+jwt")
}

// pushes are n pushes of forms that are made beforehand.
func (c *contestant) pushes(form func() url.Values, headers ...string) func(n int) (source, error) {
	return func(n int) (source, error) {
		requests := make([][]byte, n)
		for i := range requests {
			requests[i] = post(c.addr, "/par", form().Encode(), headers...)
		}
		return each(requests, http.StatusCreated), nil
	}
}

func (c *contestant) push(more ...string) []byte {
	return post(c.addr, "/par", pushedForm("web", more...).Encode(), basic("web", secret))
}

// short pushes, and makes the authorization request by reference.
func (c *contestant) short(on *connection, more ...string) ([]byte, error) {
	a, err := on.ask(c.push(more...))
	var created struct {
		RequestURI string `json:"request_uri"`
	}
	if err == nil {
		err = json.Unmarshal(a.body, &created)
	}
	if err != nil || a.status != http.StatusCreated {
		return nil, fmt.Errorf("%s: a push: %d %s %w", c.name, a.status, a.body, err)
	}
	return get(c.addr, "/authorize?client_id=web&request_uri="+url.QueryEscape(created.RequestURI)), nil
}

// visit is what a browser has after its first request: the second one, and the cookie.
type visit struct {
	second []byte
	cookie string
}

func (c *contestant) visit(on *connection, more ...string) (v visit, err error) {
	request, err := c.short(on, more...)
	if err != nil {
		return visit{}, err
	}
	a, err := on.ask(request)
	if err != nil || a.status != http.StatusSeeOther {
		return visit{}, fmt.Errorf("%s: a first visit: %d %w", c.name, a.status, err)
	}
	v.cookie, _, _ = strings.Cut(a.head.Get("Set-Cookie"), ";")
	target, err := url.Parse(a.head.Get("Location"))
	if err != nil {
		return visit{}, err
	}
	v.second = get(c.addr, target.RequestURI(), "Cookie: "+v.cookie)
	return v, nil
}

// many makes n requests, over some connections at once.
func (c *contestant) many(n int, request func(on *connection) ([]byte, error)) ([][]byte, error) {
	requests := make([][]byte, n)
	var running sync.WaitGroup
	errs := make(chan error, makers)
	for first := range makers {
		running.Go(func() {
			on, err := dial(c.addr)
			if err != nil {
				errs <- err
				return
			}
			defer on.Close()
			for i := first; i < n && err == nil; i += makers {
				requests[i], err = request(on)
			}
			errs <- err
		})
	}
	running.Wait()
	for range makers {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return requests, nil
}

// makers is how many connections make requests at once.
const makers = 16
