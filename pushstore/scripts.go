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

	// holdScript is readScript for the owner of a flow, whose claim it writes again: ARGV owner.
	holdScript = newScript(writeAgain + `
local v = redis.call('mget', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if v[3] == ARGV[1] then write_again(KEYS[3]) end
return {KEYS[1], v[1], v[2], v[3], v[4]}`)

	// openScript: KEYS push flow claim step; ARGV owner, flow's and claim's milliseconds, whether to write again.
	// The claim decides: a push beside it is a late duplicate. The last part of the reply is what was left of the window of
	// a push that it has claimed. The rename comes first because Redis lets a script
	// that has begun to write go on, also at maxmemory and where allow-oom is unknown.
	openScript = newScript(writeAgain + `
local claim, rest, left = redis.call('get', KEYS[3]), redis.call('pttl', KEYS[1]), 0
if claim == false and rest > 0 then
  left = rest
  redis.call('rename', KEYS[1], KEYS[2])
  redis.call('pexpire', KEYS[2], ARGV[2])
  redis.call('set', KEYS[3], ARGV[1], 'PX', ARGV[3])
elseif claim == ARGV[1] and ARGV[4] == '1' then
  write_again(KEYS[3])
end
local v = redis.call('mget', KEYS[2], KEYS[3], KEYS[4])
return {KEYS[1], v[1], v[2], v[3], left}`)

	// finishScript: KEYS flow claim; ARGV owner, response, tombstone, flow's and claim's milliseconds. The expiry comes
	// first for the same reason as the rename above.
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

	// extendScript: KEYS step; ARGV value, milliseconds, whether to write again. A script only for allow-oom: a login
	// that has begun goes on.
	extendScript = newScript(`
if ARGV[3] == '1' then
  redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX')
end
return {KEYS[1]}`)

	// markScript: KEYS mark; ARGV token, milliseconds, whether to write again. Without allow-oom, because marks come
	// with pushes, which are refused then too.
	markScript = script{plain: newLua(writeAgain + `
local mark = redis.call('get', KEYS[1])
if not mark then
  redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
  mark = ARGV[1]
elseif mark == ARGV[1] and ARGV[3] == '1' then
  write_again(KEYS[1])
end
return {KEYS[1], mark}`)}

	// unmarkScript: KEYS mark; ARGV token.
	unmarkScript = script{plain: newLua(`
if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end
return {KEYS[1]}`)}
)

// writeAgain gives a key the rest of its life once more. Nothing changes but the place in the stream to the replicas: since
// Redis 7.2 and in Valkey a WAIT counts from the last write of its connection, so that behind a repetition that wrote
// nothing it would answer for an older one.
const writeAgain = `
local function write_again(key)
  local rest = redis.call('pttl', key)
  if rest > 0 then redis.call('pexpire', key, rest) end
end`

// script is one Lua script, with and without the line that lets it write at maxmemory. That line does one thing more: a
// replica refuses the script, also where it only reads, as what a replica reads may be old.
type script struct {
	flagged *lua // nil when it must not
	plain   *lua
}

// lua is a script's text and its digest.
type lua struct{ text, digest string }

func newScript(text string) script {
	return script{flagged: newLua("#!lua flags=allow-oom\n" + text), plain: newLua(text)}
}

func newLua(text string) *lua { return &lua{text, redis.NewScript(text).Hash()} }

// run sends s to the server that has keys, and returns its reply without the key in front. The second error is short as
// send has it.
func (r *Redis) run(ctx context.Context, s script, wait int, keys []string, args ...any) (values []any, short, err error) {
	cmd, short := r.eval(ctx, s, wait, keys, args)
	if cmd.Err() != nil {
		return nil, nil, cmd.Err()
	}
	values, err = cmd.Slice()
	if err != nil || len(values) == 0 || values[0] != keys[0] {
		return nil, nil, errUnreadable
	}
	return values[1:], short, nil
}

// eval runs s with its first line where the server knows that. Redis before 7.0 takes it for an error of syntax; that is
// remembered, because a pool talks to one kind of server.
func (r *Redis) eval(ctx context.Context, s script, wait int, keys []string, args []any) (cmd *redis.Cmd, short error) {
	if s.flagged != nil && !r.plainLua.Load() {
		cmd, short = r.evalOne(ctx, s.flagged, wait, keys, args)
		if !refusesFlags(cmd.Err()) {
			return cmd, short
		}
		r.plainLua.Store(true)
	}
	return r.evalOne(ctx, s.plain, wait, keys, args)
}

// evalOne sends a script by its digest, and in full when the server does not have it. With a WAIT behind it is sent in
// full at once: a master that has just been promoted does not have it, and the WAIT would be for nothing.
func (r *Redis) evalOne(ctx context.Context, s *lua, wait int, keys []string, args []any) (cmd *redis.Cmd, short error) {
	words := func(name, which string) []any {
		all := append(make([]any, 0, 3+len(keys)+len(args)), name, which, len(keys))
		for _, key := range keys {
			all = append(all, key)
		}
		return append(all, args...)
	}
	if wait == noWait {
		if cmd, short = r.send(ctx, keys[0], wait, words("evalsha", s.digest)...); !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return cmd, short
		}
	}
	return r.send(ctx, keys[0], wait, words("eval", s.text)...)
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
