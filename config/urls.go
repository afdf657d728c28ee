package config

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
)

const upstreamUnset = `is not set. It is the address of your authorization server, for example
UPSTREAM_URL=https://login.example.com pargate`

func (c *checker) urls() {
	if c.cfg.UpstreamURL == nil {
		c.fail("UPSTREAM_URL", "%s", upstreamUnset)
	}
	if u := c.cfg.PublicURL; u != nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		c.fail("PUBLIC_URL", "%s must begin with https:// (http only on this machine, for example http://localhost:8080)", quote(u.String()))
	}
}

// origins checks those whose scripts may push. They are compared as browsers send them (RFC 6454 §6.2).
func (c *checker) origins() {
	for _, origin := range c.cfg.CORSOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || origin != strings.ToLower(u.Scheme+"://"+u.Host) ||
			u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
			c.fail("CORS_ORIGINS", "%s is not an origin as browsers send it: https://, host and port alone, in lower case", quote(origin))
		}
	}
}

// paths checks the endpoints that are given. Those that come from the metadata are not known yet.
func (c *checker) paths() {
	c.path("PAR_PATH", c.cfg.PARPath)
	for _, path := range c.cfg.AuthorizePath {
		c.path("AUTHORIZE_PATH", path)
	}
	c.path("TOKEN_PATH", c.cfg.TokenPath)

	taken := map[string]string{}
	for _, path := range c.cfg.AuthorizePath {
		taken[path] = "AUTHORIZE_PATH"
	}
	for _, one := range []struct{ setting, path string }{{"TOKEN_PATH", c.cfg.TokenPath}, {"PAR_PATH", c.cfg.PARPath}} {
		if other := taken[one.path]; other != "" && one.path != "" {
			c.fail(one.setting, "%s is also in %s; each endpoint needs its own path", quote(one.path), c.env.name(other))
		}
		taken[one.path] = one.setting
	}
}

func (c *checker) path(setting, path string) {
	if path == "" {
		return
	}
	if path == "/" {
		c.fail(setting, `"/" would be every path`)
	} else if err := checkPath(path); err != nil {
		c.fail(setting, "%s %v", quote(path), err)
	}
}

// checkPath reports why a path is not canonical: the classifier compares bytes, and a second spelling of a path
// would be one that it does not protect.
func checkPath(path string) error {
	switch {
	case strings.Contains(path, "://"):
		return errors.New("is a URL; write its path alone")
	case !strings.HasPrefix(path, "/"):
		return errors.New("does not begin with /")
	case strings.ContainsAny(path, "?#"):
		return errors.New("has a query or a fragment")
	case strings.ContainsAny(path, `;%\`):
		return errors.New(`has one of ; % \ in it, which is not supported`)
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("has a character that a URL must escape")
	}
	for i, segment := range strings.Split(path[1:], "/") {
		switch {
		case segment == "." || segment == "..":
			return errors.New("has a dot segment")
		case segment == "" && i < strings.Count(path, "/")-1:
			return errors.New("has // in it")
		}
	}
	return nil
}

func (c *checker) redis() {
	if !c.env.isSet("REDIS_URL") {
		c.warn("REDIS_URL", "is not set: pushed requests are kept in memory, are lost on restart and not shared. Run ONE replica, or set it.")
		for _, setting := range []string{"REDIS_MODE", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_CA_FILE", "REDIS_CERT_FILE",
			"REDIS_KEY_FILE", "REDIS_KEY_PREFIX", "REDIS_WAIT_REPLICAS"} {
			if c.env.isSet(setting) && (setting != "REDIS_WAIT_REPLICAS" || c.cfg.RedisWaitReplicas != 0) {
				c.fail(setting, "is set, but REDIS_URL is not; set that too or unset this")
			}
		}
	} else if err := checkRedisURL(c.cfg.RedisURL.Reveal()); err != nil {
		c.fail("REDIS_URL", "%v", err)
	} else {
		c.redisTLS()
	}
	if n := c.cfg.RedisWaitReplicas; n < 0 || n > 8 {
		c.fail("REDIS_WAIT_REPLICAS", "%d is outside 0 to 8", n)
	}
	bad := func(r rune) bool { return strings.ContainsRune("{}", r) || unicode.IsSpace(r) || unicode.IsControl(r) }
	if strings.ContainsFunc(c.cfg.RedisKeyPrefix, bad) {
		c.fail("REDIS_KEY_PREFIX", "%s has braces or blanks in it", quote(c.cfg.RedisKeyPrefix))
	}
}

// redisTLS checks that TLS is spoken where it is configured, and that a certificate has its key.
func (c *checker) redisTLS() {
	scheme, _, _ := strings.Cut(strings.ToLower(c.cfg.RedisURL.Reveal()), "://")
	for setting, path := range map[string]string{"REDIS_CA_FILE": c.cfg.RedisCAFile, "REDIS_CERT_FILE": c.cfg.RedisCertFile, "REDIS_KEY_FILE": c.cfg.RedisKeyFile} {
		if path == "" {
			continue
		}
		if scheme != "rediss" && scheme != "valkeys" {
			c.fail(setting, "is for TLS, and %s does not begin with rediss://", c.env.name("REDIS_URL"))
		}
		if err := checkFile(path); err != nil {
			c.fail(setting, "%v", err)
		}
	}
	c.pair("REDIS_CERT_FILE", c.cfg.RedisCertFile, "REDIS_KEY_FILE", c.cfg.RedisKeyFile)
}

// checkRedisURL never repeats any of its input: there may be a password anywhere in it, above all when it is wrong.
func checkRedisURL(v string) error {
	scheme, _, found := strings.Cut(v, "://")
	if !found {
		return errors.New("has no scheme; write redis:// in front, as in redis://redis:6379 (not shown: it may hold a password)")
	}
	switch strings.ToLower(scheme) {
	case "redis", "rediss", "unix", "valkey", "valkeys":
	default:
		return errors.New("begins with none of redis:// rediss:// unix:// valkey:// valkeys://")
	}
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return errors.New("is not a URL (not shown: it may hold a password); in a password write / as %2F, @ as %40, : as %3A, # as %23, ? as %3F and % as %25")
	case u.Scheme == "unix" && u.Path == "":
		return errors.New("has no path; a socket looks like unix:///run/redis.sock")
	case u.Scheme != "unix" && u.Hostname() == "":
		return errors.New("has no host; it looks like redis://redis:6379")
	case u.Port() != "" && !validPort(u.Port(), 1):
		return errors.New("has a port that is not from 1 to 65535")
	case u.Fragment != "":
		return errors.New("has a fragment; in a password write # as %23")
	}
	return nil
}
