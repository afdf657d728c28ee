package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pargate/config"
	"pargate/proxy"
	"pargate/pushstore"
)

// serve is the verb without a name: it serves until ctx ends.
func serve(ctx context.Context, args []string, p program) int {
	if !parseFlags("serve", args, p, nil) {
		return exitConfig
	}
	hangups, stop := takeHangups() // first of all: the signal may come while files are read
	defer stop()
	cfg, warnings, ok := loadConfig(p)
	if !ok {
		return exitConfig
	}
	log := newLogger(cfg, p.stderr)
	defer log.Sync()
	takeStandardLog(log)
	pushstore.LogRedis(func(message string) { log.Warn("redis client", zap.String("message", message)) })
	for _, w := range warnings {
		log.Warn(w.String(), zap.String("setting", w.Name))
	}
	g, err := build(cfg, log)
	if err != nil {
		fmt.Fprintf(p.stderr, "pargate %s: %v\n", versionName(), err)
		return exitConfig
	}
	g.hangups = hangups
	defer g.server.Store.Close()
	defer g.server.Close()
	log.Info("pargate starts", zap.String("version", versionName()), zap.String("upstream", cfg.UpstreamURL.Redacted()))
	err = listenAndServe(ctx, cfg, g, log)
	g.traces.end()
	if err != nil {
		log.Error("pargate ends", zap.Error(err))
		return exitFailure
	}
	log.Info("pargate ends")
	return exitOK
}

// listenAndServe opens the listeners and serves until ctx ends.
func listenAndServe(ctx context.Context, cfg *config.Config, g *gateway, log *zap.Logger) error {
	listeners, err := listen(cfg)
	if err != nil {
		return err
	}
	return serveOn(ctx, listeners, cfg, g, log)
}

// listener is one that a setting asks for.
type listener struct {
	net.Listener
	setting string
}

// listen opens the public listener and, unless it is off, the operators'.
func listen(cfg *config.Config) ([]listener, error) {
	var all []listener
	for _, want := range []struct {
		setting string
		addr    config.Addr
	}{{"LISTEN_ADDR", cfg.ListenAddr}, {"ADMIN_ADDR", cfg.AdminAddr}} {
		if want.addr == "" {
			continue
		}
		l, err := openListener(want.addr)
		if err != nil {
			for _, opened := range all {
				opened.Close()
			}
			return nil, fmt.Errorf("%s: %w", want.setting, err)
		}
		all = append(all, listener{l, want.setting})
	}
	return all, nil
}

// serveOn serves until ctx ends or a listener fails, and stops in the order in which nobody loses a request: readiness
// fails first, then the listeners close, then what is in flight ends, and last what runs in the background.
func serveOn(ctx context.Context, listeners []listener, cfg *config.Config, g *gateway, log *zap.Logger) error {
	var stopping atomic.Bool
	handlers := []http.Handler{closingWhen(&stopping, g.server), adminHandler(g.server, &stopping, metricsHandler(g.registry, log))}
	var servers []*http.Server
	addresses := make([]string, len(handlers)) // empty: off
	failed := make(chan error, len(listeners))
	for i, l := range listeners {
		s := newHTTPServer(handlers[i], log)
		var open net.Listener = l
		if l.setting == "LISTEN_ADDR" {
			open = g.public(l, s, log)
		}
		servers, addresses[i] = append(servers, s), l.Addr().String()
		go func() {
			if err := s.Serve(open); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", l.setting, err)
			}
		}()
	}
	log.Info("listening", zap.String("public", addresses[0]), zap.String("admin", addresses[1]))
	defer g.startBackground(context.WithoutCancel(ctx), log)()

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stopping.Store(true)
	if err == nil && !errors.Is(context.Cause(ctx), errInterrupt) {
		log.Info("stopping: readiness fails, still serving", zap.Duration("for", cfg.ShutdownDelay))
		err = waitUnless(failed, cfg.ShutdownDelay)
	}
	log.Info("stopping: no new connections, waiting for requests in flight", zap.Duration("at_most", cfg.ShutdownTimeout))
	return errors.Join(err, shutdown(servers, cfg.ShutdownTimeout))
}

// public is the listener that strangers reach: it bounds their connections, opens TLS, and looks at how their requests
// are framed.
func (g *gateway) public(l net.Listener, s *http.Server, log *zap.Logger) net.Listener {
	l = &counting{Listener: l, shares: g.connections, log: log,
		refuse: func(denied proxy.Denied) { g.metrics.ConnectionsRefused.Inc(denied.Crowd()) }}
	if g.keys == nil {
		return plain{l}
	}
	s.TLSConfig = g.keys.config() // by which net/http knows that there will be HTTP/2
	return newSecure(l, g.keys.config(), log)
}

// closingWhen tells clients to open a new connection for their next request once the process is stopping: to another
// one, as the readiness fails. An idle connection that is cut could be cut under a request.
func closingWhen(stopping *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// waitUnless waits for d, or until a listener has failed, whose error it returns.
func waitUnless(failed <-chan error, d time.Duration) error {
	select {
	case err := <-failed:
		return err
	case <-time.After(d):
		return nil
	}
}

// shutdown ends the servers in their order, all within timeout.
func shutdown(servers []*http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests were still in flight: %w", err), s.Close())
		}
	}
	return errors.Join(errs...)
}

// What one HTTP/2 connection may take. Its streams are requests, and count as such; the buffers are for bodies that
// nobody reads yet.
var http2Limits = http.HTTP2Config{
	MaxConcurrentStreams:          100,
	MaxReceiveBufferPerConnection: 1 << 20,
	MaxReceiveBufferPerStream:     64 << 10,
	SendPingTimeout:               30 * time.Second, // after which a silent client is asked whether it is there
	PingTimeout:                   15 * time.Second,
	WriteByteTimeout:              30 * time.Second,
}

// newHTTPServer returns a server whose clients must get on with their requests. How long a body or a response may take is
// decided per route, because uploads and long polls may last.
func newHTTPServer(h http.Handler, log *zap.Logger) *http.Server {
	errorLog, _ := zap.NewStdLogAt(log, zap.WarnLevel) // the level is a constant
	limits := http2Limits
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            10 * time.Second,
		IdleTimeout:                  75 * time.Second,
		MaxHeaderBytes:               64 << 10, // Kerberos tickets are large
		HTTP2:                        &limits,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the upstream's to answer
		ErrorLog:                     errorLog,
	}
}
