package main

import (
	"crypto/ecdsa"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// shortLifetime is the shortest PAR_TTL that there is.
const shortLifetime = 5 * time.Second

// moreScope is what nobody has pushed.
const moreScope = "openid admin"

// attacks are the buttons of the page, in their order.
var attacks = []*attack{
	{Key: "reload", Name: "Reload", run: reload,
		Does:   "Opens the short address again: once in the middle of the login, and once when the code has passed. The rest of the sign-in, between the two, is not drawn.",
		Native: "A request_uri is for one use. The server may put up with a reload during the login (RFC 9126 §4), and refuses it after the code."},
	{Key: "another-browser", Name: "Another browser", run: anotherBrowser,
		Does:   "A second browser, without the first one's cookies, opens the address that the first has opened: from a history, a log or over somebody's shoulder.",
		Native: "One use: whoever comes second is refused (RFC 9126 §7.3)."},
	{Key: "another-client", Name: "Another client", run: anotherClient,
		Does:   "The request_uri with another registered client's client_id.",
		Native: "It is bound to the client that pushed (RFC 9126 §2.2). Refused, and not used up by it."},
	{Key: "expire", Name: "Let it expire", lifetime: shortLifetime, run: expire,
		Does:   "A gateway with PAR_TTL=5s, and a browser that comes when they are over: the button takes as long.",
		Native: "A request_uri that has expired must be refused (RFC 9126 §4)."},
	{Key: "scope", Name: "Change the scope in the address bar", run: scopeInAddress,
		Does:   "Writes &scope=openid+admin behind the request_uri.",
		Native: "Only what was pushed counts (RFC 9126 §4, RFC 9101 §6.3): the addition has no effect."},
	{Key: "consent", Name: "Tamper with the consent form", at: []string{"doorkeeper", "django"}, run: consentForm,
		Does:   "Changes scope and state in the hidden fields of the server's own consent form. It is done at a server that has such a form and believes it.",
		Native: "The request stays on the server, so a form cannot change it."},
	{Key: "next", Name: "Write your own next=", at: []string{"django"}, run: ownNext,
		Does:   "Puts a whole authorization request of its own, with more scope, into the login form's next=. It is done at a server that goes wherever next= says.",
		Native: "With PAR required, no request that was not pushed begins an authorization (RFC 9126 §5)."},
	{Key: "skip", Name: "Skip PAR", run: skipPAR,
		Does:   "Sends the browser with the whole request in its address, as before.",
		Native: "With require_pushed_authorization_requests, refused (RFC 9126 §5)."},
	{Key: "forged", Name: "Forge a request object", optional: true, run: forge,
		Does: "Signs a request object with a key that is not the client's: in a push, and in the address bar. Then the same object is signed with the client's key. It is done at a gateway " +
			"that does not require PAR: where it does, nothing in an address bar is taken, whoever has signed it.",
		Native: "invalid_request_object (RFC 9101 §6.2), and nothing is kept."},
}

func reload(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	if _, _, err := t.opensUntil(short, asksForPassword); err != nil {
		return err
	}
	t.now()
	page, form, err := t.opensUntil(short, asksForPassword)
	if !t.comesUp("Reloaded during the login", page, err) {
		return nil
	}
	t.meanwhile()
	if _, err := t.signsIn("The sign-in goes on", form.move(page)); err != nil {
		return err
	}
	t.now()
	return t.isRefused("Reloaded after the code", t.browser, short)
}

func anotherBrowser(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	page, form, err := t.opensUntil(short, asksForPassword)
	if err != nil {
		return err
	}
	t.now()
	if err := t.isRefused("The second browser", t.other, short); err != nil {
		return err
	}
	_, err = t.signsIn("The first browser goes on", form.move(page))
	return err
}

func anotherClient(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	t.now()
	if err := t.isRefused("With the other client_id", t.browser, strings.Replace(short, "client_id="+clientID, "client_id="+otherClientID, 1)); err != nil {
		return err
	}
	_, err = t.signsIn("The right client's browser, afterwards", move{address: short})
	return err
}

func expire(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	select {
	case <-time.After(shortLifetime + 200*time.Millisecond):
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
	t.now()
	return t.isRefused("After five seconds", t.browser, short)
}

func scopeInAddress(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	t.now()
	if _, err := t.signsIn("The sign-in", move{address: short + "&scope=" + url.QueryEscape(moreScope)}); err != nil {
		return err
	}
	t.same("The scope that the server received", t.scope(), t.asked().get("scope"))
	return nil
}

func consentForm(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	page, form, err := t.opensUntil(short, func(f *pageForm) bool { return !f.login && f.fields.get("scope") != "" })
	if err != nil {
		return err
	}
	state := form.fields.get("state")
	form.fields = form.fields.with("scope", moreScope).with("state", "forged")
	t.now()
	x, err := t.signsIn("The sign-in", form.move(page))
	if err != nil {
		return err
	}
	believed := t.demo.believed(x.url.Query().Get("code"))
	t.same("The state in the response", state, x.url.Query().Get("state"))
	t.same("The scope that the code is worth", t.scope(), believed["scope"])
	return nil
}

func ownNext(t *trial) error {
	short, err := t.begins()
	if err != nil {
		return err
	}
	page, form, err := t.opensUntil(short, asksForPassword)
	if err != nil {
		return err
	}
	own := url.Values{"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {t.browser.end}, "scope": {moreScope}, "state": {"mine"}}
	if form.fields.get("next") == "" {
		return fmt.Errorf("the login form has no next: %s", form.fields.names())
	}
	form.fields = form.fields.with("next", t.demo.authorizes+"?"+own.Encode())
	t.now()
	x, err := t.browser.walk(t.ctx, form.move(page), nil)
	if err != nil {
		return err
	}
	t.refuses("The answer to what next= led to", x)
	t.same("A code for it", "", x.url.Query().Get("code"))
	got := 0
	for _, x := range t.demo.legacy.all(nil) {
		if x.url.Path == t.demo.authorizes && strings.Contains(x.url.RawQuery, "admin") {
			got++
		}
	}
	t.same("Authorization requests with that scope that the server got", "0", fmt.Sprint(got))
	return nil
}

// plain is a request as it would be without PAR.
func (t *trial) plain() string {
	c := t.demo.client
	return c.oauth.AuthCodeURL("a-state", append(c.setup.request.more(), oidc.Nonce("a-nonce"), oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))...)
}

// plainQuery is its query.
func (t *trial) plainQuery() string {
	_, query, _ := strings.Cut(t.plain(), "?")
	return query
}

func skipPAR(t *trial) error {
	t.now()
	return t.isRefused("The request as before", t.browser, t.plain())
}

func forge(t *trial) error {
	wrong, err := newRegistration(t.browser.end)
	if err != nil {
		return err
	}
	endpoint := t.demo.client.oauth.Endpoint.AuthURL
	values, err := url.ParseQuery(t.plainQuery())
	if err != nil {
		return err
	}
	signed := func(key *ecdsa.PrivateKey) (string, error) {
		object, err := requestObject(key, values, t.demo.client.issuer)
		return url.Values{"client_id": {clientID}, "request": {object}}.Encode(), err
	}
	forged, err := signed(wrong.key)
	if err != nil {
		return err
	}
	right, err := signed(t.demo.client.key)
	if err != nil {
		return err
	}

	t.now()
	seen := t.pushes(forged)
	t.checks("The answer to the push", strings.Contains(seen, "400") && strings.Contains(seen, "invalid_request_object"), "400, invalid_request_object", seen)
	if err := t.isRefused("The answer in the address bar", t.browser, endpoint+"?"+forged); err != nil {
		return err
	}
	t.same("Requests that the store has kept", "0", fmt.Sprint(t.kept()))

	// What was refused was refused for its signature: the same with the right one is taken.
	t.same("The push, signed with the right key", "it was taken", t.pushes(right))
	page, _, err := t.opensUntil(endpoint+"?"+right, asksForPassword)
	t.comesUp("The address bar, with the right key", page, err)
	return nil
}

// pushes returns what comes of a push.
func (t *trial) pushes(form string) string {
	if _, err := t.demo.client.pushRequest(t.ctx, form); err != nil {
		return err.Error()
	}
	return "it was taken"
}
