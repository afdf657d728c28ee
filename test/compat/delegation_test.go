//go:build compat

package compat

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
)

// What the report tells of clients that only the server knows.
const (
	delegatedBasic  = "Secret by Basic"
	delegatedPost   = "Secret in the form"
	delegatedPublic = "Public client"
	delegatedWrong  = "Somebody else"
	delegatedCold   = "At first"
	delegatedCost   = "Questions"
	delegatedLogin  = "The login"
)

var delegatedColumns = []string{delegatedBasic, delegatedPost, delegatedPublic, delegatedWrong, delegatedCold, delegatedCost, delegatedLogin}

// TestClientsThatOnlyTheServerKnows pushes at every server with a client file that is empty: whoever is who they say
// gets a request_uri, and nobody else does, whether the gateway has just learned how the server answers or long ago.
func TestClientsThatOnlyTheServerKnows(t *testing.T) {
	for _, s := range serversAsked() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.need(t)
			d := s.delegated(t)
			for _, c := range []struct {
				name string
				try  func(*delegated, *testing.T)
			}{
				{"login", (*delegated).login},
				{"again and again", (*delegated).againAndAgain},
				{"all at once", (*delegated).allAtOnce},
				{"guesses first", (*delegated).guessesFirst},
				{"public first", (*delegated).publicFirst},
				{"unusual answers", (*delegated).unusualAnswers},
			} {
				t.Run(c.name, func(t *testing.T) {
					c.try(d, t)
					d.later(48 * time.Hour) // after which the gateway knows nothing of the server
				})
			}
		})
	}
}

// delegated is a server behind a gateway that must ask it about every client.
type delegated struct {
	*site
	*listener
	upstream string       // where the server itself is
	ahead    atomic.Int64 // of the clock, in nanoseconds
}

func (s *server) delegated(t *testing.T) *delegated {
	d := &delegated{}
	d.site = s.behindPargate(t, func(o *proxy.Options) {
		o.Clients, o.Delegation, o.ProbeAccept = harness.Registry(t, "[]"), proxy.DelegateOthers, s.probeAccept
		o.Now = func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }
		d.upstream = o.Issuer.UpstreamURL.String()
		d.listener, o.Issuer.UpstreamURL.Host = listenTo(t, o.Issuer.UpstreamURL.Host)
	})
	return d
}

// later moves the gateway's clock.
func (d *delegated) later(by time.Duration) { d.ahead.Add(int64(by)) }

// credentials are what a push shows.
type credentials struct {
	what            string
	basic           bool
	id, secret      string // by Basic
	bodyID, bodyKey string // in the form; empty: not there
}

func (c credentials) String() string {
	return fmt.Sprintf("%s (Basic %t %s:%s, form %s:%s)", c.what, c.basic, c.id, c.secret, c.bodyID, c.bodyKey)
}

func byBasic(what, id, secret string) credentials {
	return credentials{what: what, basic: true, id: id, secret: secret, bodyID: id}
}

func byPost(what, id, secret string) credentials {
	return credentials{what: what, bodyID: id, bodyKey: secret}
}

var (
	rightByBasic = byBasic("the right secret by Basic", clientID, clientSecret)
	rightByPost  = byPost("the right secret in the form", clientID, clientSecret)
	rightPublic  = byPost("the public client", publicID, "")
)

// impostors are all who are not the client. Guesses differ by n, so that none is refused for having been made before.
func impostors(n int) []credentials {
	guess := fmt.Sprintf("wrong%d", n)
	nobody := fmt.Sprintf("nobody%d", n)
	other := byBasic("the client as another", clientID, clientSecret)
	other.bodyID = publicID
	nobodyAsClient := byBasic("somebody who does not exist as the client", nobody, clientSecret)
	nobodyAsClient.bodyID = clientID
	publicAsClient := byBasic("the public client as the confidential one", publicID, "")
	publicAsClient.bodyID = clientID
	both := byBasic("one right and one wrong secret", clientID, clientSecret)
	both.bodyKey = guess
	return []credentials{
		byBasic("a wrong secret by Basic", clientID, guess),
		byPost("a wrong secret in the form", clientID, guess),
		byPost("no secret", clientID, ""),
		byBasic("an empty secret by Basic", clientID, ""),
		byBasic("an unknown client by Basic", nobody, clientSecret),
		byPost("an unknown client in the form", nobody, clientSecret),
		byPost("an unknown client without a secret", nobody, ""),
		byBasic("the public client with a secret by Basic", publicID, guess),
		byPost("the public client with a secret in the form", publicID, guess),
		byBasic("the public client with the other's secret", publicID, clientSecret),
		{what: "nobody"},
		other, nobodyAsClient, publicAsClient, both,
	}
}

// pushAs pushes with credentials, and returns how that ended.
func (d *delegated) pushAs(t testing.TB, c credentials) harness.Response {
	form := d.ask().with("client_id", c.bodyID).form
	if c.bodyKey != "" {
		form.Set("client_secret", c.bodyKey)
	}
	return harness.NewBrowser(d.public).Post(t, d.endpoint, form.Encode(), func(r *http.Request) {
		if c.basic {
			r.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
		}
	})
}

// wantRight checks that somebody who is who they say may push, unless the server does not take that method.
func (d *delegated) wantRight(t *testing.T, c credentials, supported bool) (status int, asked []question) {
	t.Helper()
	d.take()
	res := d.pushAs(t, c)
	asked = d.take()
	if (res.Status == http.StatusCreated) != supported {
		t.Errorf("%s: %d %s%s", c, res.Status, res.Body, list(asked))
	}
	return res.Status, asked
}

// wantImpostor checks that somebody may not push who is not who they say, and returns how they were refused.
func (d *delegated) wantImpostor(t *testing.T, c credentials) (status int) {
	t.Helper()
	res := d.pushAs(t, c)
	if res.Status == http.StatusCreated {
		t.Errorf("%s was taken for a client%s", c, list(d.take()))
	}
	if res.Status == http.StatusTooManyRequests {
		t.Errorf("%s: %d, so nothing was tried", c, res.Status)
	}
	return res.Status
}

// statuses lists each once.
func statuses(seen map[int]bool) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Sorted(maps.Keys(seen))), " ", ", "), "[]")
}

func list(asked []question) string {
	text := strings.Builder{}
	for _, q := range asked {
		text.WriteString("\n\t" + q.String())
	}
	return text.String()
}

// againAndAgain lets everybody push three times. After the first time the gateway knows how the server answers, but no
// secret any more.
func (d *delegated) againAndAgain(t *testing.T) {
	methods := []struct {
		column    string
		who       credentials
		supported bool
		first     int
	}{
		{delegatedBasic, rightByBasic, !d.noBasic, 0}, {delegatedPost, rightByPost, !d.noPost, 0}, {delegatedPublic, rightPublic, !d.noPublic, 0},
	}
	refused := map[int]bool{}
	for n := range 3 {
		for i, m := range methods {
			status, asked := d.wantRight(t, m.who, m.supported)
			switch {
			case n == 0:
				methods[i].first = len(asked)
			case !m.supported:
				written.set(d.name, m.column, fmt.Sprintf("no: %d", status))
			case len(asked) != 1:
				t.Errorf("%s, time %d: the server was asked%s", m.who, n, list(asked))
			default:
				text := asked[0].probe()
				if d.latePublic && m.who == rightPublic {
					text = "late: " + text
				}
				written.set(d.name, m.column, text)
			}
		}
		for _, c := range impostors(n) {
			refused[d.wantImpostor(t, c)] = true
		}
		d.later(30 * time.Second)
	}
	if refused[http.StatusServiceUnavailable] {
		t.Error("somebody who was turned away was told to try again later")
	}
	written.set(d.name, delegatedWrong, statuses(refused))
	cost := ""
	if !d.noBasic {
		cost = fmt.Sprintf("%d, then 1", methods[0].first)
	}
	written.set(d.name, delegatedCost, cost)
}

// allAtOnce lets the client and guesses push at the same time, before the gateway knows anything.
func (d *delegated) allAtOnce(t *testing.T) {
	if d.noBasic {
		return
	}
	d.take()
	var wg sync.WaitGroup
	guesses := impostors(100)
	for n := range 8 {
		wg.Go(func() {
			if res := d.pushAs(t, rightByBasic); res.Status != http.StatusCreated {
				t.Errorf("%s: %d %s", rightByBasic, res.Status, res.Body)
			}
		})
		wg.Go(func() { d.wantImpostor(t, guesses[n]) })
	}
	wg.Wait()
	var right []question
	for _, q := range d.take() {
		if user, secret, _ := (&http.Request{Header: http.Header{"Authorization": {q.authorization}}}).BasicAuth(); user == clientID && secret == clientSecret {
			right = append(right, q)
		}
	}
	if perProbe := countProbes(right); len(perProbe) == 0 || slices.Max(slices.Collect(maps.Values(perProbe))) > 1 {
		t.Errorf("the server was asked about one secret more than once%s", list(right))
	}
}

func countProbes(asked []question) map[string]int {
	count := map[string]int{}
	for _, q := range asked {
		count[q.probe()]++
	}
	return count
}

// guessesFirst lets impostors push before the gateway knows anything of the server.
func (d *delegated) guessesFirst(t *testing.T) {
	refused := map[int]bool{}
	for n, c := range impostors(200) {
		if n%6 == 5 {
			d.later(time.Minute)
		}
		refused[d.wantImpostor(t, c)] = true
	}
	written.set(d.name, delegatedCold, statuses(refused))
	d.later(time.Minute)
	d.wantRight(t, rightByBasic, !d.noBasic)
	d.wantRight(t, rightByPost, !d.noPost)
}

// publicFirst lets the public client push before the gateway knows that the server looks at secrets.
func (d *delegated) publicFirst(t *testing.T) {
	res := d.pushAs(t, rightPublic)
	asked := d.take()
	if (res.Status == http.StatusCreated) != (!d.noPublic && !d.latePublic) {
		t.Errorf("%s: %d %s%s", rightPublic, res.Status, res.Body, list(asked))
	}
	if d.latePublic && res.Status != http.StatusServiceUnavailable {
		t.Errorf("%s: %d", rightPublic, res.Status)
	}
	for _, c := range impostors(300) {
		if c.bodyID == publicID || c.id == publicID {
			d.wantImpostor(t, c)
		}
	}
}

// unusualAnswers asks a server, whose answer to a client is an unusual one, without PROBE_ACCEPT: nobody may push.
func (d *delegated) unusualAnswers(t *testing.T) {
	if d.probeAccept == nil {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asIs := *d.site
	gateway := harness.InFrontOf(t, l, d.upstream, harness.Setup{Clients: "[]", Options: func(o *proxy.Options) {
		o.Delegation = proxy.DelegateOthers
		o.Issuer.PublicURL, _ = url.Parse(d.public)
	}})
	asIs.endpoint = gateway.URL + strings.TrimPrefix(d.endpoint, d.public)
	for _, c := range []credentials{rightByBasic, rightByPost, rightPublic} {
		if res := (&delegated{site: &asIs}).pushAs(t, c); res.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", c, res.Status, res.Body)
		}
	}
	refused := gateway.Logs.FilterMessage("refused").All()
	if len(refused) == 0 || !strings.Contains(fmt.Sprint(refused[0].ContextMap()["reason"]), d.probeAccept[0]) {
		t.Errorf("the log does not say which answer it was: %v", refused)
	}
}

// login lets a client that only the server knows sign its user in.
func (d *delegated) login(t *testing.T) {
	if d.noBasic {
		written.set(d.name, delegatedLogin, "")
		return
	}
	written.set(d.name, delegatedLogin, d.site.login(t))
}
