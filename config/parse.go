package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// parsers reads the types that are not ours. The library's own parsers of them take too much (localhost:8080 is a
// URL of the scheme localhost), too little (60 is no duration), or echo passwords in their errors.
func parsers() map[reflect.Type]env.ParserFunc {
	return map[reflect.Type]env.ParserFunc{
		reflect.TypeFor[url.URL]():       func(v string) (any, error) { return parseURL(v) },
		reflect.TypeFor[time.Duration](): func(v string) (any, error) { return parseDuration(v) },
		reflect.TypeFor[bool]():          func(v string) (any, error) { return parseBool(v) },
		reflect.TypeFor[int]():           func(v string) (any, error) { return parseInt(v) },
	}
}

// parseDuration reads Go's syntax, and bare seconds.
func parseDuration(v string) (time.Duration, error) {
	if digits, rest := splitNumber(v); digits != "" && rest == "" {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > math.MaxInt64/int64(time.Second) {
			return 0, fmt.Errorf("%s is too long", quote(v))
		}
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration such as 90s or 30m", quote(v))
	}
	return d, nil
}

func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "true", "t", "1", "yes", "on":
		return true, nil
	case "false", "f", "0", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", quote(v))
}

func parseInt(v string) (int, error) {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number", quote(v))
	}
	return int(n), nil
}

// parseURL reads an absolute http or https URL of nothing but scheme, host, port and path.
func parseURL(v string) (url.URL, error) {
	scheme, _, found := strings.Cut(v, "://")
	if !found {
		return url.URL{}, noScheme(v)
	}
	if s := strings.ToLower(scheme); s != "http" && s != "https" {
		return url.URL{}, fmt.Errorf("%s starts with neither http:// nor https://", quote(v))
	}
	u, err := url.Parse(v)
	switch {
	case err != nil:
		// The library's reason repeats parts of the input, a password among them.
		return url.URL{}, fmt.Errorf("%s is not a URL such as https://login.example.com", quote(v))
	case u.User != nil:
		return url.URL{}, errors.New("has a user or password in it (not shown); take it out")
	case u.Hostname() == "" || strings.HasSuffix(u.Host, ":"):
		return url.URL{}, fmt.Errorf("%s has no host or no port after the colon", quote(v))
	case u.Port() != "" && !validPort(u.Port(), 1):
		return url.URL{}, fmt.Errorf("%s has a port that is not from 1 to 65535", quote(v))
	case u.RawQuery != "" || u.ForceQuery:
		return url.URL{}, fmt.Errorf("%s has a query; take it out", quote(v))
	case strings.Contains(v, "#"):
		return url.URL{}, fmt.Errorf("%s has a fragment; take it out", quote(v))
	}
	if u.Path != "" {
		if err := checkPath(u.EscapedPath()); err != nil {
			return url.URL{}, fmt.Errorf("%s: its path %w", quote(v), err)
		}
	}
	return *u, nil
}

// noScheme suggests the scheme that the rest of the value makes likely.
func noScheme(v string) error {
	scheme := "https://"
	u, err := url.Parse("http://" + v)
	if err != nil || u.Hostname() == "" || strings.Contains(v, ":/") || mayHoldPassword(v) {
		return fmt.Errorf("%s is not a URL such as https://login.example.com", quote(v))
	}
	if isLoopback(u.Hostname()) || !strings.Contains(u.Hostname(), ".") || u.Port() != "" && u.Port() != "443" {
		scheme = "http://"
	}
	return fmt.Errorf("%s has no scheme; did you mean %s%s ?", quote(v), scheme, v)
}

// isLoopback reports whether a host is this machine for everybody.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || strings.EqualFold(host, "localhost")
}

// validPort reports whether a port is a number from least to 65535.
func validPort(port string, least uint64) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n >= least && !strings.HasPrefix(port, "+")
}
