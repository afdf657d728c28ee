package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
)

// marker remembers across replicas which assertions were used.
type marker interface {
	// Mark reports whether id is seen for the first time within life. The holder's share of the room is what it takes.
	Mark(ctx context.Context, holder, id string, life time.Duration) (first bool, err error)
}

// Options are what an Authenticator is made of. Fields without a stated zero value are required.
type Options struct {
	Clients *Registry
	Marks   marker
	Log     *zap.Logger      // nil: no log
	Metrics *metrics.Metrics // nil: nothing is exported

	Audience   Audience              // of assertions, where a client has none of its own; empty means AudienceRFC9126
	Algorithms []string              // with which assertions and request objects may be signed, by jwt.Canonical's names; nil: all that are known
	Roots      func() *x509.CertPool // authorities that issue certificates for tls_client_auth; nil: none does

	Source func(ctx context.Context) string // names the address that a push comes from, where guesses are slowed down; nil: they are not

	AllowPrivateKeySets bool           // a jwks_uri may lead to loopback and private addresses
	KeySetRoots         *x509.CertPool // authorities for a jwks_uri; nil: the system's

	// WrapKeySets returns the transport with which key sets are fetched, made of the one that knows where it may go. Nil: that one.
	WrapKeySets func(http.RoundTripper) http.RoundTripper

	Now func() time.Time // nil: time.Now
}

// Authenticator authenticates the clients of a registry. What fails is told to everybody in one wording, whether the
// client exists or not, and after the same work; only who has proven to be a client is told what else is wrong.
type Authenticator struct {
	Options
	verified *verifiedSecrets
	hashing  chan struct{} // one for each computation of a hash
	decoys   *decoys
	throttle *throttle
	fetcher  *fetcher
	work     func(string) // counts in tests what is dear; nil: nobody does
}

// What is dear, and counted.
const (
	workHash      = "hash"
	workSignature = "signature"
	workChain     = "chain"
)

// maxHashing bounds the hashes that are computed at once: each may take 128 MiB.
const (
	maxHashing  = 4
	maxHashWait = 2 * time.Second
)

// NewAuthenticator returns an authenticator. It opens no connection.
func NewAuthenticator(o Options) (*Authenticator, error) {
	switch {
	case o.Clients == nil:
		return nil, errors.New("client: no registry")
	case o.Marks == nil:
		return nil, errors.New("client: no marks")
	}
	o.Log = cmp.Or(o.Log, zap.NewNop())
	if o.Metrics == nil {
		o.Metrics = metrics.New(nil)
	}
	o.Audience = cmp.Or(o.Audience, AudienceRFC9126)
	if o.Now == nil {
		o.Now = time.Now
	}
	var outside http.RoundTripper = newOutsideTransport(o.KeySetRoots, o.AllowPrivateKeySets)
	if o.WrapKeySets != nil {
		outside = o.WrapKeySets(outside)
	}
	decoys, err := newDecoys()
	return &Authenticator{
		Options: o, verified: newVerifiedSecrets(), decoys: decoys, throttle: newThrottle(),
		hashing: make(chan struct{}, min(maxHashing, runtime.GOMAXPROCS(0))),
		fetcher: newFetcher(outside),
	}, err
}

// nobody stands for a client that does not exist.
var nobody = new(Client)

// Authenticate returns the client that cred proves (RFC 9126 §2.1, step 1). Who shows many wrong secrets at one address has
// to wait there (RFC 6749 §2.3.1), whether the client exists or not. Signatures cannot be guessed.
func (a *Authenticator) Authenticate(ctx context.Context, cred Credentials, at Server) (*Client, error) {
	c, method, err := a.throttled(ctx, cred, at)
	a.Metrics.Authentications.Inc(metrics.AuthMethodOf(method), metrics.ByFile, resultOf(err))
	return c, err
}

// throttled is authenticate for who has not failed too often. method is the one by which a client was proven, and else the one
// that was tried.
func (a *Authenticator) throttled(ctx context.Context, cred Credentials, at Server) (c *Client, method string, err error) {
	ids, err := cred.clientIDs()
	if err != nil || a.Source == nil || cred.proof.value().secrets == nil {
		return a.authenticate(ctx, cred, at)
	}
	source := a.Source(ctx)
	if wait := a.throttle.blocked(ids[0], source, a.Now()); wait > 0 {
		return nil, cred.Method, slowDown(wait, errors.New("too many failed attempts"))
	}
	c, method, err = a.authenticate(ctx, cred, at)
	if isStatus(err, http.StatusUnauthorized) {
		a.throttle.failed(ids[0], source, a.Now())
	}
	return c, method, err
}

// resultOf is what an attempt to authenticate that ended with err counts as.
func resultOf(err error) metrics.AuthResult {
	var told *oauth.Error
	switch {
	case err == nil:
		return metrics.AuthOK
	case isStatus(err, http.StatusTooManyRequests):
		return metrics.AuthSlowed
	case errors.As(err, &told) && told.Status < 500:
		return metrics.AuthRefused
	}
	return metrics.AuthError
}

func (a *Authenticator) authenticate(ctx context.Context, cred Credentials, at Server) (c *Client, method string, err error) {
	// 1. Who it says it is.
	ids, err := cred.clientIDs()
	if err != nil {
		return nil, cred.Method, err
	}

	// 2. Whether that is so. Two clients may be called alike in the two encodings of Basic: the one that is proven is meant.
	var reasons []error
	for _, id := range ids {
		candidate := cmp.Or(a.Clients.Lookup(id), nobody)
		proven, reason := a.prove(ctx, candidate, cred)
		if reason == nil {
			c, method = candidate, proven
			break
		}
		reasons = append(reasons, reason)
	}
	if c == nil {
		return nil, cred.Method, asFailure(cred, reasons)
	}

	// 3. Whether it may prove itself so.
	if !c.uses(method) {
		return nil, method, oauth.InvalidClient(fmt.Sprintf("%s was used, but this client is registered for %s",
			method, strings.Join(c.AuthMethods, " or ")), cred.Challenged()).ChangedBy("token_endpoint_auth_method in CLIENTS_FILE")
	}
	if cred.proof.value().secrets != nil || method == MethodSecretJWT {
		if !c.secretExpires.IsZero() && !a.Now().Before(c.secretExpires) {
			return nil, method, oauth.InvalidClient("the client_secret has expired", cred.Challenged()).ChangedBy("client_secret_expires_at in CLIENTS_FILE")
		}
	}

	// 4. Whether the assertion is for here, for now, and for once.
	if s := cred.proof.value().assertion; s != nil {
		if err := a.accept(ctx, c, s, at); err != nil {
			return nil, method, err
		}
	}
	return c, method, nil
}

// asFailure tells every failure alike. Trouble of ours is another thing.
func asFailure(cred Credentials, reasons []error) error {
	for _, reason := range reasons {
		var told *oauth.Error
		if errors.As(reason, &told) {
			return told
		}
	}
	i := max(0, slices.IndexFunc(reasons, func(err error) bool { return !errors.Is(err, errUnknown) }))
	return oauth.InvalidClient("client authentication failed", cred.Challenged()).Because(reasons[i]).ChangedBy("CLIENTS_FILE")
}

var errUnknown = errors.New("unknown client")

// prove returns the method by which cred proves that it comes from c, and else the reason for the log. It does not ask
// whether c is registered for it, but where the method shows only there.
func (a *Authenticator) prove(ctx context.Context, c *Client, cred Credentials) (method string, err error) {
	method = cred.Method
	switch proof := cred.proof.value(); {
	case cred.certificateDecides(c):
		method, err = a.checkCertificate(ctx, c, cred.Certificate)
	case proof.assertion != nil:
		err = a.verify(ctx, c, proof.assertion)
	case proof.secrets != nil:
		err = a.checkSecret(ctx, c, proof.secrets)
	case !c.Public():
		err = errors.New("a confidential client sent no credentials")
	}
	var trouble *oauth.Error
	switch {
	case errors.As(err, &trouble):
	case c == nobody:
		return "", errUnknown
	case err != nil && !c.uses(cred.Method) && cred.Method != MethodNone:
		return "", fmt.Errorf("%w, and %s is not registered", err, cred.Method)
	}
	return method, err
}

// certificateDecides reports whether the certificate of the connection is what the client proves itself with. It may be
// there for other reasons: so a public client need not, and beside another method it counts where that one is not
// registered, and alone then.
func (c Credentials) certificateDecides(of *Client) bool {
	switch {
	case c.Certificate == nil:
		return false
	case c.Method == MethodNone:
		return !of.Public()
	}
	return of.uses(MethodTLS, MethodSelfSignedTLS) && !of.uses(c.Method)
}

// checkSecret returns nil when one of the texts is c's secret, and else the reason for the log. Where the client file
// has hashes, each text that is not costs one computation, whoever c is. One that was right before costs none.
func (a *Authenticator) checkSecret(ctx context.Context, c *Client, texts []string) error {
	kept := c.secret.value()
	for _, text := range texts {
		if kept.is(text) || kept.hash != nil && a.verified.has(kept.hash, text) {
			return nil
		}
	}
	hash := kept.hash
	if hash == nil {
		hash = a.Clients.decoy()
	}
	if hash == nil {
		return errors.New("wrong secret")
	}
	for _, text := range texts {
		matches, err := a.compute(ctx, hash, text)
		if err != nil {
			return err
		}
		if matches {
			return nil
		}
	}
	return errors.New("wrong secret")
}

// compute compares text with a hash, when its turn has come. Another one's turn may have shown meanwhile that it is right.
func (a *Authenticator) compute(ctx context.Context, hash slowHash, text string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, maxHashWait)
	defer cancel()
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return false, oauth.TemporarilyUnavailable("too many secrets are being checked; try again").Because(ctx.Err())
	}
	if a.verified.has(hash, text) {
		return true, nil
	}
	a.worked(workHash)
	matches := hash.matches(text)
	if matches {
		a.verified.add(hash, text)
	}
	return matches, nil
}

func (a *Authenticator) worked(what string) {
	if a.work != nil {
		a.work(what)
	}
}

// accept checks a client's own assertion. It is told what is wrong: nobody else can have signed it.
func (a *Authenticator) accept(ctx context.Context, c *Client, s *assertion, at Server) error {
	a.Log.Debug("client assertion", zap.String("client_id", c.ID), zap.String("algorithm", s.Algorithm), zap.String("audience", s.claims.seen(at)))
	if !c.mayUse(s) {
		return oauth.InvalidClient(fmt.Sprintf("client_assertion is signed with %s, but this client is registered for %s",
			s.Algorithm, cmp.Or(c.SigningAlg, "HS256")), false)
	}
	now := a.Now()
	rules := AssertionRules{Audience: cmp.Or(c.Audience, a.Audience), Algorithms: a.Algorithms, At: at}
	a.Metrics.Assertions.Inc(metrics.AudienceOf(s.claims.seen(at)), metrics.AcceptedIf(rules.Audience.takes(s.claims, at)))
	if err := rules.check(s, now); err != nil {
		return err
	}
	// Last, so that what is refused for another reason, or was signed by somebody else, uses nothing up.
	first, err := a.Marks.Mark(ctx, markOf("client", at.Issuer, c.ID), markOf("client_assertion", at.Issuer, c.ID, s.claims.id), s.claims.remaining(now))
	switch {
	case err != nil:
		return oauth.TemporarilyUnavailable("the client_assertion could not be checked; make a new one").Because(err)
	case !first:
		return oauth.InvalidClient("client_assertion was used before; make one for each request, with a jti of its own", false)
	}
	return nil
}

// mayUse reports whether the algorithm is the client's.
func (c *Client) mayUse(s *assertion) bool {
	if c.SigningAlg != "" {
		return c.SigningAlg == s.Algorithm
	}
	return s.method() == MethodPrivateKeyJWT || s.Algorithm == "HS256"
}

// markOf names what is marked, or who marks it. No two lists give one name.
func markOf(kind string, parts ...string) string {
	for _, part := range parts {
		kind += " " + strconv.Itoa(len(part)) + ":" + part
	}
	return kind
}
