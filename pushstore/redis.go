package pushstore

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// DefaultPrefix starts every key when the options do not say.
const DefaultPrefix = "pargate:"

// RedisOptions configures NewRedis.
type RedisOptions struct {
	FlowTTL time.Duration // how long a login may take once it is opened; zero means DefaultFlowTTL
	Prefix  string        // starts every key, without braces; empty means DefaultPrefix
}

// Redis keeps everything in Redis 6.2 or later, or Valkey: for any number of gateways that share it.
//
//	<prefix>{<place>}:push    a pushed request, until its window is over
//	<prefix>{<place>}:flow    the same once a browser has opened it, then its tombstone
//	<prefix>{<place>}:claim   whose the flow is, and which response finished it
//	<prefix>{<place>}:steps   the places of its continuations
//	<prefix>{<place>}:step    a continuation
//	<prefix>{<place>}:mark    a one-time mark
//
// A push is a plain SET and everything else that writes is one script, so each may be sent again when a reply was
// lost: tokens are compared, never just presence. An operation tries at most three times and ends after 800 ms,
// whatever becomes of its caller. Every error of Redis, out of memory included, is none of the sentinels.
//
// The user needs these commands, in scripts too, on <prefix>*:
//
//	+get +set +mget +pttl +pexpire +rename +eval +evalsha +ping +info
//
// where +info is only for Describe. A maxmemory-policy other than noeviction ends logins early, but never gives a
// request to two browsers.
type Redis struct {
	keeper
	client  redis.UniversalClient
	prefix  string
	flowTTL time.Duration

	plainLua atomic.Bool // this server does not know #!lua
}

var _ Store = (*Redis)(nil)

// NewRedis returns a store on client and takes it over: Close closes it. DialRedis makes a client that keeps the
// promises about time; one with retries of its own does not.
func NewRedis(client redis.UniversalClient, o RedisOptions) *Redis {
	r := &Redis{client: client, prefix: o.Prefix, flowTTL: o.FlowTTL}
	if r.prefix == "" {
		r.prefix = DefaultPrefix
	}
	if r.flowTTL == 0 {
		r.flowTTL = DefaultFlowTTL
	}
	r.keeper = keeper{r}
	return r
}

// claimSurplus is how much longer a claim is kept than its flow: a flow must never be there without its claim.
const claimSurplus = time.Second

func (r *Redis) put(ctx context.Context, p place, _ [32]byte, push string, window time.Duration) error {
	// Not NX: a repetition must write, or a WAIT behind it would have nothing to wait for. One that arrives late,
	// when the request is opened already, makes a key that the claim keeps from being opened.
	return r.try(ctx, "push", func() error {
		ok, err := r.client.Set(ctx, r.key(p, "push"), push, ceilMilliseconds(window)).Result()
		if err == nil && ok != "OK" {
			return errUnreadable
		}
		return err
	})
}

func (r *Redis) read(ctx context.Context, p place) (v stored, err error) {
	keys := []string{r.key(p, "push"), r.key(p, "flow"), r.key(p, "claim"), r.key(p, "step")}
	err = r.try(ctx, "look", func() error {
		values, err := r.run(ctx, readScript, keys)
		if err != nil {
			return err
		}
		return scan(values, &v.push, &v.flow, &v.claim, &v.step)
	})
	return v, err
}

func (r *Redis) take(ctx context.Context, p place, owner token) (v stored, err error) {
	keys := []string{r.key(p, "push"), r.key(p, "flow"), r.key(p, "claim"), r.key(p, "step")}
	err = r.try(ctx, "open", func() error {
		values, err := r.run(ctx, openScript, keys, owner[:], milliseconds(r.flowTTL),
			milliseconds(r.flowTTL+claimSurplus))
		if err != nil {
			return err
		}
		return scan(values, &v.flow, &v.claim, &v.step)
	})
	return v, err
}

func (r *Redis) finish(ctx context.Context, p place, owner, response token, tombstone string) (claim string, err error) {
	keys := []string{r.key(p, "flow"), r.key(p, "claim")}
	err = r.try(ctx, "finish", func() error {
		values, err := r.run(ctx, finishScript, keys, owner[:], response[:], tombstone, milliseconds(r.flowTTL),
			milliseconds(r.flowTTL+claimSurplus))
		if err != nil {
			return err
		}
		return scan(values, &claim)
	})
	return claim, err
}

func (r *Redis) count(ctx context.Context, p place, owner token, step place) (b booking, err error) {
	keys := []string{r.key(p, "flow"), r.key(p, "claim"), r.key(p, "steps")}
	err = r.try(ctx, "continue", func() error {
		values, err := r.run(ctx, countScript, keys, owner[:], step[:], MaxContinuations*len(step),
			milliseconds(claimSurplus))
		if err != nil {
			return err
		}
		if len(values) != 3 {
			return errUnreadable
		}
		rest, ok1 := values[1].(int64)
		room, ok2 := values[2].(int64)
		if !ok1 || !ok2 {
			return errUnreadable
		}
		b.rest, b.room = time.Duration(rest)*time.Millisecond, room == 1
		return scan(values[:1], &b.claim)
	})
	return b, err
}

func (r *Redis) extend(ctx context.Context, step place, _ [32]byte, value string, rest time.Duration) error {
	return r.try(ctx, "continuation", func() error {
		_, err := r.run(ctx, extendScript, []string{r.key(step, "step")}, value, milliseconds(rest))
		return err
	})
}

// Mark implements Store.
func (r *Redis) Mark(ctx context.Context, id string, life time.Duration) (first bool, err error) {
	ctx, cancel := r.begin(ctx)
	defer cancel()
	var mine [16]byte // tells this call, sent again, from another call
	rand.Read(mine[:])
	keys := []string{r.key(markPlace(id), "mark")}
	var set string
	err = r.try(ctx, "mark", func() error {
		values, err := r.run(ctx, markScript, keys, mine[:], milliseconds(life))
		if err != nil {
			return err
		}
		if err = scan(values, &set); err == nil && len(set) != len(mine) {
			return errUnreadable
		}
		return err
	})
	return err == nil && set == string(mine[:]), err
}

// Ping implements Store.
func (r *Redis) Ping(ctx context.Context) error {
	ctx, cancel := r.begin(ctx)
	defer cancel()
	return r.try(ctx, "ping", func() error { return r.client.Ping(ctx).Err() })
}

// Close implements Store.
func (r *Redis) Close() error { return r.client.Close() }

// key is a key at p. The braces put all keys of a place in one slot of a cluster.
func (r *Redis) key(p place, name string) string { return r.prefix + "{" + p.String() + "}:" + name }

// scan copies the strings of a reply, leaving empty what is absent.
func scan(values []any, parts ...*string) error {
	if len(values) != len(parts) {
		return errUnreadable
	}
	for i, v := range values {
		s, ok := v.(string)
		if !ok && v != nil {
			return errUnreadable
		}
		*parts[i] = s
	}
	return nil
}

// ceilMilliseconds is d as Redis can keep it: whole milliseconds, at least one.
func ceilMilliseconds(d time.Duration) time.Duration {
	return max(1, (d+time.Millisecond-1)/time.Millisecond) * time.Millisecond
}

func milliseconds(d time.Duration) int64 { return ceilMilliseconds(d).Milliseconds() }
