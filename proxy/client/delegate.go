package client

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// DelegateOptions are what a Delegate is made of. Fields without a stated zero value are required.
type DelegateOptions struct {
	Transport http.RoundTripper       // to the upstream; as such it follows no redirect and keeps no cookie
	Endpoints func() Endpoints        // where to ask; called for each client that is asked about
	Prepare   func(req *http.Request) // sets Host and forwarding headers of a probe, whose context has the push's values; nil: there are none
	Accept    []string                // error codes at the token endpoint that say as much as invalid_grant; nil: none

	Keep       time.Duration // for how long right credentials are not asked about again, at most a minute; zero means 10 s, less: not at all
	Calibrated time.Duration // for how long negative controls are believed; zero means 10 min
	Timeout    time.Duration // of one probe; zero means 2 s

	// Assertions says which assertions of a client are taken, as far as no answer of the upstream shows it. Nil: none are.
	Assertions func(ctx context.Context, clientID string) AssertionRules
	// Mark reports whether id is seen for the first time within life, on every replica; it takes of the holder's share of the
	// room. Nil: assertions are refused.
	Mark func(ctx context.Context, holder, id string, life time.Duration) (first bool, err error)

	// Source names the address that a push comes from. Nil: all come from one.
	Source func(ctx context.Context) string
	// RedirectURI is the redirect_uri of a push: some upstreams look at it before they look at the code. Nil or empty:
	// they are sent one that is nobody's.
	RedirectURI func(ctx context.Context) string

	Metrics *metrics.Metrics // nil: nothing is exported
	Log     *zap.Logger      // nil: no log
	Now     func() time.Time // nil: time.Now
}

// Delegate authenticates clients by asking the upstream: it presents their credentials with a request that cannot
// succeed, and reads from the error whether they were good. Credentials are kept as digests under a key that ends
// with the process.
type Delegate struct {
	DelegateOptions
	calibrations
	key      []byte
	throttle *throttle
	running  flights[outcome]

	right   *memory[digest, *Client]
	wrong   *memory[digest, struct{}]
	trusted *memory[digest, struct{}]     // were right lately, and where: nobody's guesses slow them down
	held    *memory[[2]string, time.Time] // client and source that the upstream wants to wait, and until when
}

// digest stands for credentials.
type digest [sha256.Size]byte

// outcome is what a question has led to.
type outcome struct {
	client *Client
	err    error
}

const (
	wrongLife   = 5 * time.Second // a program that repeats itself is not asked about each time
	trustedLife = time.Hour
	longestKeep = time.Minute
)

// NewDelegate returns a Delegate. It asks nothing yet.
func NewDelegate(o DelegateOptions) (*Delegate, error) {
	switch {
	case o.Transport == nil:
		return nil, errors.New("delegate: no transport")
	case o.Endpoints == nil:
		return nil, errors.New("delegate: no endpoints")
	case o.Keep > longestKeep:
		return nil, fmt.Errorf("delegate: right credentials are kept for %s at most", longestKeep)
	case slices.Contains(o.Accept, oauth.CodeInvalidClient) || slices.Contains(o.Accept, ""):
		return nil, errors.New("delegate: invalid_client never says that a client is authenticated")
	}
	o.setDefaults()
	const many = 1 << 14
	d := &Delegate{
		DelegateOptions: o, calibrations: newCalibrations(), key: make([]byte, sha256.Size), throttle: newThrottle(),
		right: newMemory[digest, *Client](many), wrong: newMemory[digest, struct{}](many),
		trusted: newMemory[digest, struct{}](many), held: newMemory[[2]string, time.Time](many),
	}
	rand.Read(d.key)
	return d, nil
}

func (o *DelegateOptions) setDefaults() {
	if o.Keep == 0 {
		o.Keep = 10 * time.Second
	}
	if o.Calibrated == 0 {
		o.Calibrated = 10 * time.Minute
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	empty := func(context.Context) string { return "" }
	if o.Source == nil {
		o.Source = empty
	}
	if o.RedirectURI == nil {
		o.RedirectURI = empty
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New(nil)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Authenticate returns the client that cred proves to the upstream. One that has no secret and shows none is returned
// as public, and is not authenticated. Nobody else is returned: who is wrong gets invalid_client in one wording,
// whether the client exists or not, and where the upstream does not tell right from wrong, 503.
func (d *Delegate) Authenticate(ctx context.Context, cred Credentials) (*Client, error) {
	c, err := d.authenticate(ctx, cred)
	d.Metrics.Authentications.Inc(metrics.AuthMethodOf(cred.Method), metrics.ByUpstream, resultOf(err))
	return c, err
}

func (d *Delegate) authenticate(ctx context.Context, cred Credentials) (*Client, error) {
	// 1. Exactly one client and one method.
	q, err := questionOf(cred)
	if err != nil {
		return nil, err
	}
	q.redirectURI = d.RedirectURI(ctx)
	if q.asserts() {
		return d.authenticateAssertion(ctx, q)
	}

	// 2. What was answered a moment ago.
	key := d.digestOf(q)
	if o, ok := d.recall(q, key); ok {
		return o.client, o.err
	}

	// 3. Ask, once for all who want to know the same.
	for {
		mine := false
		done := d.running.start(string(key[:]), func() outcome {
			mine = true
			ctx, cancel := d.asking(ctx)
			defer cancel()
			return d.settle(ctx, q, key)
		})
		select {
		case <-ctx.Done():
			return nil, unavailable(ctx.Err())
		case o := <-done:
			if mine || !isStatus(o.err, http.StatusTooManyRequests) { // which is for another's address
				return o.client, copyOf(o.err)
			}
		}
	}
}

// asking returns the context for one round of questions: others may be waiting for the answer when the push that
// asked first has gone away.
func (d *Delegate) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 3*d.Timeout)
}

// recall returns what is remembered of the credentials.
func (d *Delegate) recall(q question, key digest) (outcome, bool) {
	now := d.Now()
	if c, ok := d.right.get(key, now); ok {
		return outcome{client: c}, true
	}
	if d.wrong.has(key, now) {
		return outcome{err: q.failed(errors.New("the same was refused a moment ago"))}, true
	}
	return outcome{}, false
}

// settle asks about q, not faster than somebody may guess, and remembers the answer.
func (d *Delegate) settle(ctx context.Context, q question, key digest) outcome {
	if o, ok := d.recall(q, key); ok {
		return o
	}
	q.trusted = d.trusted.has(key, d.Now())
	o := d.throttled(ctx, q)
	now := d.Now()
	switch {
	case o.err == nil:
		if d.Keep > 0 {
			d.right.put(key, o.client, now, d.Keep)
		}
		d.trusted.put(key, struct{}{}, now, trustedLife)
	case isStatus(o.err, http.StatusUnauthorized):
		d.wrong.put(key, struct{}{}, now, wrongLife)
		d.trusted.forget(key)
	}
	return o
}

// throttled asks about q, unless too much has failed that came like it.
func (d *Delegate) throttled(ctx context.Context, q question) outcome {
	now, source := d.Now(), d.Source(ctx)
	if until, held := d.held.get([2]string{q.id, source}, now); held {
		return outcome{err: slowDown(until.Sub(now), errors.New("the upstream has asked to wait"))}
	}
	giveBack := func() {}
	home := d.homeOf(q, source)
	known := d.trusted.has(home, now)
	// A signature cannot be guessed, so who has shown one there is not slowed at all.
	if !q.trusted && !(known && q.asserts()) {
		var wait time.Duration
		if giveBack, wait = d.throttle.take(q.id, source, known, now); wait > 0 {
			return outcome{err: slowDown(wait, errors.New("too many failed attempts"))}
		}
	}
	c, err := d.ask(ctx, q)
	if err == nil {
		giveBack()
		if q.method != MethodNone {
			d.trusted.put(home, struct{}{}, d.Now(), trustedLife)
		}
	}
	if e := new(oauth.Error); errors.As(err, &e) && e.Status == http.StatusTooManyRequests {
		until := d.Now().Add(e.RetryAfter)
		d.held.put([2]string{q.id, source}, until, d.Now(), e.RetryAfter)
	}
	return outcome{c, err}
}

// authenticateAssertion asks about an assertion. It is sent once, whatever comes of it, because upstreams take it
// once; and it is taken once here, because some upstreams take it again.
func (d *Delegate) authenticateAssertion(ctx context.Context, q question) (*Client, error) {
	a := q.assertion.value()
	if d.Assertions == nil || d.Mark == nil {
		return nil, oauth.InvalidClient("client assertions are not supported here", false)
	}
	rules := d.Assertions(ctx, q.id)
	d.Metrics.Assertions.Inc(metrics.AudienceOf(a.claims.seen(rules.At)), metrics.AcceptedIf(rules.Audience.takes(a.claims, rules.At)))
	if err := rules.check(a.assertion, d.Now()); err != nil {
		return nil, err
	}
	ctx, cancel := d.asking(ctx)
	defer cancel()
	o := d.throttled(ctx, q)
	if o.err != nil {
		return nil, o.err
	}
	// Its jti counts only now: before, everybody could have used it up who knows the client's way to count.
	if err := d.markOnce(ctx, q, "jti", q.id, a.claims.id); err != nil {
		return nil, err
	}
	return o.client, nil
}

// markOnce fails when what the parts name was there before, for as long as q's assertion lives.
func (d *Delegate) markOnce(ctx context.Context, q question, parts ...string) error {
	h := sha256.New()
	writeParts(h, parts...)
	id := "client assertion " + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	life := q.assertion.value().claims.remaining(d.Now())
	switch first, err := d.Mark(ctx, markOf(parts[0], q.id), id, life); {
	case err != nil:
		return oauth.TemporarilyUnavailable("the client assertion could not be checked; send a new one").Because(err)
	case !first:
		return q.failed(errors.New("the assertion was used before"))
	}
	return nil
}

func isStatus(err error, status int) bool {
	var e *oauth.Error
	return errors.As(err, &e) && e.Status == status
}

// copyOf returns an error that the caller may change, as an answer is made of it.
func copyOf(err error) error {
	var e *oauth.Error
	if !errors.As(err, &e) {
		return err
	}
	own := *e
	return &own
}

// digestOf returns what q's credentials are remembered by.
func (d *Delegate) digestOf(q question) (sum digest) {
	mac := hmac.New(sha256.New, d.key)
	writeParts(mac, q.method, q.id, q.secret.value())
	mac.Sum(sum[:0])
	return sum
}

// homeOf returns what a client is remembered by at an address.
func (d *Delegate) homeOf(q question, source string) (sum digest) {
	mac := hmac.New(sha256.New, d.key)
	writeParts(mac, "home", q.method, q.id, source)
	mac.Sum(sum[:0])
	return sum
}

// writeParts writes texts so that no two lists are the same.
func writeParts(w interface{ Write([]byte) (int, error) }, parts ...string) {
	for _, part := range parts {
		binary.Write(w, binary.BigEndian, uint64(len(part)))
		w.Write([]byte(part))
	}
}
