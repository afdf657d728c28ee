package pushstore

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A script moves values and compares tokens; what they mean is judged by seal.read, which can open them. Redis runs
// each alone, and each gives the same answer when it is sent again with the same arguments. They are written for
// Redis 6.2 and use nothing of a later one. Each reply starts with the first key: "nothing there" has nothing else
// that would tell it from the reply to another command, when a connection has lost count.
var (
	// readScript: KEYS push flow claim step.
	readScript = newScript(`
local v = redis.call('mget', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return {KEYS[1], v[1], v[2], v[3], v[4]}`)

	// openScript: KEYS push flow claim step; ARGV owner, flow's and claim's milliseconds.
	// The claim decides: a push beside it is a late duplicate. The rename comes first because Redis lets a script
	// that has begun to write go on, also at maxmemory and where allow-oom is unknown.
	openScript = newScript(`
if redis.call('get', KEYS[3]) == false and redis.call('pttl', KEYS[1]) > 0 then
  redis.call('rename', KEYS[1], KEYS[2])
  redis.call('pexpire', KEYS[2], ARGV[2])
  redis.call('set', KEYS[3], ARGV[1], 'PX', ARGV[3])
end
local v = redis.call('mget', KEYS[2], KEYS[3], KEYS[4])
return {KEYS[1], v[1], v[2], v[3]}`)

	// finishScript: KEYS flow claim; ARGV owner, response, tombstone, flow's and claim's milliseconds.
	finishScript = newScript(`
local claim = redis.call('get', KEYS[2])
if redis.call('pttl', KEYS[1]) <= 0 then return {KEYS[1], false} end
if claim == ARGV[1] then
  claim = ARGV[1] .. ARGV[2]
  redis.call('pexpire', KEYS[2], ARGV[5])
  redis.call('set', KEYS[1], ARGV[3], 'PX', ARGV[4])
  redis.call('set', KEYS[2], claim, 'PX', ARGV[5])
end
return {KEYS[1], claim}`)

	// countScript: KEYS flow claim steps; ARGV owner, step, limit in bytes, surplus milliseconds.
	countScript = newScript(`
local claim, rest = redis.call('get', KEYS[2]), redis.call('pttl', KEYS[1])
if rest <= 0 then return {KEYS[1], false, 0, 0} end
if claim ~= ARGV[1] then return {KEYS[1], claim, rest, 0} end
local steps, step = redis.call('get', KEYS[3]) or '', ARGV[2]
for i = 1, #steps, #step do
  if string.sub(steps, i, i + #step - 1) == step then return {KEYS[1], claim, rest, 1} end
end
if #steps >= tonumber(ARGV[3]) then return {KEYS[1], claim, rest, 0} end
redis.call('set', KEYS[3], steps .. step, 'PX', rest + ARGV[4])
return {KEYS[1], claim, rest, 1}`)

	// extendScript: KEYS step; ARGV value, milliseconds. A script only for allow-oom: a login that has begun goes on.
	extendScript = newScript(`
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX')
return {KEYS[1]}`)

	// markScript: KEYS mark; ARGV token, milliseconds. Without allow-oom, because marks come with pushes, which are
	// refused then too.
	markScript = script{plain: redis.NewScript(`
local mark = redis.call('get', KEYS[1])
if not mark then
  redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
  mark = ARGV[1]
end
return {KEYS[1], mark}`)}
)

// script is one Lua script, with and without the line that lets it write at maxmemory.
type script struct {
	flagged *redis.Script // nil when it must not
	plain   *redis.Script
}

func newScript(lua string) script {
	return script{flagged: redis.NewScript("#!lua flags=allow-oom\n" + lua), plain: redis.NewScript(lua)}
}

// run sends s by its digest, and in full when the server does not have it, and returns its reply without the key in
// front. Redis before 7.0 takes the first line for an error of syntax; that is remembered, because a pool talks to one
// kind of server.
func (r *Redis) run(ctx context.Context, s script, keys []string, args ...any) ([]any, error) {
	cmd := r.eval(ctx, s, keys, args)
	values, err := cmd.Slice()
	switch {
	case cmd.Err() != nil:
		return nil, cmd.Err()
	case err != nil || len(values) == 0 || values[0] != keys[0]:
		return nil, errUnreadable
	}
	return values[1:], nil
}

func (r *Redis) eval(ctx context.Context, s script, keys []string, args []any) *redis.Cmd {
	if s.flagged != nil && !r.plainLua.Load() {
		cmd := s.flagged.Run(ctx, r.client, keys, args...)
		if !refusesFlags(cmd.Err()) {
			return cmd
		}
		r.plainLua.Store(true)
	}
	return s.plain.Run(ctx, r.client, keys, args...)
}

// refusesFlags reports whether a server could not compile a script because of its first line.
func refusesFlags(err error) bool {
	if err == nil || !redis.HasErrorPrefix(err, "") {
		return false
	}
	text := strings.ToLower(err.Error())
	for _, word := range []string{"compil", "shebang", "unknown flag"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
