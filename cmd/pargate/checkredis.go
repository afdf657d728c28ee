package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pargate/pushstore"
)

// store says whether pushed requests can be kept, and of Redis what it is and what could be better.
func (c *checking) store(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	g := c.gateway
	defer c.redisCertificates(asking)
	if err := g.server.Store.Ping(asking); err != nil {
		c.fail(aboutStore, "", err.Error(), "")
		return
	}
	c.ok(aboutStore, "", "store answers")
	if g.redis == nil {
		return
	}
	info, err := g.redis.Describe(asking)
	if err != nil {
		c.warn(aboutRedisServer, "", fmt.Sprintf("store: %v", err), "")
		return
	}
	c.redisClock(info)
	if info.Version == "" {
		c.warn(aboutRedisServer, "", "store: its user may not ask about eviction and replicas", "docs/redis.md has the rule")
		return
	}
	c.redisServer(info)
	c.redisReplicas(info)
	for _, warning := range redisWarnings(info, g.wait) {
		add := c.warn
		if warning.stops {
			add = c.fail
		}
		if warning.name != aboutRedisClock { // which was told
			add(warning.name, "", "store: "+warning.text, warning.fix)
		}
	}
	if info.MaxMemoryPolicy == "noeviction" {
		c.ok(aboutRedisEviction, "", "store: maxmemory-policy noeviction")
	}
	if info.Persistence == pushstore.PersistsNothing {
		c.ok(aboutRedisPersistence, "", "store: nothing has been written to disk since it started")
	}
}

func (c *checking) redisServer(info pushstore.RedisInfo) {
	c.ok(aboutRedisTopology, "", "store: %s", c.gateway.redisConfig.Topology())
	if info.Server == "redis" && olderThan(info.Version, 6, 2) {
		c.fail(aboutRedisServer, "", fmt.Sprintf("store: %s %s", info.Server, info.Version), "pargate needs Redis 6.2 or later, or Valkey")
		return
	}
	c.ok(aboutRedisServer, "", "store: %s %s", info.Server, info.Version)
}

// olderThan reports whether a version is before major.minor; one that cannot be read is not.
func olderThan(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	have, err := strconv.Atoi(parts[0])
	haveMinor, minorErr := strconv.Atoi(parts[1])
	return err == nil && minorErr == nil && (have < major || have == major && haveMinor < minor)
}

func (c *checking) redisReplicas(info pushstore.RedisInfo) {
	if !info.HasReplicas || info.Replicas < c.gateway.wait || info.Replicas > 0 && c.gateway.wait == 0 && !info.Guarded {
		return // redisWarnings says so
	}
	masters := "1 master"
	if info.Masters != 1 {
		masters = fmt.Sprintf("%d masters", info.Masters)
	}
	c.ok(aboutRedisReplicas, "", "store: %s, each with at least %d of its replicas; REDIS_WAIT_REPLICAS is %d", masters, info.Replicas, c.gateway.wait)
}

func (c *checking) redisClock(info pushstore.RedisInfo) {
	if !info.HasClock {
		c.ok(aboutRedisClock, "", "store: its user may not ask for its time, so its clock was not compared with this machine's")
		return
	}
	c.clock(aboutRedisClock, "store", "Redis", info.ClockAhead)
}

func (c *checking) redisCertificates(ctx context.Context) {
	for _, shown := range c.gateway.redisConfig.Presented(ctx) {
		c.dated(aboutRedisCertificate, shown.Addr, shown.Chain, "renew it")
	}
}
