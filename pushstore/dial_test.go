package pushstore_test

import (
	"crypto/tls"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
		client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: c.url})
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		client.Close()
		o := client.(*redis.Client).Options()
		if o.Network != c.network || o.Addr != c.addr || o.Username != c.user || o.Password != c.pw || o.DB != c.db {
			t.Errorf("%s: got %s %s, user %q, password %q, db %d", c.url, o.Network, o.Addr, o.Username, o.Password, o.DB)
		}
		if (c.tls != "") != (o.TLSConfig != nil) || c.tls != "" && (o.TLSConfig.ServerName != c.tls || o.TLSConfig.InsecureSkipVerify) {
			t.Errorf("%s: got TLS %+v", c.url, o.TLSConfig)
		}
		if o.MaxRetries != 0 || !o.ContextTimeoutEnabled || o.ReadTimeout != 250*time.Millisecond || o.DialerRetries != 1 || o.PipelinePoolSize != -1 {
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
		err := pushstore.RedisConfig{URL: c.url, Password: "hunter2"}.Check()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want it to say %q", c.url, err, c.want)
		}
		if client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: c.url}); err == nil {
			client.Close()
			t.Errorf("%q: DialRedis takes it", c.url)
		}
	}
}

// TestOneRuleForTheURLsOfEveryMode: go-redis has three parsers, whose rules differ in all of this.
func TestOneRuleForTheURLsOfEveryMode(t *testing.T) {
	t.Parallel()
	type understood = pushstore.Understood
	const standalone, sentinel, cluster = pushstore.RedisStandalone, pushstore.RedisSentinel, pushstore.RedisCluster
	for _, c := range []struct {
		config pushstore.RedisConfig
		want   understood
	}{
		{pushstore.RedisConfig{URL: "redis://r"}, understood{Mode: standalone, Hosts: []string{"r:6379"}}},
		{pushstore.RedisConfig{URL: "redis://r", Mode: standalone}, understood{Mode: standalone, Hosts: []string{"r:6379"}}},
		{pushstore.RedisConfig{URL: "redis://r", Mode: cluster}, understood{Mode: cluster, Hosts: []string{"r:6379"}}},
		{pushstore.RedisConfig{URL: "rediss://u:p@r?addr=s&addr=[::1]:7"}, understood{Mode: cluster, Hosts: []string{"r:6379", "s:6379", "[::1]:7"}, User: "u", Password: "p", TLSName: "r"}},
		{pushstore.RedisConfig{URL: "redis://r?addr=s", Username: "u", Password: "p"}, understood{Mode: cluster, Hosts: []string{"r:6379", "s:6379"}, User: "u", Password: "p"}},
		{pushstore.RedisConfig{URL: "redis://s?master_name=m"}, understood{Mode: sentinel, Hosts: []string{"s:26379"}, Master: "m"}},
		{pushstore.RedisConfig{URL: "valkeys://s:1/4?master_name=m&addr=t&addr=u:2", Mode: sentinel}, understood{Mode: sentinel, Hosts: []string{"s:1", "t:26379", "u:2"}, Master: "m", DB: 4, TLSName: "s"}},
		{pushstore.RedisConfig{URL: "redis://su:sp@s?master_name=m&username=u&password=p%26&db=2"},
			understood{Mode: sentinel, Hosts: []string{"s:26379"}, Master: "m", DB: 2, User: "u", Password: "p&", SentinelUser: "su", SentinelPassword: "sp"}},
		{pushstore.RedisConfig{URL: "redis://:sp@s?master_name=m&password=x", Username: "u", Password: "p"},
			understood{Mode: sentinel, Hosts: []string{"s:26379"}, Master: "m", User: "u", Password: "p", SentinelPassword: "sp"}},
	} {
		got, err := pushstore.Understand(c.config)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: got %+v, %v", c.config, got, err)
		}
	}
}

func TestURLsThatAModeCannotTakeAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url  string
		mode pushstore.RedisMode
		want string
	}{
		{"redis://r", pushstore.RedisSentinel, "master_name=mymaster"},
		{"redis://r?master_name=", pushstore.RedisAuto, "master_name=mymaster"},
		{"redis://r?master_name=m", pushstore.RedisStandalone, "neither"},
		{"redis://r?addr=s", pushstore.RedisStandalone, "neither"},
		{"redis://r?master_name=m", pushstore.RedisCluster, "no master_name"},
		{"redis://r?master_name=m&master_name=n", pushstore.RedisAuto, "beside"},
		{"redis://r?master_name=m&sentinel_password=hunter2", pushstore.RedisAuto, "beside"},
		{"redis://r?master_name=m&skip_verify=true", pushstore.RedisAuto, "beside"},
		{"redis://r/3", pushstore.RedisCluster, "database 0"},
		{"redis://r?addr=s&db=3", pushstore.RedisAuto, "beside"},
		{"redis://r?addr=s&read_only=true", pushstore.RedisAuto, "beside"},
		{"redis://r?addr=", pushstore.RedisAuto, "addr"},
		{"redis://r?addr=s,t", pushstore.RedisAuto, "addr"},
		{"redis://r?addr=hunter2@s", pushstore.RedisAuto, "addr"},
		{"redis://r?addr=s:0", pushstore.RedisAuto, "port"},
		{"redis://r?addr=s:70000", pushstore.RedisAuto, "port"},
		{"redis://r:0", pushstore.RedisAuto, "port"},
		{"unix:///s?master_name=m", pushstore.RedisAuto, "socket"},
		{"unix:///s", pushstore.RedisCluster, "socket"},
		{"redis://r", "ring", "mode"},
	} {
		err := pushstore.RedisConfig{URL: c.url, Mode: c.mode}.Check()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s as %s: got %v, want it to say %q", c.url, c.mode, err, c.want)
		}
	}
}

// FuzzRedisURL: an address is taken with everything that a client needs, or refused in words that repeat no password.
func FuzzRedisURL(f *testing.F) {
	f.Add("redis://u:pw@r:1/2", "auto")
	f.Add("rediss://s?master_name=m&addr=t&username=u&password=p&db=1", "sentinel")
	f.Add("unix://:p@/s?db=3", "standalone")
	f.Add("redis://[::1]?addr=[::2]:7", "cluster")
	f.Fuzz(func(t *testing.T, url, mode string) {
		got, err := pushstore.Understand(pushstore.RedisConfig{URL: url, Mode: pushstore.RedisMode(mode)})
		if err != nil {
			if strings.Contains(err.Error(), "s3cretpw") {
				t.Errorf("%q: %v", url, err)
			}
			return
		}
		if len(got.Hosts) == 0 || (got.Mode == pushstore.RedisSentinel) != (got.Master != "") || got.Mode == pushstore.RedisCluster && got.DB != 0 {
			t.Errorf("%q as %s is taken for %+v", url, mode, got)
		}
	})
}

func TestRedisCredentialsBesideTheURLWin(t *testing.T) {
	t.Parallel()
	o, err := pushstore.Understand(pushstore.RedisConfig{URL: "redis://a:b@redis", Username: "u", Password: "p"})
	if err != nil || o.User != "u" || o.Password != "p" {
		t.Errorf("got %q, %q, %v", o.User, o.Password, err)
	}
}

func TestRedisTLSNeedsTheScheme(t *testing.T) {
	t.Parallel()
	mine := &tls.Config{MinVersion: tls.VersionTLS13}
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: "rediss://redis.example", TLS: mine})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if o := client.(*redis.Client).Options(); o.TLSConfig.MinVersion != tls.VersionTLS13 || o.TLSConfig.ServerName != "redis.example" || mine.ServerName != "" {
		t.Errorf("got %+v", o)
	}
	if err := (pushstore.RedisConfig{URL: "redis://redis.example", TLS: mine}).Check(); err == nil {
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
