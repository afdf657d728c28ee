package faults

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"pargate/pushstore"
)

// invitation is a request that was pushed.
type invitation struct {
	state      string
	requestURI string
}

// push pushes a request with that state. Without an error it was acknowledged, or told to come again (false).
func (c *caller) push(state string) (invitation, bool, error) {
	a, err := c.do(pushOf(state))
	switch {
	case err != nil || a.busy():
		return invitation{}, false, err
	case a.status != 201 || a.requestURI() == "":
		return invitation{}, false, fmt.Errorf("push of %s: %s", state, a)
	}
	return invitation{state, a.requestURI()}, true, nil
}

// Who is told to come again does so, sooner than Retry-After says.
const (
	maxAgain   = 100
	againAfter = 50 * time.Millisecond
)

// openAs is the request of a browser that has its cookie already.
func (i invitation) openAs(b browser) string {
	return get(link(i.requestURI), b.name, b.cookieOf(i))
}

// browser is one of many that come with the same reference.
type browser struct {
	name   string // by which the judge knows it
	secret string // by which the gateways do
	form   cookieForm
}

// cookieForm is the cookie of some browser for some reference, as a gateway has given it. Others have it with another
// secret and another reference: a browser gets a cookie for the asking, so that a test need not ask each time.
type cookieForm string

// learnForm comes for the first time with a reference, as a browser does, and returns the cookie that it gets.
func learnForm(t *testing.T, addr string) cookieForm {
	t.Helper()
	c := &caller{addr: addr}
	defer c.close()
	for range maxAgain {
		i, ok, err := c.push("first")
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			a, err := c.do(get(strings.TrimSuffix(link(i.requestURI), "&pargate=1"), "first", ""))
			switch {
			case err == nil && a.status == 303 && len(strings.Split(a.cookie, ".")) == 5:
				return cookieForm(a.cookie)
			case err != nil || !a.busy():
				t.Fatalf("the first visit gets no cookie of the form that this test knows: %v %s %q", err, a, a.cookie)
			}
		}
		time.Sleep(againAfter)
	}
	t.Fatal("Redis is never there")
	return ""
}

// newBrowser is one more browser.
func (f cookieForm) newBrowser(name string) browser {
	var secret [16]byte
	rand.Read(secret[:])
	return browser{name, base64.RawURLEncoding.EncodeToString(secret[:]), f}
}

// cookieOf is the browser's cookie for i.
func (b browser) cookieOf(i invitation) string {
	name, value, _ := strings.Cut(string(b.form), "=")
	ref, _ := pushstore.ParseReference(i.requestURI[strings.LastIndexByte(i.requestURI, ':')+1:])
	digest := pushstore.Digest(ref)
	parts := strings.Split(value, ".")
	parts[2], parts[3] = string(ref), b.secret
	return name[:len(name)-len(digest)] + digest + "=" + strings.Join(parts, ".")
}
