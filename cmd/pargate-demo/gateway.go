package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pargate/proxy"
	registry "pargate/proxy/client"
	"pargate/pushstore"
)

// redisPrefix keeps the demo apart from gateways that use the same Redis.
const redisPrefix = "pargate-demo:"

// readyWithin is how long the gateway may take to learn of the legacy server, which is up already.
const readyWithin = 10 * time.Second

// gateway is pargate, running.
type gateway struct {
	server    *proxy.Server
	store     pushstore.Store
	storeName string
	stop      context.CancelFunc
	ended     chan struct{}
}

// startGateway makes a gateway with PAR required, as cmd/pargate makes one out of the environment.
func startGateway(ctx context.Context, upstream, public *url.URL, r registration, s setup, f *film) (_ *gateway, err error) {
	g := &gateway{ended: make(chan struct{})}
	log := newLog(s.log)
	if err := g.openStore(s.redisURL, log); err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	defer func() {
		if err != nil {
			g.store.Close()
		}
	}()
	if err := g.store.Ping(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", g.storeName, err)
	}
	registered, err := register(r)
	if err != nil {
		return nil, err
	}
	issuer := proxy.Issuer{UpstreamURL: upstream, PublicURL: public}
	if paths := s.server.pathsAre; paths[0] != "" { // there is no metadata to learn them from
		issuer.AuthorizePaths, issuer.TokenPath = paths[:1], paths[1]
	}
	kept := g.store
	if s.keep != nil {
		kept = s.keep(kept)
	}
	g.server, err = proxy.New(proxy.Options{
		Issuer: issuer, Store: tappedStore{kept, f}, Clients: registered, Log: log,
		PARRequired: !s.optional, PushLifetime: s.lifetime, PatchMetadata: true, AddIssuer: true,
	})
	if err != nil {
		return nil, err
	}
	ctx, g.stop = context.WithCancel(context.WithoutCancel(ctx)) // it ends in its turn
	go func() {
		defer close(g.ended)
		g.server.Run(ctx)
	}()
	return g, nil
}

func (g *gateway) openStore(redisURL string, log *zap.Logger) error {
	if redisURL == "" {
		g.store, g.storeName = pushstore.NewMemory(pushstore.MemoryOptions{}), "memory"
		return nil
	}
	pushstore.LogRedis(func(message string) { log.Warn(message) })
	dialled, err := pushstore.DialRedis(pushstore.RedisConfig{URL: redisURL})
	if err != nil {
		return err
	}
	g.store, g.storeName = pushstore.NewRedis(dialled, pushstore.RedisOptions{Prefix: redisPrefix}), "Redis"
	return nil
}

// wait returns when the gateway knows the endpoints of the legacy server.
func (g *gateway) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		reasons := g.server.Ready(ctx)
		if reasons == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %v", reasons)
		case <-ticker.C:
		}
	}
}

// close ends it. A nil gateway has ended.
func (g *gateway) close() {
	if g == nil {
		return
	}
	g.stop()
	<-g.ended
	g.store.Close()
}

// register returns the gateway's registered clients. They are read from a file, which is gone afterwards.
func register(r registration) (_ *registry.Registry, err error) {
	var clients []map[string]any
	for _, id := range []string{r.id, otherClientID} {
		clients = append(clients, map[string]any{
			"client_id":                  id,
			"client_secret":              r.secret,
			"token_endpoint_auth_method": registry.MethodBasic,
			"redirect_uris":              []string{r.redirectURI},
			"response_types":             []string{"code"},
			"jwks":                       r.keySet(),
		})
	}
	content, err := json.Marshal(clients)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pargate-demo-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "clients.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return nil, err
	}
	return registry.Load(file)
}

func newLog(w io.Writer) *zap.Logger {
	config := zap.NewDevelopmentEncoderConfig()
	config.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.Lock(zapcore.AddSync(w)), zap.InfoLevel))
}

// logBuffer keeps a log until somebody wants it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
