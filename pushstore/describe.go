package pushstore

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RedisInfo is what a server says about itself. A field is empty when it does not say.
type RedisInfo struct {
	Server          string // "redis" or "valkey"
	Version         string // like 7.0.15
	MaxMemoryPolicy string // anything but noeviction may end a login early, and is worth a warning
}

// Describe asks the server about itself. A user who may not ask learns nothing, which is no error.
func (r *Redis) Describe(ctx context.Context) (RedisInfo, error) {
	ctx, cancel := r.begin(ctx)
	defer cancel()
	var text string
	err := r.try(ctx, "info", func() (err error) {
		text, err = r.client.Info(ctx).Result()
		if redis.HasErrorPrefix(err, "NOPERM") {
			return nil
		}
		return err
	})
	if err != nil || text == "" {
		return RedisInfo{}, err
	}
	info := RedisInfo{Server: "redis"}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "redis_version":
			if info.Version == "" {
				info.Version = value
			}
		case "valkey_version": // redis_version is then the one it is compatible with
			info.Server, info.Version = "valkey", value
		case "maxmemory_policy":
			info.MaxMemoryPolicy = value
		}
	}
	return info, nil
}
