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

	// WaitReplicas is how many replicas must have a push, a claim, a continuation or a mark before it is told; zero
	// means none. A failover to one of them then loses nothing that was told.
	WaitReplicas int

	// Claimed is told when a browser has claimed a pushed request, and how much of its window was left. A claim is not told
	// whose answer was lost on its way from Redis. Nil: nobody is told.
	Claimed func(r Request, left time.Duration)
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
// With WaitReplicas each of these goes with a WAIT, on the connection that writes and in one pipeline with it. Too few
// replicas are trouble of the store: the operation is tried again like any other, so that a repetition of the same
// claim is waited for too, and a push or a mark that failed is taken away again as far as that can be done. A
// tombstone is waited for and counts without: the login has ended in either case.
//
// docs/redis.md has the commands that the user needs. A maxmemory-policy other than noeviction ends logins early, but
// never gives a request to two browsers.
type Redis struct {
	keeper
	nodes   *nodes
	prefix  string
	flowTTL time.Duration
	wait    int // replicas; noWait

	operationTime, waitTime time.Duration

	plainLua     atomic.Bool // this server does not know #!lua
	acknowledged acknowledged
	clockAhead   atomic.Int64 // of Redis before this machine's, when it was last described
}

var _ Store = (*Redis)(nil)

// NewRedis returns a store on client and takes it over: Close closes it. DialRedis makes a client that keeps the
// promises about time; one with retries of its own does not.
func NewRedis(client redis.UniversalClient, o RedisOptions) *Redis {
	r := &Redis{nodes: newNodes(client), prefix: o.Prefix, flowTTL: o.FlowTTL, wait: noWait,
		operationTime: operationTime, waitTime: waitTime}
	if o.WaitReplicas > 0 {
		r.wait = o.WaitReplicas
	}
	if r.prefix == "" {
		r.prefix = DefaultPrefix
	}
	if r.flowTTL == 0 {
		r.flowTTL = DefaultFlowTTL
	}
	r.keeper = keeper{r, o.Claimed}
	return r
}

// claimSurplus is how much longer a claim is kept than its flow: a flow must never be there without its claim.
const claimSurplus = time.Second

func (r *Redis) put(ctx context.Context, p place, _ [32]byte, push string, window time.Duration) error {
	key := r.key(p, "push")
	// Not NX: a repetition must write, or the WAIT behind it would have nothing to wait for. One that arrives late,
	// when the request is opened already, makes a key that the claim keeps from being opened.
	ctx, cancel := r.beforeTakingAway(ctx)
	defer cancel()
	err := r.try(ctx, "push", func() error {
		cmd, short := r.send(ctx, key, r.wait, "set", key, push, "px", milliseconds(window))
		switch ok, err := cmd.Text(); {
		case cmd.Err() != nil:
			return cmd.Err()
		case err != nil || ok != "OK":
			return errUnreadable
		}
		return short
	})
	if err != nil && r.waits() {
		r.takeAway(ctx, func(ctx context.Context) { r.send(ctx, key, noWait, "del", key) }) // nobody has heard of it
	}
	return err
}

func (r *Redis) read(ctx context.Context, p place) (v stored, err error) {
	return r.readWith(ctx, "look", readScript, noWait, p)
}

func (r *Redis) readWith(ctx context.Context, what string, s script, wait int, p place, args ...any) (v stored, err error) {
	keys := []string{r.key(p, "push"), r.key(p, "flow"), r.key(p, "claim"), r.key(p, "step")}
	err = r.try(ctx, what, func() error {
		values, short, err := r.run(ctx, s, wait, keys, args...)
		if err != nil {
			return err
		}
		if err = scan(values, &v.push, &v.flow, &v.claim, &v.step); err == nil && len(args) > 0 && v.claim == string(args[0].([]byte)) {
			err = short
		}
		return err
	})
	return v, err
}

// hold is read for what is about to be acted on: owner's claim counts when enough replicas have it.
func (r *Redis) hold(ctx context.Context, p place, owner token) (v stored, err error) {
	if !r.waits() || r.acknowledged.has(p, owner) {
		return r.read(ctx, p)
	}
	v, err = r.readWith(ctx, "hold", holdScript, r.wait, p, owner[:])
	if err == nil && v.claim == string(owner[:]) {
		r.acknowledged.add(p, owner)
	}
	return v, err
}

func (r *Redis) take(ctx context.Context, p place, owner token) (v stored, err error) {
	keys := []string{r.key(p, "push"), r.key(p, "flow"), r.key(p, "claim"), r.key(p, "step")}
	err = r.try(ctx, "open", func() error {
		values, short, err := r.run(ctx, openScript, r.wait, keys, owner[:], milliseconds(r.flowTTL),
			milliseconds(r.flowTTL+claimSurplus), r.again())
		if err != nil {
			return err
		}
		if len(values) != 4 {
			return errUnreadable
		}
		left, ok := values[3].(int64)
		if !ok {
			return errUnreadable
		}
		if left > 0 { // a repetition finds it claimed
			v.left = time.Duration(left) * time.Millisecond
		}
		if err = scan(values[:3], &v.flow, &v.claim, &v.step); err == nil && v.claim == string(owner[:]) {
			err = short
		}
		return err
	})
	if err == nil && r.waits() && v.claim == string(owner[:]) {
		r.acknowledged.add(p, owner)
	}
	return v, err
}

func (r *Redis) finish(ctx context.Context, p place, owner, response token, tombstone string) (claim string, err error) {
	keys := []string{r.key(p, "flow"), r.key(p, "claim")}
	err = r.try(ctx, "finish", func() error {
		values, _, err := r.run(ctx, finishScript, r.wait, keys, owner[:], response[:], tombstone, milliseconds(r.flowTTL),
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
		values, _, err := r.run(ctx, countScript, noWait, keys, owner[:], step[:], MaxContinuations*len(step),
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
		_, short, err := r.run(ctx, extendScript, r.wait, []string{r.key(step, "step")}, value, milliseconds(rest), r.again())
		if err == nil {
			err = short
		}
		return err
	})
}

// Mark implements Store.
func (r *Redis) Mark(ctx context.Context, _, id string, life time.Duration) (first bool, err error) {
	ctx, cancel := r.begin(ctx)
	defer cancel()
	ctx, cancelTries := r.beforeTakingAway(ctx)
	defer cancelTries()
	var mine [16]byte // tells this call, sent again, from another call
	rand.Read(mine[:])
	keys := []string{r.key(markPlace(id), "mark")}
	var set string
	err = r.try(ctx, "mark", func() error {
		values, short, err := r.run(ctx, markScript, r.wait, keys, mine[:], milliseconds(life), r.again())
		if err != nil {
			return err
		}
		if err = scan(values, &set); err == nil && len(set) != len(mine) {
			return errUnreadable
		}
		if err == nil && set == string(mine[:]) {
			err = short
		}
		return err
	})
	if err != nil && r.waits() {
		// The caller refuses what came with it, which may then come again.
		r.takeAway(ctx, func(ctx context.Context) { r.run(ctx, unmarkScript, noWait, keys, mine[:]) })
	}
	return err == nil && set == string(mine[:]), err
}

// pingPlaces lie in the first, second and third part of a cluster's slots. Nothing is ever kept there.
var pingPlaces = [maxTries]place{{17: 1}, {17: 2}, {17: 3}}

// Ping implements Store. It asks as a browser does that has guessed a reference, because a PING is also answered where
// the user may not read, or by a cluster that is down. Each try asks another part of a cluster: it answers if any does.
func (r *Redis) Ping(ctx context.Context) error {
	ctx, cancel := r.begin(ctx)
	defer cancel()
	tries := 0
	err := r.try(ctx, "ping", func() error {
		p := pingPlaces[tries]
		tries++
		keys := []string{r.key(p, "push"), r.key(p, "flow"), r.key(p, "claim"), r.key(p, "step")}
		wait := noWait
		if r.waits() {
			wait = 0 // only to see whether it is permitted
		}
		values, short, err := r.run(ctx, readScript, wait, keys)
		switch {
		case err != nil:
			return err
		case len(values) != len(keys):
			return errUnreadable
		}
		return short
	})
	if err != nil {
		return explained(err)
	}
	return r.clockTrouble()
}

// Pool returns the statistics of the connections, of those to all of a cluster's nodes that its map names.
func (r *Redis) Pool() *redis.PoolStats { return r.nodes.client.PoolStats() }

// Close implements Store.
func (r *Redis) Close() error { return r.nodes.close() }

func (r *Redis) waits() bool { return r.wait != noWait }

// again tells a script whether a repetition must write.
func (r *Redis) again() string { return flag(r.waits()) }

// takeAway sends once what undoes a write that was not acknowledged. It may fail, and nobody relies on it.
func (r *Redis) takeAway(ctx context.Context, undo func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeAwayTime)
	defer cancel()
	undo(ctx)
}

// beforeTakingAway is the time of an operation but what takeAway may need of it, because that keeps the caller waiting.
func (r *Redis) beforeTakingAway(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !r.waits() || !bounded {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-takeAwayTime))
}

const takeAwayTime = 100 * time.Millisecond

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
