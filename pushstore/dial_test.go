package pushstore_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
)

func TestRedisURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url                     string
		network, addr, user, pw string
		db                      int
		tls                     string // the server's name
	}{
		{url: "redis://redis", network: "tcp", addr: "redis:6379"},
		{url: "redis://redis:6380/3", network: "tcp", addr: "redis:6380", db: 3},
		{url: "redis://redis/?db=4", network: "tcp", addr: "redis:6379", db: 4},
		{url: "redis://:p%2Fw@10.0.0.1:1", network: "tcp", addr: "10.0.0.1:1", pw: "p/w"},
		{url: "redis://u:pw@[::1]:7", network: "tcp", addr: "[::1]:7", user: "u", pw: "pw"},
		{url: "REDIS://redis", network: "tcp", addr: "redis:6379"},
		{url: "valkey://u@valkey", network: "tcp", addr: "valkey:6379", user: "u"},
		{url: "rediss://redis.example", network: "tcp", addr: "redis.example:6379", tls: "redis.example"},
		{url: "valkeys://redis.example:1/2", network: "tcp", addr: "redis.example:1", db: 2, tls: "redis.example"},
		{url: "unix:///run/redis.sock", network: "unix", addr: "/run/redis.sock"},
		{url: "unix://u:pw@/run/redis.sock?db=5", network: "unix", addr: "/run/redis.sock", user: "u", pw: "pw", db: 5},
	} {
		o, err := pushstore.RedisConfig{URL: c.url}.Options()
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if o.Network != c.network || o.Addr != c.addr || o.Username != c.user || o.Password != c.pw || o.DB != c.db {
			t.Errorf("%s: got %s %s, user %q, password %q, db %d", c.url, o.Network, o.Addr, o.Username, o.Password, o.DB)
		}
		if (c.tls != "") != (o.TLSConfig != nil) || c.tls != "" && (o.TLSConfig.ServerName != c.tls || o.TLSConfig.InsecureSkipVerify) {
			t.Errorf("%s: got TLS %+v", c.url, o.TLSConfig)
		}
		if o.MaxRetries != -1 || !o.ContextTimeoutEnabled || o.ReadTimeout != 250*time.Millisecond || o.DialerRetries != 1 {
			t.Errorf("%s: the client would break the promises about time", c.url)
		}
	}
}

func TestRedisURLErrorsSayWhatToDoAndNoSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, want string }{
		{"", "redis://redis:6379"},
		{"hunter2", "redis://redis:6379"},
		{"hunter2:6379", "redis://redis:6379"},
		{"10.0.0.1:6379", "redis://redis:6379"},
		{":hunter2@redis:6379", "redis://redis:6379"},
		{"redis:hunter2", "redis://redis:6379"},
		{"http://:hunter2@redis", "redis://"},
		{"redis://", "redis://redis:6379"},
		{"redis://:hunter2@", "host is missing"},
		{"redis://:6379", "host is missing"},
		{"redis://:hunter2/x@redis:6379", "percent-encoded"},
		{"redis://:hunter2%zz@redis", "percent-encoded"},
		{"redis://:hunter2#x@redis", "percent-encoded"},
		{"redis://redis/0#hunter2", "%23"},
		{"redis://redis:hunter2", "percent-encoded"},
		{"redis://redis/hunter2", "number"},
		{"redis://redis/-1", "number"},
		{"redis://redis/1?db=2", "parameter"},
		{"redis://redis/?db=2&db=3", "parameter"},
		{"redis://redis/?password=hunter2", "parameter"},
		{"redis://redis/?hunter2=1", "parameter"},
		{"redis://redis/?max_retries=3", "parameter"},
		{"unix://redis.sock", "socket"},
		{"unix:///", "socket"},
	} {
		_, err := pushstore.RedisConfig{URL: c.url, Password: "hunter2"}.Options()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want it to say %q", c.url, err, c.want)
		}
		if client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: c.url}); err == nil {
			client.Close()
			t.Errorf("%q: DialRedis takes it", c.url)
		}
	}
}

func TestRedisCredentialsBesideTheURLWin(t *testing.T) {
	t.Parallel()
	o, err := pushstore.RedisConfig{URL: "redis://a:b@redis", Username: "u", Password: "p"}.Options()
	if err != nil || o.Username != "u" || o.Password != "p" {
		t.Errorf("got %q, %q, %v", o.Username, o.Password, err)
	}
}

func TestRedisTLSNeedsTheScheme(t *testing.T) {
	t.Parallel()
	mine := &tls.Config{MinVersion: tls.VersionTLS13}
	o, err := pushstore.RedisConfig{URL: "rediss://redis.example", TLS: mine}.Options()
	if err != nil || o.TLSConfig.MinVersion != tls.VersionTLS13 || o.TLSConfig.ServerName != "redis.example" || mine.ServerName != "" {
		t.Errorf("got %+v, %v", o, err)
	}
	if _, err := (pushstore.RedisConfig{URL: "redis://redis.example", TLS: mine}).Options(); err == nil {
		t.Error("TLS settings are ignored")
	}
}

func TestRedisByPasswordAndSocket(t *testing.T) {
	t.Parallel()
	socket := t.TempDir() + "/redis.sock"
	server := storetest.StartRedis(t, "--requirepass", "hunter2", "--unixsocket", socket)
	for _, c := range []pushstore.RedisConfig{
		{URL: "redis://:hunter2@" + server.Addr},
		{URL: server.URL() + "/3", Password: "hunter2"},
		{URL: "unix://:hunter2@" + socket},
	} {
		newLogin(t, dial(t, c))
	}
	for _, c := range []pushstore.RedisConfig{{URL: server.URL()}, {URL: server.URL(), Password: "wrong"}} {
		storetest.WantTrouble(t, "without the password", dial(t, c).Ping(t.Context()))
	}
}
