package pushstore

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisInfo is what the servers say about themselves. A field is empty when they do not say. Of a cluster it is the
// worst of its masters.
type RedisInfo struct {
	Server          string // "redis" or "valkey"
	Version         string // like 7.0.15
	MaxMemoryPolicy string // anything but noeviction may end a login early, and is worth a warning

	Masters     int           // that say something of themselves: those of a cluster, else one
	Persistence Persistence   // what is seen of it
	Replicas    int           // that the master with the fewest has
	HasReplicas bool          // Replicas is known
	Guarded     bool          // every master refuses writes once it has lost its replicas (min-replicas-to-write)
	ClockAhead  time.Duration // of Redis' clock before this machine's; zero also when it is within what can be measured
	HasClock    bool          // ClockAhead is known
}

// Persistence is what a server does for the time after its end. One that comes back with what is old has forgotten claims.
type Persistence string

const (
	PersistsNothing    Persistence = "nothing"    // as far as is seen: no snapshot since it has started
	PersistsSnapshots  Persistence = "snapshots"  // it has written one since it has started
	PersistsAppendOnly Persistence = "appendonly" // a log, whose appendfsync is not known
)

// maxClockAhead is how far two clocks may differ before the times in cookies and assertions mean nothing.
const maxClockAhead = 30 * time.Second

// Describe asks the servers about themselves. A user who may not ask learns nothing, which is no error. What it finds
// out about the clock is remembered: with more than 30 s between the clocks Ping fails until they agree again.
func (r *Redis) Describe(ctx context.Context) (RedisInfo, error) {
	ctx, cancel := r.begin(ctx)
	defer cancel()
	var all RedisInfo
	err := r.try(ctx, "info", func() error {
		var mu sync.Mutex
		masters := 0
		all = RedisInfo{}
		return r.nodes.each(ctx, func(ctx context.Context, node redis.UniversalClient) error {
			one, err := describe(ctx, node)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if masters++; masters == 1 {
				all = one
				return nil
			}
			all = all.worse(one)
			return nil
		})
	})
	if err != nil {
		return RedisInfo{}, explained(err)
	}
	r.clockAhead.Store(int64(all.ClockAhead))
	return all, nil
}

func (r *Redis) clockTrouble() error {
	if ahead := time.Duration(r.clockAhead.Load()); ahead.Abs() > maxClockAhead {
		return fmt.Errorf("pushstore: the clock of Redis is %v ahead of this machine's; set both by NTP", ahead.Round(time.Second))
	}
	return nil
}

// worse joins what two masters say.
func (i RedisInfo) worse(other RedisInfo) RedisInfo {
	if i.MaxMemoryPolicy == "noeviction" || i.MaxMemoryPolicy == "" {
		i.MaxMemoryPolicy = other.MaxMemoryPolicy
	}
	i.Masters += other.Masters
	if i.Persistence == PersistsNothing || i.Persistence == "" {
		i.Persistence = other.Persistence
	}
	i.HasClock = i.HasClock && other.HasClock
	i.Replicas = min(i.Replicas, other.Replicas)
	i.HasReplicas = i.HasReplicas && other.HasReplicas
	i.Guarded = i.Guarded && other.Guarded
	if other.ClockAhead.Abs() > i.ClockAhead.Abs() {
		i.ClockAhead = other.ClockAhead
	}
	return i
}

func describe(ctx context.Context, node redis.UniversalClient) (RedisInfo, error) {
	text, err := node.Info(ctx).Result()
	if err != nil && !replied(err, "NOPERM") {
		return RedisInfo{}, err
	}
	info := readInfo(text)
	if info.ClockAhead, info.HasClock, err = clockAhead(ctx, node); err != nil {
		return RedisInfo{}, err
	}
	return info, nil
}

func readInfo(text string) (info RedisInfo) {
	var now, uptime, saved int64 // seconds
	seconds := func(value string) int64 { n, _ := strconv.ParseInt(value, 10, 64); return n }
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "redis_version":
			if info.Version == "" {
				info.Server, info.Version = "redis", value
			}
		case "valkey_version": // redis_version is then the one it is compatible with
			info.Server, info.Version = "valkey", value
		case "maxmemory_policy":
			info.MaxMemoryPolicy = value
		case "connected_slaves":
			n, err := strconv.Atoi(value)
			info.Replicas, info.HasReplicas = n, err == nil
		case "min_slaves_good_slaves": // there when min-replicas-to-write is set
			info.Guarded = true
		case "server_time_usec":
			now = seconds(value) / 1e6
		case "uptime_in_seconds":
			uptime = seconds(value)
		case "rdb_last_save_time": // at first the time of the start
			saved, info.Persistence = seconds(value), cmp.Or(info.Persistence, PersistsNothing)
		case "aof_enabled":
			if value == "1" {
				info.Persistence = PersistsAppendOnly
			}
		}
	}
	if now > 0 && saved > now-uptime+1 && info.Persistence == PersistsNothing {
		info.Persistence = PersistsSnapshots
	}
	if info.Version != "" {
		info.Masters = 1
	}
	return info
}

// clockAhead compares the clocks. The reply was made at some time between asking and hearing it, and that is not held
// against anybody.
func clockAhead(ctx context.Context, node redis.UniversalClient) (ahead time.Duration, known bool, err error) {
	asked := time.Now()
	theirs, err := node.Time(ctx).Result()
	heard := time.Now()
	switch {
	case replied(err, "NOPERM"):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case theirs.Before(asked.Round(0)):
		return theirs.Sub(asked.Round(0)), true, nil
	case theirs.After(heard.Round(0)):
		return theirs.Sub(heard.Round(0)), true, nil
	}
	return 0, true, nil
}
