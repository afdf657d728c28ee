package pushstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig says how to reach Redis.
type RedisConfig struct {
	// URL is redis://[user[:password]@]host[:6379][/db], rediss:// for TLS, or unix://[user[:password]@]/path[?db=n].
	// valkey:// and valkeys:// are other names of redis:// and rediss://.
	URL string

	Username string      // replaces the URL's; empty leaves it
	Password string      // replaces the URL's; empty leaves it
	TLS      *tls.Config // for rediss://: certificate authorities, client certificate; nil means the system's, none
}

// Options checks c and returns what DialRedis gives to go-redis, without touching anything: a configuration can be
// checked by calling it. Its errors repeat nothing of the URL, which may hold a password.
//
// Nothing is retried inside the client and no call outlasts its deadline: how often an operation is sent, and for how
// long, is decided in one place, by Redis.
func (c RedisConfig) Options() (*redis.Options, error) {
	o := &redis.Options{
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DialTimeout:           250 * time.Millisecond,
		DialerRetries:         1,
		ReadTimeout:           250 * time.Millisecond,
		WriteTimeout:          250 * time.Millisecond,
		PoolSize:              32,
		PoolTimeout:           100 * time.Millisecond,
		ConnMaxIdleTime:       5 * time.Minute,
		// Two commands fewer per connection, that older servers and narrow users would refuse anyway.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	u, err := parseRedisURL(c.URL)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "unix":
		o.Network, o.Addr = "unix", u.Path
	case "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.TLS != nil {
			o.TLSConfig = c.TLS.Clone()
		}
		if o.TLSConfig.ServerName == "" {
			o.TLSConfig.ServerName = u.Hostname()
		}
		fallthrough
	default:
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		o.Network, o.Addr = "tcp", net.JoinHostPort(u.Hostname(), port)
	}
	if c.TLS != nil && u.Scheme != "rediss" {
		return nil, errors.New("TLS is configured for Redis, but its URL does not start with rediss://")
	}
	if o.DB, err = database(u); err != nil {
		return nil, err
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	if c.Username != "" {
		o.Username = c.Username
	}
	if c.Password != "" {
		o.Password = c.Password
	}
	return o, nil
}

// DialRedis returns a client for a single Redis, for NewRedis. It connects when it is first used, so an unreachable
// server is no error here.
func DialRedis(c RedisConfig) (redis.UniversalClient, error) {
	o, err := c.Options()
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}

// parseRedisURL returns raw with one of the schemes redis, rediss and unix.
func parseRedisURL(raw string) (*url.URL, error) {
	scheme, _, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("not a URL: write it like redis://redis:6379")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// Not wrapped: it repeats the URL.
		return nil, errors.New("not a valid URL; in a password, characters like / @ # ? % must be percent-encoded")
	}
	switch strings.ToLower(scheme) {
	case "redis", "valkey":
		u.Scheme = "redis"
	case "rediss", "valkeys":
		u.Scheme = "rediss"
	case "unix":
		u.Scheme = "unix"
	default:
		return nil, errors.New("unknown scheme: redis://, rediss:// (TLS) and unix:// are known")
	}
	switch {
	case u.Scheme == "unix" && (u.Host != "" || len(u.Path) < 2):
		return nil, errors.New("the path of the socket is missing: write it like unix:///run/redis/redis.sock")
	case u.Scheme != "unix" && u.Hostname() == "":
		return nil, errors.New("the host is missing: write it like redis://redis:6379")
	case u.Fragment != "":
		return nil, errors.New("a Redis URL has no #; in a password it must be written %23")
	}
	return u, nil
}

// database returns the number in the path or in ?db=. Any other parameter is an error, because go-redis' settings
// are not for the URL to change.
func database(u *url.URL) (int, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return 0, errors.New("the parameters of the URL cannot be read")
	}
	var number string
	if u.Scheme != "unix" {
		number = strings.Trim(u.Path, "/")
	}
	for name, values := range query {
		if name != "db" || len(values) != 1 || number != "" {
			return 0, errors.New("the URL has a parameter other than one db=")
		}
		number = values[0]
	}
	if number == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return 0, errors.New("the database in the URL must be a number, like redis://redis:6379/0")
	}
	return n, nil
}

// LogRedis sends what go-redis itself has to say, mostly about connections, to log instead of standard error. It is
// a setting of go-redis for the whole process, so it is for main to call, once and before DialRedis.
func LogRedis(log func(message string)) { redis.SetLogger(redisLogger(log)) }

type redisLogger func(string)

// Printf implements the logger of go-redis.
func (l redisLogger) Printf(_ context.Context, format string, v ...any) { l(fmt.Sprintf(format, v...)) }
