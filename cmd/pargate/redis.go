package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pargate/config"
	"pargate/pushstore"
)

// openStore makes the store that the settings ask for. What is wrong with them is told to note.
func (g *gateway) openStore(cfg *config.Config, note func(setting string, err error)) pushstore.Store {
	if cfg.RedisURL.Reveal() == "" {
		memory := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: cfg.FlowTTL, Claimed: g.claimed(cfg.PARTTL)})
		g.readMemory(memory)
		return memory
	}
	g.redisConfig = pushstore.RedisConfig{
		URL: cfg.RedisURL.Reveal(), Mode: pushstore.RedisMode(cfg.RedisMode), Username: cfg.RedisUsername,
		Password: cfg.RedisPassword.Reveal(), PasswordFile: cfg.RedisPassword.File(), TLS: g.redisTLS(cfg, note),
	}
	client, err := pushstore.DialRedis(g.redisConfig)
	if note("REDIS_URL", err); err != nil {
		return nil
	}
	g.redis = pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: cfg.FlowTTL, Prefix: cfg.RedisKeyPrefix, WaitReplicas: cfg.RedisWaitReplicas,
		Claimed: g.claimed(cfg.PARTTL)})
	g.readPool(g.redis)
	return g.redis
}

// redisTLS is our side of TLS towards Redis; nil when the settings say nothing about it.
func (g *gateway) redisTLS(cfg *config.Config, note func(setting string, err error)) *tls.Config {
	if cfg.RedisCAFile == "" && cfg.RedisCertFile == "" {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if g.redisRoots, err = loadAuthorities("REDIS_CA_FILE", cfg.RedisCAFile, false); g.redisRoots != nil {
		c.RootCAs = g.redisRoots.pool()()
	}
	note("REDIS_CA_FILE", err)
	if cfg.RedisCertFile != "" {
		g.redisKeys, err = loadKeyPair(cfg.RedisCertFile, cfg.RedisKeyFile)
		note("REDIS_CERT_FILE", err)
		c.GetClientCertificate = g.redisKeys.show
	}
	return c
}

// show shows Redis our certificate. The files are read again for every new connection; while they do not fit each other,
// the pair that was read before is shown.
func (k *keyPair) show(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	k.reload() // its error is that of a pair which is not shown
	return k.current.Load(), nil
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
			w.log.Warn(warning.text+"; "+warning.fix, warning.field)
		}
	}
	w.told = told
	return true
}

// redisWarning is something that an operator should change.
type redisWarning struct {
	name      findingName
	text, fix string
	stops     bool // nobody can push or log in
	field     zap.Field
}

func redisWarnings(info pushstore.RedisInfo, wait int) (all []redisWarning) {
	add := func(w redisWarning) { all = append(all, w) }
	if policy := info.MaxMemoryPolicy; policy != "" && policy != "noeviction" {
		add(redisWarning{aboutRedisEviction, "Redis may drop pushed requests without a word", "set its maxmemory-policy to noeviction", false,
			zap.String("maxmemory_policy", policy)})
	}
	if info.HasReplicas && info.Replicas < wait {
		add(redisWarning{aboutRedisReplicas, "Redis has fewer replicas than REDIS_WAIT_REPLICAS, so pushes and logins get 503", "bring them back, or lower it", true,
			zap.String("replicas", fmt.Sprintf("%d of %d", info.Replicas, wait))})
	}
	if info.Replicas > 0 && wait == 0 && !info.Guarded {
		add(redisWarning{aboutRedisReplicas, "A failover of Redis may lose pushed requests and give one to a second browser",
			"set REDIS_WAIT_REPLICAS=1, or at least min-replicas-to-write in Redis", false, zap.Int("replicas", info.Replicas)})
	}
	if info.Persistence == pushstore.PersistsSnapshots {
		add(redisWarning{aboutRedisPersistence, "Redis writes snapshots: one that comes back from an old one gives a request to a second browser",
			`set save "" in Redis`, false, zap.String("persistence", string(info.Persistence))})
	}
	if info.Persistence == pushstore.PersistsAppendOnly {
		add(redisWarning{aboutRedisPersistence, "Redis keeps an append-only file: unless each write is on the disk before its answer, one that comes back gives a request to a second browser",
			"set appendfsync always, or appendonly no, in Redis", false, zap.String("persistence", string(info.Persistence))})
	}
	if info.ClockAhead.Abs() > maxClockDifference {
		add(redisWarning{aboutRedisClock, "the clocks of Redis and of this machine differ", "set both by NTP", false, zap.Duration("redis_ahead", info.ClockAhead)})
	}
	return all
}
