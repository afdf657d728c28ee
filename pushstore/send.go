package pushstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// waitTime is how long a server waits for its replicas. It must end before the reading of its reply does, with room
// for the way there and back.
const waitTime = 150 * time.Millisecond

// errShort means that a server has written, and too few replicas had it in time: a failover could undo it.
var errShort = errors.New("too few replicas have the write")

// noWait is for what need not reach a replica.
const noWait = -1

// send lets the server that has key run one command, and follows a cluster's redirections. The command's error is in
// cmd. short is errShort, or why nobody could be waited for, when fewer than wait replicas have what was written on
// that connection; it means nothing when nothing was written.
func (r *Redis) send(ctx context.Context, key string, wait int, args ...any) (cmd *redis.Cmd, short error) {
	node, err := r.nodes.of(ctx, key)
	if err != nil {
		cmd = redis.NewCmd(ctx, args...)
		cmd.SetErr(err)
		return cmd, nil
	}
	asking := false
	for redirects := 0; ; redirects++ {
		cmd, short = r.exec(ctx, node, asking, wait, args)
		next, ask := r.nodes.redirected(node, cmd.Err())
		if next == nil || redirects == maxRedirects {
			return cmd, short
		}
		if !ask { // the slot has a new home
			r.nodes.refresh(ctx)
		}
		node, asking = next, ask
	}
}

// exec runs a command on node. WAIT counts what was written on its own connection, so both go in one pipeline.
func (r *Redis) exec(ctx context.Context, node redis.UniversalClient, asking bool, wait int, args []any) (cmd *redis.Cmd, short error) {
	if !asking && wait == noWait {
		return node.Do(ctx, args...), nil
	}
	pipe := node.Pipeline()
	if asking {
		pipe.Do(ctx, "asking")
	}
	cmd = pipe.Do(ctx, args...)
	var waited *redis.Cmd
	if wait != noWait {
		waited = pipe.Do(ctx, "wait", wait, r.waitTime.Milliseconds())
	}
	_, err := pipe.Exec(ctx)
	if waited == nil {
		if err != nil && cmd.Err() == nil {
			cmd.SetErr(err)
		}
		return cmd, nil
	}
	if err != nil && cmd.Err() == nil && waited.Err() == nil { // it was never sent
		cmd.SetErr(err)
	}
	switch n, err := waited.Int64(); {
	case err != nil:
		return cmd, err
	case n < int64(wait):
		return cmd, fmt.Errorf("%w: %d of %d", errShort, n, wait)
	}
	return cmd, nil
}
