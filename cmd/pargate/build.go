package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pargate/config"
	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// filesInterval is how often the client file and the certificates are read again, to see whether they have changed.
const filesInterval = 2 * time.Second

// gateway is what the settings make, ready to serve.
type gateway struct {
	server  *proxy.Server
	clients *client.Registry // nil: no client file
	redis   *pushstore.Redis // nil: memory
	wait    int              // REDIS_WAIT_REPLICAS
	keys    *keyPair         // nil: plain HTTP
	traces  *traces          // nil: none

	upstreamRoots, clientRoots *authorities // nil: no file

	redisConfig pushstore.RedisConfig // zero: memory
	redisRoots  *authorities          // read at the start alone; nil: no file
	redisKeys   *keyPair              // nil: no file

	connections *proxy.Shares    // of the public listener
	hangups     <-chan os.Signal // SIGHUP; nil: none is received

	registry *prometheus.Registry // what /metrics shows
	metrics  *metrics.Metrics
}

// build makes a gateway out of settings that have been checked. It opens no connection. An error is one of the
// settings: a file that they name cannot be used.
func build(cfg *config.Config, log *zap.Logger) (*gateway, error) {
	g := &gateway{wait: cfg.RedisWaitReplicas, connections: connectionShares(cfg.TrustedProxies.Networks)}
	g.registry, g.metrics = newMetrics()
	g.metrics.ReadConnections(g.connections.Taken, g.connections.Total)
	var problems []error
	note := func(setting string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", setting, err))
		}
	}
	var err error
	if cfg.ClientsFile != "" {
		g.clients, err = client.LoadUnder(cfg.ClientsFile, client.Rules{Without: methodsWithout(cfg), FAPI: cfg.Profile == config.ProfileFAPI2})
		note("CLIENTS_FILE", err)
	}
	g.upstreamRoots, err = loadAuthorities("UPSTREAM_CA_FILE", cfg.UpstreamCAFile, true)
	note("UPSTREAM_CA_FILE", err)
	g.clientRoots, err = loadAuthorities("TLS_CLIENT_CA_FILE", cfg.TLSClientCAFile, false)
	note("TLS_CLIENT_CA_FILE", err)
	if cfg.TLSCertFile != "" {
		g.keys, err = loadKeyPair(cfg.TLSCertFile, cfg.TLSKeyFile)
		note("TLS_CERT_FILE", err)
		g.askClients()
	}
	g.traces, err = newTraces(cfg, log)
	note("OTEL_EXPORTER_OTLP_ENDPOINT", err)
	store := g.openStore(cfg, note)
	if len(problems) > 0 {
		g.traces.end()
		return nil, errors.Join(problems...)
	}
	g.server, err = proxy.New(proxy.Options{
		Issuer: proxy.Issuer{
			UpstreamURL: cfg.UpstreamURL, PublicURL: cfg.PublicURL, PushPath: cfg.PARPath,
			AuthorizePaths: cfg.AuthorizePath, TokenPath: cfg.TokenPath,
		},
		Store: store, Clients: g.clients, Log: log, Metrics: g.metrics, Tracer: g.traces.tracer(),
		Delegation: delegations[cfg.ClientAuth], ProbeAccept: cfg.ProbeAccept,
		Audience: client.Audience(cfg.AssertionAudience), ClientRoots: g.clientRoots.pool(), ClientCertHeader: cfg.ClientCertHeader,
		FAPI: cfg.Profile == config.ProfileFAPI2, PARRequired: cfg.PARRequired, PushLifetime: cfg.PARTTL, FlowLifetime: cfg.FlowTTL,
		MaxPushBytes: int64(cfg.PARMaxBytes), MaxQueryBytes: int64(cfg.UpstreamMaxRequest), PushRate: float64(cfg.RateLimit), CORSOrigins: cfg.CORSOrigins,
		PatchMetadata: cfg.MetadataPatch, AddIssuer: cfg.ResponseISS != config.ISSOff,
		Advertise: cfg.ResponseISS == config.ISSAdvertise, ResumeParams: cfg.ResumeParams, AuthorizeByPOST: cfg.UpstreamAuthorizeMethod == config.MethodPost,
		DryRun:         cfg.UpstreamDryRun,
		TrustedProxies: cfg.TrustedProxies.Networks, TrustSockets: cfg.TrustedProxies.Sockets, MaxResponses: maxResponses(), UpstreamTimeout: cfg.UpstreamTimeout, UpstreamRoots: g.upstreamRoots.pool(),
	})
	return g, err
}

// delegations are the settings' names.
var delegations = map[config.ClientAuth]proxy.Delegation{
	config.AuthAuto: proxy.DelegateOthers, config.AuthFile: proxy.DelegateNone, config.AuthUpstream: proxy.DelegateAll,
}

// methodsWithout are the client authentication methods that nobody can use with these settings, and why.
func methodsWithout(cfg *config.Config) map[string]string {
	without := map[string]string{}
	if cfg.TLSClientCAFile == "" {
		without[client.MethodTLS] = "needs TLS_CLIENT_CA_FILE, the authorities that issue clients' certificates"
		if cfg.ClientCertHeader == "" {
			without[client.MethodSelfSignedTLS] = "needs TLS_CLIENT_CA_FILE, so that clients are asked for a certificate, or CLIENT_CERT_HEADER"
		}
	}
	return without
}

// askClients makes the listener ask clients for a certificate, which is verified when one is needed. Browsers are asked
// too, and ask their users; so they are told whose certificates are meant, unless a client has one that it has signed
// itself, which some would then not show.
func (g *gateway) askClients() {
	roots := g.clientRoots.pool()
	if g.keys == nil || roots == nil {
		return
	}
	g.keys.clientRoots = func() *x509.CertPool {
		if g.clients.AnyUses(client.MethodSelfSignedTLS) {
			return x509.NewCertPool()
		}
		return roots()
	}
}

// startBackground starts what keeps the gateway's knowledge fresh, and returns what ends it. Once that has returned
// nothing of it runs on: the store may be closed.
func (g *gateway) startBackground(ctx context.Context, log *zap.Logger) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { g.server.Run(ctx) })
	running.Go(func() { g.reloadOnHangup(ctx, log) })
	if g.clients != nil {
		running.Go(func() { g.watchClients(ctx, log) })
	}
	for _, files := range g.files() {
		running.Go(func() { files.watch(ctx, filesInterval, func(err error) { g.tellFiles(files, err, log) }) })
	}
	if g.keys != nil {
		running.Go(func() { g.keys.warnOfExpiry(ctx, log) })
	}
	if g.redis != nil {
		running.Go(func() { (&redisWatch{store: g.redis, wait: g.wait, log: log}).run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// files are those of certificates, which are read again when they change.
func (g *gateway) files() (all []*operatorFiles) {
	if g.keys != nil {
		all = append(all, &g.keys.operatorFiles)
	}
	for _, a := range []*authorities{g.upstreamRoots, g.clientRoots} {
		if a != nil {
			all = append(all, &a.operatorFiles)
		}
	}
	return all
}

func (g *gateway) watchClients(ctx context.Context, log *zap.Logger) {
	g.clients.Watch(ctx, filesInterval, func(err error) { g.tellClients(err, log) })
}

// tellClients logs what has come of reading the client file again.
func (g *gateway) tellClients(err error, log *zap.Logger) {
	g.metrics.FileReloads.Inc(metrics.FileClients, metrics.SuccessIf(err))
	if err != nil {
		log.Error("client file refused; the clients read before stay", zap.Error(err))
		return
	}
	log.Info("client file read again", zap.Int("clients", g.clients.Len()))
}

// tellFiles logs and counts what has come of reading them again.
func (g *gateway) tellFiles(f *operatorFiles, err error, log *zap.Logger) {
	g.metrics.FileReloads.Inc(f.kind, metrics.SuccessIf(err))
	f.tell(err, log)
}
