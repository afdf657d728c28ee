package pushstore_test

import (
	"strings"
	"testing"

	"pargate/pushstore"
)

// FuzzRedisURL: an address is taken with everything that a client needs, or refused in words that repeat no password.
func FuzzRedisURL(f *testing.F) {
	for _, seed := range []string{"redis://:s3cretpw@redis:6379/0", "rediss://u:s3cretpw@redis.example", "unix://u:s3cretpw@/run/redis.sock?db=1", "redis://u:s3cretpw@[::1]:7/x",
		"redis://s3cretpw", "s3cretpw", "redis://:s3cretpw/@redis", "redis://u:s3cretpw#@redis", "valkey://redis?db=1&db=2", "redis://redis/1?db=2", "REDISS://Redis:70000", "redis://:%zz@redis"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		o, err := pushstore.RedisConfig{URL: url}.Options()
		if err != nil {
			if strings.Contains(err.Error(), "s3cretpw") {
				t.Errorf("%q: %v", url, err)
			}
			return
		}
		secure := strings.HasPrefix(strings.ToLower(url), "rediss://") || strings.HasPrefix(strings.ToLower(url), "valkeys://")
		if o.Addr == "" || o.DB < 0 || o.MaxRetries != -1 || (o.TLSConfig != nil) != secure {
			t.Errorf("%q: %s, database %d, TLS %t", url, o.Addr, o.DB, o.TLSConfig != nil)
		}
	})
}
