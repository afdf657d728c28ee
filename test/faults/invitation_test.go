package faults

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
)

// invitation is a request that was pushed, with what a browser needs to open it.
type invitation struct {
	state      string
	requestURI string
	cookie     string // that the gateway gave to the first who came
}

// push pushes a request with that state. Without an error the answer is 201, or 503 with a time to come again.
func (c *caller) push(state string) (uri string, err error) {
	a, err := c.do(pushOf(state))
	switch {
	case err != nil || a.busy():
		return "", err
	case a.status != 201 || a.requestURI() == "":
		return "", fmt.Errorf("push: %s", a)
	}
	return a.requestURI(), nil
}

// visit comes for the first time with a reference, and gets a cookie for it.
func (c *caller) visit(state, requestURI string) (invitation, answer, error) {
	a, err := c.do(get(strings.TrimSuffix(link(requestURI), "&pargate=1"), "first", ""))
	return invitation{state, requestURI, a.cookie}, a, err
}

// cookieOf is the cookie that the gateway would have given to another browser: with another secret.
func (i invitation) cookieOf(secret string) string {
	name, value, _ := strings.Cut(i.cookie, "=")
	parts := strings.Split(value, ".")
	if len(parts) != 5 {
		panic("the flow cookie has another form: " + i.cookie)
	}
	parts[3] = secret
	return name + "=" + strings.Join(parts, ".")
}

// newSecret is the secret of one more browser.
func newSecret() string {
	var secret [16]byte
	rand.Read(secret[:])
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// openAs is the request of one browser, which has its cookie already.
func (i invitation) openAs(browser, secret string) string {
	return get(link(i.requestURI), browser, i.cookieOf(secret))
}
