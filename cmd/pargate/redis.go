package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"pargate/config"
	"pargate/pushstore"
)

// openStore makes the store that the settings ask for. What is wrong with them is told to note.
func (g *gateway) openStore(cfg *config.Config, note func(setting string, err error)) pushstore.Store {
	if cfg.RedisURL.Reveal() == "" {
		return pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: cfg.FlowTTL})
	}
	client, err := pushstore.DialRedis(pushstore.RedisConfig{
		URL: cfg.RedisURL.Reveal(), Mode: pushstore.RedisMode(cfg.RedisMode), Username: cfg.RedisUsername,
		Password: cfg.RedisPassword.Reveal(), PasswordFile: cfg.RedisPassword.File(), TLS: redisTLS(cfg, note),
	})
	if note("REDIS_URL", err); err != nil {
		return nil
	}
	g.redis = pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: cfg.FlowTTL, Prefix: cfg.RedisKeyPrefix, WaitReplicas: cfg.RedisWaitReplicas})
	return g.redis
}

// redisTLS is our side of TLS towards Redis; nil when the settings say nothing about it.
func redisTLS(cfg *config.Config, note func(setting string, err error)) *tls.Config {
	if cfg.RedisCAFile == "" && cfg.RedisCertFile == "" {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	var roots *authorities
	if roots, err = loadAuthorities("REDIS_CA_FILE", cfg.RedisCAFile, false); roots != nil {
		c.RootCAs = roots.pool()()
	}
	note("REDIS_CA_FILE", err)
	if cfg.RedisCertFile != "" {
		c.GetClientCertificate, err = redisCertificate(cfg.RedisCertFile, cfg.RedisKeyFile)
		note("REDIS_CERT_FILE", err)
	}
	return c
}

// redisCertificate returns what shows the certificate in certFile. The files are read again for every new connection;
// while they do not fit each other, the pair that was read before is shown.
func redisCertificate(certFile, keyFile string) (func(*tls.CertificateRequestInfo) (*tls.Certificate, error), error) {
	k, err := loadKeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		k.reload() // its error is that of a pair which is not shown
		return k.current.Load(), nil
	}, nil
}

// redisWatch keeps an eye on Redis: it says what it is, and warns of what may lose pushed requests or end logins.
type redisWatch struct {
	store *pushstore.Redis
	wait  int // REDIS_WAIT_REPLICAS
	log   *zap.Logger

	silent bool            // it did not answer the last time
	known  bool            // it has answered
	told   map[string]bool // what is wrong and has been told
}

// How often Redis is asked about itself: until it answers, and then.
const (
	redisRetry = time.Second
	redisAgain = time.Minute
)

// maxClockDifference is worth a warning; at 30 s the store says that it is not ready.
const maxClockDifference = 2 * time.Second

func (w *redisWatch) run(ctx context.Context) {
	for ctx.Err() == nil {
		next := redisAgain
		if !w.look(ctx) {
			next = redisRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
}

// look asks once and reports whether there was an answer.
func (w *redisWatch) look(ctx context.Context) bool {
	info, err := w.store.Describe(ctx)
	if err != nil {
		if !w.silent && ctx.Err() == nil {
			w.log.Warn("Redis does not answer; trying again", zap.Error(err))
		}
		w.silent = true
		return false
	}
	if !w.known || w.silent {
		w.log.Info("store is Redis", zap.String("server", info.Server), zap.String("version", info.Version))
	}
	w.silent, w.known = false, true
	told := map[string]bool{}
	for _, warning := range redisWarnings(info, w.wait) {
		if told[warning.text] = true; !w.told[warning.text] {
			w.log.Warn(warning.text, warning.field)
		}
	}
	w.told = told
	return true
}

// redisWarning is something that an operator should change.
type redisWarning struct {
	text  string
	field zap.Field
}

func redisWarnings(info pushstore.RedisInfo, wait int) (all []redisWarning) {
	if policy := info.MaxMemoryPolicy; policy != "" && policy != "noeviction" {
		all = append(all, redisWarning{"Redis may drop pushed requests without a word; set its maxmemory-policy to noeviction",
			zap.String("maxmemory_policy", policy)})
	}
	if info.HasReplicas && info.Replicas < wait {
		all = append(all, redisWarning{"Redis has fewer replicas than REDIS_WAIT_REPLICAS, so pushes and logins get 503",
			zap.String("replicas", fmt.Sprintf("%d of %d", info.Replicas, wait))})
	}
	if info.Replicas > 0 && wait == 0 && !info.Guarded {
		all = append(all, redisWarning{"A failover of Redis may lose pushed requests and give one to a second browser; set REDIS_WAIT_REPLICAS=1, or at least min-replicas-to-write in Redis",
			zap.Int("replicas", info.Replicas)})
	}
	if info.ClockAhead.Abs() > maxClockDifference {
		all = append(all, redisWarning{"the clocks of Redis and of this machine differ; set both by NTP", zap.Duration("redis_ahead", info.ClockAhead)})
	}
	return all
}
