package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
)

const (
	refreshInterval = time.Minute            // between two readings of the metadata
	firstRetry      = 250 * time.Millisecond // after a failed first reading; doubled up to lastRetry
	lastRetry       = 5 * time.Second
	metadataTimeout = 10 * time.Second // for one reading of both documents
	connectionAge   = 5 * time.Minute  // after which connections that are idle are opened anew
	silence         = 30 * time.Second // of an upstream that acknowledges nothing: it is gone
)

// upstream is the authorization server behind the gateway, as far as it is known.
type upstream struct {
	issuer Issuer
	policy policy
	client *http.Client // for metadata
	hop    string       // names this process, for hopHeader
	log    *zap.Logger

	metrics *metrics.Metrics

	current atomic.Pointer[endpoints] // nil until the first reading succeeds

	mu     sync.Mutex
	status string // why it is not ready; empty when it is
	logged string
}

// newTransport returns the one transport to the upstream. It goes through no proxy that the environment names,
// speaks HTTP/1.1, and neither adds nor takes away a compression. Connections that are kept are closed before most
// servers close theirs, so that a request seldom meets the end of one; an upstream that vanishes without a word is
// noticed within a minute, also in the middle of a response.
//
// roots are asked for every new connection, so that other authorities need no other transport; nil means the system's.
func newTransport(timeout time.Duration, roots func() *x509.CertPool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{
		Timeout:         2 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3},
		Control:         endAfterSilence,
	}
	return &http.Transport{
		Protocols:   protocols,
		DialContext: dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return openTLS(ctx, conn, addr, roots)
		},
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        30 * time.Second,
		ResponseHeaderTimeout:  timeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true,
	}
}

const handshakeTimeout = 3 * time.Second // to open TLS to the upstream

// openTLS makes conn, which leads to addr, one of TLS.
func openTLS(ctx context.Context, conn net.Conn, addr string, roots func() *x509.CertPool) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		conn.Close()
		return nil, err
	}
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if roots != nil {
		config.RootCAs = roots()
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// known returns what is known of the upstream; nil before the first reading.
func (u *upstream) known() *endpoints { return u.current.Load() }

// trouble returns why the upstream's endpoints cannot be relied on; empty when they can.
func (u *upstream) trouble() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

// run reads the metadata until ctx ends: at short intervals until it is known, then every minute.
func (u *upstream) run(ctx context.Context) {
	retry := firstRetry
	for ctx.Err() == nil {
		u.refresh(ctx)
		wait := refreshInterval
		if u.known() == nil {
			wait = retry
			retry = min(2*retry, lastRetry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// renewConnections closes the idle connections every interval until ctx ends. The next ones follow the upstream's name
// to where it leads by then. One that is in use stays until it is idle at another time.
func (u *upstream) renewConnections(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			u.client.CloseIdleConnections()
		}
	}
}

// refresh reads the metadata once. What is known stays when the reading fails, and when it would take protection
// away; that last is told by the readiness, since somebody must look at it. A reading that ends with ctx says nothing of the
// upstream.
func (u *upstream) refresh(ctx context.Context) {
	reading, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	old := u.known()
	next, err := u.read(reading)
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil && old != nil:
		u.metrics.MetadataReads.Inc(metrics.RefreshFailed)
		u.say("", "upstream metadata cannot be read; keeping what is known", zap.Error(err))
	case err != nil:
		u.metrics.MetadataReads.Inc(metrics.RefreshFailed)
		u.say(err.Error(), "upstream is not known yet; trying again", zap.Error(err))
	case old != nil && next.issuer != old.issuer:
		u.metrics.MetadataReads.Inc(metrics.RefreshIssuer)
		u.say(fmt.Sprintf("the issuer changed from %s to %s; restart to accept it", old.issuer, next.issuer),
			"upstream metadata refused: the issuer changed", zap.String("known", old.issuer), zap.String("seen", next.issuer))
	case old != nil && !next.covers(old):
		u.metrics.MetadataReads.Inc(metrics.RefreshEndpoint)
		u.say(fmt.Sprintf("the authorization endpoints changed from %v to %v; restart to accept it", old.authorize, next.authorize),
			"upstream metadata refused: an authorization endpoint would no longer be protected",
			zap.Strings("known", old.authorize), zap.Strings("seen", next.authorize))
	default:
		u.metrics.MetadataReads.Inc(metrics.RefreshOK)
		u.current.Store(next)
		u.announce(next)
	}
}

// read finds the upstream's endpoints.
func (u *upstream) read(ctx context.Context) (*endpoints, error) {
	public := u.issuer.PublicURL
	if public == nil {
		public = u.issuer.UpstreamURL
	}
	oidc, oauth, err := u.fetchDocuments(ctx, public)
	if errors.Is(err, errNoMetadata) {
		return u.issuer.resolveStatic(u.policy)
	}
	if err != nil {
		return nil, err
	}
	e, err := u.issuer.resolve(oidc, oauth, u.policy)
	if u.issuer.PublicURL != nil || e != nil && sameOrigin(e.public, public) {
		return e, err
	}
	// The public name has just been learned. Servers that build URLs from Host need to be asked under it.
	renamed := u.issuer
	if renamed.PublicURL = publicOf(oidc, oauth); renamed.PublicURL == nil {
		return nil, err
	}
	if oidc, oauth, err = u.fetchDocuments(ctx, renamed.PublicURL); err != nil {
		return nil, err
	}
	return renamed.resolve(oidc, oauth, u.policy)
}

// announce logs what was learned, once.
func (u *upstream) announce(e *endpoints) {
	fields := []zap.Field{zap.String("issuer", e.issuer), zap.String("source", e.source), zap.Strings("authorize", e.authorize)}
	if e.push != "" {
		fields = append(fields, zap.String("push", e.pushURL()))
	}
	if warnings := u.warnings(e); warnings != nil {
		fields = append(fields, zap.String("warning", strings.Join(warnings, "; ")))
	}
	if e.native != "" {
		if u.policy.requirePAR {
			fields = append(fields, zap.String("note", "with PAR_REQUIRED its own references are refused; requests must be pushed here"))
		}
		u.say("", "upstream already offers PAR: its metadata is left alone, and its references are passed on",
			append(fields, zap.String("upstream_push", e.native))...)
		return
	}
	u.say("", "upstream is known", fields...)
}

// warnings are about what was learned.
func (u *upstream) warnings(e *endpoints) []string {
	if u.issuer.PublicURL == nil && sameOrigin(e.public, u.issuer.UpstreamURL) {
		return append([]string{goesAround}, e.warnings...)
	}
	return e.warnings
}

// goesAround: an authorization server that calls itself by the address at which the gateway reaches it sends everybody
// there.
const goesAround = "the issuer has the address of UPSTREAM_URL, so clients and browsers go around the gateway; give the server the gateway's address as its issuer, or set PUBLIC_URL"

// say keeps the status and logs the message, unless the same was logged last about the same endpoints.
func (u *upstream) say(status, message string, fields ...zap.Field) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status = status
	news := message + "\x00" + status
	if e := u.known(); e != nil {
		news += fmt.Sprint(e.authorize, e.push, e.native, e.warnings)
	}
	if news == u.logged {
		return
	}
	u.logged = news
	level := zap.InfoLevel
	if status != "" || slices.ContainsFunc(fields, func(f zap.Field) bool { return f.Key == "error" || f.Key == "warning" }) {
		level = zap.WarnLevel
	}
	u.log.Log(level, message, fields...)
}
