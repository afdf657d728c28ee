package storetest

import (
	"testing"

	"pargate/test/redisserver"
)

// RedisServer is one real redis-server.
type RedisServer = redisserver.Server

// StartRedis starts a redis-server with args and stops it when the test is over.
func StartRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	return redisserver.Start(t, args...)
}
