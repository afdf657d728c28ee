package pushstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig says how to reach Redis.
type RedisConfig struct {
	// URL has one of these forms; its port may be left out (6379, and 26379 for a Sentinel):
	//
	//	redis://[user[:password]@]host[:port][/db]
	//	redis://[sentinel user[:password]@]host[:port][/db]?master_name=name[&addr=host[:port]]…[&username=…&password=…]
	//	redis://[user[:password]@]host[:port][?addr=host[:port]]…                       a cluster
	//	unix://[user[:password]@]/path[?db=n]
	//
	// rediss:// is the same over TLS; valkey:// and valkeys:// are other names of redis:// and rediss://. The user
	// before the host is the one of the servers named there: of the Sentinels, where these are named.
	URL string

	Mode RedisMode // what is behind URL; empty or RedisAuto means to tell from the URL

	// The account on the servers that hold the data, in every mode; each replaces the URL's.
	Username     string // empty leaves it
	Password     string // empty leaves it
	PasswordFile string // read again for every new connection, and wins over Password; empty means that there is none

	// TLS is for rediss://: certificate authorities, client certificate. Nil means the system's, and none. Every
	// server is verified by the name that stands in URL, so that a cluster's nodes can share one certificate.
	TLS *tls.Config
}

// RedisMode is the kind of Redis behind a URL.
type RedisMode string

const (
	RedisAuto       RedisMode = "auto"       // master_name in the URL means Sentinel, addr a cluster
	RedisStandalone RedisMode = "standalone" // one server
	RedisSentinel   RedisMode = "sentinel"   // the URL names Sentinels, which name the server
	RedisCluster    RedisMode = "cluster"    // the URL names some nodes of a cluster, which name the others
)

// Check reports what is wrong with c, without touching anything. Its errors repeat nothing of the URL, which may hold
// a password.
func (c RedisConfig) Check() error {
	_, err := c.parse()
	return err
}

// DialRedis returns a client for NewRedis. It connects when it is first used, so an unreachable server is no error
// here.
//
// Nothing is retried inside the client and no call outlasts its deadline: how often an operation is sent, and for how
// long, is decided in one place, by Redis.
func DialRedis(c RedisConfig) (redis.UniversalClient, error) {
	a, err := c.parse()
	if err != nil {
		return nil, err
	}
	return a.dial(options()), nil
}

// readTimeout is how long a server may take for one reply. A WAIT must end before it.
const readTimeout = 250 * time.Millisecond

// options are those of every connection that keeps its promises about time.
func options() redis.Options {
	return redis.Options{
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DialTimeout:           250 * time.Millisecond,
		DialerRetries:         1,
		ReadTimeout:           readTimeout,
		WriteTimeout:          250 * time.Millisecond,
		PoolSize:              32,
		PipelinePoolSize:      -1, // no second pool: what is pipelined counts in the first
		PoolTimeout:           100 * time.Millisecond,
		ConnMaxIdleTime:       5 * time.Minute,
		ConnMaxLifetime:       30 * time.Minute,
		ConnMaxLifetimeJitter: 5 * time.Minute,
		// Two commands fewer per connection, that older servers and narrow users would refuse anyway.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// dial returns the client for a, with o for what a does not say.
func (a address) dial(o redis.Options) redis.UniversalClient {
	o.DB, o.TLSConfig = a.db, a.tls
	o.Username, o.Password = a.user.name, a.user.password
	if a.user.file != "" {
		o.CredentialsProviderContext = a.user.provider()
	}
	switch a.mode {
	case RedisCluster:
		return redis.NewClusterClient(clusterOptions(o, a.hosts))
	case RedisSentinel:
		s := &sentinels{master: a.master, options: sentinelOptions(a), tls: a.tls}
		o.Addr, o.Dialer, o.OnConnect = "master "+a.master, s.dial, onlyMaster
	default:
		o.Network, o.Addr = a.network, a.hosts[0]
	}
	return redis.NewClient(&o)
}

// clusterOptions is o for the nodes of a cluster.
func clusterOptions(o redis.Options, hosts []string) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs: hosts, MaxRedirects: -1, MaxRetries: o.MaxRetries,
		Username: o.Username, Password: o.Password, CredentialsProviderContext: o.CredentialsProviderContext, TLSConfig: o.TLSConfig,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled, DialTimeout: o.DialTimeout, DialerRetries: o.DialerRetries,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolSize: o.PoolSize, PipelinePoolSize: o.PipelinePoolSize, PoolTimeout: o.PoolTimeout, ConnMaxIdleTime: o.ConnMaxIdleTime,
		ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		DisableIdentity: o.DisableIdentity, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

// credentials are a user of Redis and its password.
type credentials struct {
	name, password string
	file           string // holds the password; empty means that password is it
}

// maxPasswordFile is far above any password.
const maxPasswordFile = 64 << 10

// provider reads the password again for every new connection, so that a rotated one is used without a restart. A file
// that cannot be read for a moment leaves the password that was read before.
func (a credentials) provider() func(context.Context) (string, string, error) {
	var mu sync.Mutex
	last := a.password
	return func(context.Context) (string, string, error) {
		mu.Lock()
		defer mu.Unlock()
		if data, err := os.ReadFile(a.file); err == nil && len(data) <= maxPasswordFile {
			if password := strings.TrimRight(string(data), "\r\n"); password != "" {
				last = password
			}
		}
		return a.name, last, nil
	}
}

// dialTCP connects to addr, over TLS where there is a configuration for it.
func dialTCP(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	d := &net.Dialer{Timeout: options().DialTimeout, KeepAlive: 5 * time.Minute}
	if config == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", addr)
}

// LogRedis sends what go-redis itself has to say, mostly about connections, to log instead of standard error. It is
// a setting of go-redis for the whole process, so it is for main to call, once and before DialRedis.
func LogRedis(log func(message string)) { redis.SetLogger(redisLogger(log)) }

type redisLogger func(string)

// Printf implements the logger of go-redis.
func (l redisLogger) Printf(_ context.Context, format string, v ...any) { l(fmt.Sprintf(format, v...)) }
