package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/count"
	"pargate/test/harness"
)

// TestEveryLoginGoesAsTheModelGoes: pushes, visits of several browsers, continued and finished logins, reloads, links
// that others have got hold of, lost replies of the store, a clock that passes or is set back, and a store that forgets,
// in any order and at either of two gateways: each is answered as a plain model says, the upstream gets exactly what was
// pushed, and there is one response to a push.
func TestEveryLoginGoesAsTheModelGoes(t *testing.T) {
	t.Parallel()
	c := newClock()
	store := &modelStore{Store: memory()}
	up := startTwoStep(t)
	options := func(o *proxy.Options) { o.PARRequired, o.Now = true, c.Now }
	a := harness.InFrontOf(t, up.public, up.url, harness.Setup{Store: store, Options: options})
	b := harness.InFrontOf(t, listen(t), up.url, harness.Setup{Store: store, Options: options})
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	ended, lost := 0, 0
	count.Sequences(t, count.Of(10_000), func(rt *rapid.T) {
		store.replace(c)
		up.reset()
		l := &logins{t: t, gateways: []*harness.Gateway{a, b}, store: store, clock: c, upstream: up}
		for range 3 {
			l.browsers = append(l.browsers, harness.NewBrowser(a.URL).KeepingAlive(transport))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"Push": l.push, "Visit": l.visit, "VisitOnceMore": l.visit, "VisitOnceAgain": l.visit, "GoOn": l.goOn, "SignIn": l.signIn, "SignInOnceMore": l.signIn,
			"Scan": l.scan, "Pass": l.pass, "SetBack": l.setBack, "Forget": l.forget,
		})
		ended, lost = ended+l.ended, lost+l.losses
	})
	if t.Logf("%d logins came to their end, %d replies were lost", ended, lost); ended == 0 || lost == 0 {
		t.Error("that is too few")
	}
}

const (
	modelWindow = 60 * time.Second
	modelLogin  = 30 * time.Minute
)

// logins does the same to gateways and to a model, and compares what they say.
type logins struct {
	t        *testing.T
	gateways []*harness.Gateway
	browsers []*harness.Browser
	store    *modelStore
	clock    *clock
	upstream *twoStep
	pushes   []*modelFlow
	ended    int // logins
	losses   int
}

// modelFlow is a push and what has become of it.
type modelFlow struct {
	uri, state string
	ends       time.Time
	owner      *harness.Browser
	finished   bool
	bounced    map[*harness.Browser]bool // has its cookie
	next       string                    // the address of the second step, as the first has said
}

func (l *logins) live(p *modelFlow) bool { return l.clock.Now().Before(p.ends) }

// mine reports whether the browser's login goes on.
func (l *logins) mine(p *modelFlow, b *harness.Browser) bool {
	return l.live(p) && p.owner == b && !p.finished
}

// draw picks a push and a browser, and perhaps an operation of the store of which the next reply is lost.
func (l *logins) draw(rt *rapid.T, losable ...string) (*modelFlow, *harness.Browser) {
	if len(l.pushes) == 0 {
		rt.Skip("nothing is pushed")
	}
	l.lose(rt, losable...)
	if rapid.IntRange(0, 3).Draw(rt, "anybody") > 0 { // or few would come far
		return l.pushes[len(l.pushes)-1], l.browsers[0]
	}
	return rapid.SampledFrom(l.pushes).Draw(rt, "push"), rapid.SampledFrom(l.browsers).Draw(rt, "browser")
}

func (l *logins) lose(rt *rapid.T, losable ...string) {
	l.store.lose("")
	if rapid.IntRange(0, 9).Draw(rt, "lost") == 9 {
		l.store.lose(rapid.SampledFrom(losable).Draw(rt, "operation"))
	}
}

// at is an address of one of the gateways at either of them.
func (l *logins) at(rt *rapid.T, address string) string {
	g := rapid.SampledFrom(l.gateways).Draw(rt, "gateway")
	for _, other := range l.gateways {
		address = strings.TrimPrefix(address, other.URL)
	}
	return g.URL + address
}

// want compares a status with the model's, unless a reply of the store was lost on the way.
func (l *logins) want(rt *rapid.T, what string, res harness.Response, status int) {
	rt.Helper()
	if l.store.lost() {
		status = http.StatusServiceUnavailable
		l.losses++
	}
	if res.Status != status {
		rt.Fatalf("%s: %d, want %d: %s", what, res.Status, status, firstLine(res.Body))
	}
	if complaint := l.upstream.complaint(); complaint != "" {
		rt.Fatalf("%s: %s", what, complaint)
	}
}

func firstLine(body string) string {
	_, text, _ := strings.Cut(body, "<h1>")
	return clipped(text)
}

func (l *logins) push(rt *rapid.T) {
	if len(l.pushes) == 4 { // a browser has five logins at most
		rt.Skip("enough")
	}
	if len(l.pushes) > 0 && !seldom(rt) {
		return
	}
	l.lose(rt, "Put")
	state := fmt.Sprint("state-", len(l.pushes))
	form := harness.Form("state", state, "nonce", "n-"+state)
	res := l.browsers[0].Post(l.t, l.at(rt, "/par"), form.Encode(), asWeb)
	l.want(rt, "push", res, http.StatusCreated)
	if res.Status != http.StatusCreated {
		return
	}
	uri, _ := res.JSON(l.t)["request_uri"].(string)
	l.upstream.expect(state, form)
	l.pushes = append(l.pushes, &modelFlow{uri: uri, state: state, ends: l.clock.Now().Add(modelWindow), bounced: map[*harness.Browser]bool{}})
}

// visit opens a push, as often as the browser likes.
func (l *logins) visit(rt *rapid.T) {
	p, b := l.draw(rt, "Look", "Open", "Continue")
	before := l.upstream.reached()
	res := b.Get(l.t, l.at(rt, harness.Short("web", p.uri)))
	switch {
	case !p.bounced[b]:
		pending := l.live(p) && p.owner == nil
		l.want(rt, "first visit", res, ifElse(pending, 303, 400))
		p.bounced[b] = res.Status == http.StatusSeeOther
		return
	case l.live(p) && p.owner == nil:
		p.owner, p.ends = b, l.clock.Now().Add(modelLogin)
	}
	l.want(rt, "visit", res, ifElse(l.mine(p, b), 302, 400))
	if res.Status == http.StatusFound {
		if u, err := url.Parse(res.Location); err != nil || u.Path != "/authorize/login" || u.Query().Has("state") {
			rt.Fatalf("the second step is at %s", res.Location)
		}
		p.next = res.Location
	}
	if l.upstream.reached() > before && !l.mine(p, b) {
		rt.Fatal("a visit that opens nothing has reached the upstream")
	}
}

// goOn follows the first step's redirect; it may be that of another browser's login.
func (l *logins) goOn(rt *rapid.T) {
	p, b := l.draw(rt, "Flow")
	if p.next == "" {
		return // there is no second step
	}
	before := l.upstream.reached()
	res := b.Get(l.t, l.at(rt, p.next))
	l.want(rt, "second step", res, ifElse(l.mine(p, b), 200, 400))
	if l.upstream.reached() > before && !l.mine(p, b) {
		rt.Fatal("another's second step has reached the upstream")
	}
}

// signIn sends the second step's form, which ends the login.
func (l *logins) signIn(rt *rapid.T) {
	p, b := l.draw(rt, "Flow", "Finish")
	if p.next == "" {
		return // there is no second step
	}
	mine := l.mine(p, b)
	before := l.upstream.reached()
	res := b.Post(l.t, l.at(rt, p.next), "username=u&password=p%E4ss")
	l.want(rt, "sign in", res, ifElse(mine, 302, 400))
	if reached := l.upstream.reached() > before; reached && !mine {
		rt.Fatal("another's form has reached the upstream")
	} else if reached { // also when nobody gets to know
		p.finished, p.ends = true, l.clock.Now().Add(modelLogin)
		l.ended++
	}
	if to, err := url.Parse(res.Location); res.Status == http.StatusFound &&
		(err != nil || to.Host != "app.example" || to.Query().Get("state") != p.state || to.Query().Get("iss") != l.gateways[0].URL) {
		rt.Fatalf("the response goes to %s", res.Location)
	}
}

// scan is a program that looks at a link before a person does.
func (l *logins) scan(rt *rapid.T) {
	p, _ := l.draw(rt, "Look")
	address := l.at(rt, harness.Short("web", p.uri))
	scanner := harness.NewBrowser(l.gateways[0].URL)
	scanner.KeepingAlive(http.DefaultTransport.(*http.Transport))
	switch rapid.IntRange(0, 2).Draw(rt, "how") {
	case 0:
		l.want(rt, "HEAD", scanner.Do(l.t, "HEAD", address, nil), 200)
	case 1:
		l.want(rt, "prefetch", scanner.Get(l.t, address, setHeader("Sec-Purpose", "prefetch")), 400)
	case 2:
		l.want(rt, "a visit that keeps no cookie", scanner.Get(l.t, address+"&pargate=1"), 400)
	}
}

func (l *logins) pass(rt *rapid.T) {
	if !seldom(rt) {
		return
	}
	l.clock.advance(time.Duration(rapid.SampledFrom([]int{1, 30, 59, 60, 600, 1799, 1800, 1801}).Draw(rt, "seconds")) * time.Second)
}

// setBack sets the clock back. What has ended stays so once somebody has asked for it, and here somebody has.
func (l *logins) setBack(rt *rapid.T) {
	if !seldom(rt) {
		return
	}
	d := time.Duration(rapid.IntRange(1, 4000).Draw(rt, "seconds")) * time.Second
	for range 20 {
		l.store.Ping(context.Background())
	}
	for _, p := range l.pushes {
		if !l.live(p) {
			p.ends = time.Time{}
		}
	}
	l.clock.advance(-d)
}

// forget is a failover to a store that has nothing.
func (l *logins) forget(rt *rapid.T) {
	if !seldom(rt) {
		return
	}
	l.store.replace(l.clock)
	for _, p := range l.pushes {
		p.ends = time.Time{}
	}
}

// seldom leaves logins the time to go on.
func seldom(rt *rapid.T) bool { return rapid.IntRange(0, 3).Draw(rt, "really") == 3 }

func ifElse(yes bool, then, otherwise int) int {
	if yes {
		return then
	}
	return otherwise
}

// modelStore loses the reply to one operation: it happens, and the gateway does not get to know.
type modelStore struct {
	pushstore.Store // read by store
	mu              sync.Mutex
	next            string // the operation
	fired           bool
}

var errLost = errors.New("the reply is lost")

// replace makes it an empty store with the clock.
func (s *modelStore) replace(c *clock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Store = pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: modelLogin, Now: c.Now})
}

func (s *modelStore) store() pushstore.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store
}

func (s *modelStore) lose(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.fired = operation, false
}

// lost reports whether a reply was lost since lose.
func (s *modelStore) lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// reply returns err, or that the reply is lost.
func (s *modelStore) reply(operation string, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != operation {
		return err
	}
	s.next, s.fired = "", true
	return errLost
}

func (s *modelStore) Ping(ctx context.Context) error { return s.store().Ping(ctx) }

func (s *modelStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	ref, err := s.store().Put(ctx, p, r, window)
	return ref, s.reply("Put", err)
}

func (s *modelStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	state, err := s.store().Look(ctx, p, ref)
	return state, s.reply("Look", err)
}

func (s *modelStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	f, err := s.store().Open(ctx, p, ref, o)
	return f, s.reply("Open", err)
}

func (s *modelStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	f, err := s.store().Flow(ctx, p, ref, o)
	return f, s.reply("Flow", err)
}

func (s *modelStore) Continue(ctx context.Context, f pushstore.Flow, secret []byte, difference string) (pushstore.Reference, error) {
	ref, err := s.store().Continue(ctx, f, secret, difference)
	return ref, s.reply("Continue", err)
}

func (s *modelStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	won, err := s.store().Finish(ctx, f, response)
	return won, s.reply("Finish", err)
}

// twoStep is an upstream that sends its users on to a login page with the whole request in the address, and knows
// nothing itself.
type twoStep struct {
	url    string
	public net.Listener // the gateway's

	mu       sync.Mutex
	expected map[string]string // by state: what was pushed
	seen     int
	wrong    string
}

func startTwoStep(t *testing.T) *twoStep {
	t.Helper()
	s := &twoStep{public: listen(t)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *twoStep) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected, s.seen, s.wrong = map[string]string{}, 0, ""
}

func (s *twoStep) expect(state string, form url.Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected[state] = form.Encode()
}

// reached is how many requests have come.
func (s *twoStep) reached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// complaint is about a request that was not pushed.
func (s *twoStep) complaint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}

// ServeHTTP implements http.Handler.
func (s *twoStep) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	origin := "http://" + s.public.Addr().String()
	if strings.Contains(r.URL.Path, "/.well-known/") {
		if r.URL.Path != oidcPath {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`, origin, origin+"/authorize", origin+"/token")
		return
	}
	query := r.URL.Query()
	s.mu.Lock()
	s.seen++
	if want := s.expected[query.Get("state")]; query.Encode() != want {
		s.wrong = fmt.Sprintf("the upstream got %s, want %s", query.Encode(), want)
	}
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/authorize":
		http.Redirect(w, r, "/authorize/login?"+r.URL.RawQuery, http.StatusFound)
	case r.Method == http.MethodPost:
		http.Redirect(w, r, query.Get("redirect_uri")+"?code=c0de&state="+url.QueryEscape(query.Get("state")), http.StatusFound)
	default:
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<form method="post"><input name="username"><input name="password" type="password"></form>`)
	}
}
