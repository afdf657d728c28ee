package pushstore

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// address is a RedisConfig, understood. go-redis has three parsers of URLs with rules that contradict each other, and
// their errors repeat the URL; this one has one rule for every mode.
type address struct {
	mode     RedisMode
	network  string   // tcp or unix
	hosts    []string // host:port each, or the path of a socket
	tls      *tls.Config
	db       int
	user     credentials // on the servers that hold the data
	sentinel credentials // on the Sentinels
	master   string      // the name that the Sentinels know
}

func (c RedisConfig) parse() (address, error) {
	u, err := parseRedisURL(c.URL)
	if err != nil {
		return address{}, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, errors.New("the parameters of the URL cannot be read")
	}
	a := address{network: "tcp", master: query.Get("master_name")}
	if a.mode, err = modeOf(c.Mode, u, query); err != nil {
		return address{}, err
	}
	if err := knownParameters(a.mode, query); err != nil {
		return address{}, err
	}
	if a.db, err = database(u, query); err != nil {
		return address{}, err
	}
	if a.mode == RedisCluster && a.db != 0 {
		return address{}, errors.New("a cluster has only database 0; leave the number out of the URL")
	}
	if u.Scheme == "unix" {
		a.network, a.hosts = "unix", []string{u.Path}
	} else if a.hosts, err = hosts(u, query["addr"], a.mode); err != nil {
		return address{}, err
	}
	if a.tls, err = c.tlsFor(u); err != nil {
		return address{}, err
	}
	a.accounts(c, u, query)
	return a, nil
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

// modeOf settles what is behind u. A mode that the URL contradicts is an error: half of it would be ignored.
func modeOf(wanted RedisMode, u *url.URL, query url.Values) (RedisMode, error) {
	seen := RedisStandalone
	switch {
	case query.Has("master_name"):
		seen = RedisSentinel
	case query.Has("addr"):
		seen = RedisCluster
	}
	mode := wanted
	if wanted == "" || wanted == RedisAuto {
		mode = seen
	}
	switch mode {
	case RedisStandalone:
		if seen != RedisStandalone {
			return "", errors.New("a standalone Redis has neither master_name nor addr in its URL")
		}
	case RedisSentinel:
		if query.Get("master_name") == "" {
			return "", errors.New("the URL of Sentinels needs the master's name: redis://sentinel:26379?master_name=mymaster")
		}
	case RedisCluster:
		if seen == RedisSentinel {
			return "", errors.New("a cluster has no master_name in its URL")
		}
	default:
		return "", errors.New("unknown mode: auto, standalone, sentinel and cluster are known")
	}
	if mode != RedisStandalone && u.Scheme == "unix" {
		return "", errors.New("a socket leads to a standalone Redis only")
	}
	return mode, nil
}

// knownParameters refuses any other parameter, and one that is there twice: go-redis' settings are not for the URL to
// change, and a misspelt one would be ignored.
func knownParameters(mode RedisMode, query url.Values) error {
	known, text := []string{"db"}, "the URL has a parameter other than one db="
	switch mode {
	case RedisSentinel:
		known, text = []string{"db", "master_name", "addr", "username", "password"}, "beside master_name, addr, username, password and db the URL of Sentinels has no parameter"
	case RedisCluster:
		known, text = []string{"addr"}, "beside addr the URL of a cluster has no parameter"
	}
	for name, values := range query {
		if !slices.Contains(known, name) || len(values) != 1 && name != "addr" {
			return errors.New(text)
		}
	}
	return nil
}

// database returns the number in the path or in db=.
func database(u *url.URL, query url.Values) (int, error) {
	number := query.Get("db")
	if path := strings.Trim(u.Path, "/"); path != "" && u.Scheme != "unix" {
		if query.Has("db") {
			return 0, errors.New("the database stands in the path of the URL and in its parameter db; keep one")
		}
		number = path
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

// hosts returns the host of u and those of its addr parameters, each with its port.
func hosts(u *url.URL, more []string, mode RedisMode) ([]string, error) {
	port := "6379"
	if mode == RedisSentinel {
		port = "26379"
	}
	var all []string
	for _, host := range append([]string{u.Host}, more...) {
		one := url.URL{Host: host}
		if one.Hostname() == "" || strings.ContainsAny(host, "/@,; ") {
			return nil, errors.New("an addr in the URL is not host:port; write each as an addr of its own")
		}
		if one.Port() != "" {
			if n, err := strconv.ParseUint(one.Port(), 10, 16); err != nil || n == 0 {
				return nil, errors.New("a port in the URL is not from 1 to 65535")
			}
			all = append(all, net.JoinHostPort(one.Hostname(), one.Port()))
			continue
		}
		all = append(all, net.JoinHostPort(one.Hostname(), port))
	}
	return all, nil
}

func (c RedisConfig) tlsFor(u *url.URL) (*tls.Config, error) {
	if u.Scheme != "rediss" {
		if c.TLS != nil {
			return nil, errors.New("TLS is configured for Redis, but its URL does not start with rediss://")
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	return config, nil
}

// accounts settles who logs in where.
func (a *address) accounts(c RedisConfig, u *url.URL, query url.Values) {
	a.user.name = u.User.Username()
	a.user.password, _ = u.User.Password()
	if a.mode == RedisSentinel {
		a.sentinel = a.user
		a.user = credentials{name: query.Get("username"), password: query.Get("password")}
	}
	if c.Username != "" {
		a.user.name = c.Username
	}
	if c.Password != "" {
		a.user.password = c.Password
	}
	a.user.file = c.PasswordFile
}
