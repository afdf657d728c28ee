package config

import (
	"fmt"
	"strings"
)

// LogLevel is the least important level that is logged.
type LogLevel string

const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// UnmarshalText reads one of the levels.
func (v *LogLevel) UnmarshalText(text []byte) error {
	return choose(v, text, LogDebug, LogInfo, LogWarn, LogError)
}

// LogFormat is how log lines look.
type LogFormat string

const (
	LogAuto    LogFormat = "auto" // console on a terminal, JSON elsewhere
	LogJSON    LogFormat = "json"
	LogConsole LogFormat = "console"
)

// UnmarshalText reads one of the formats.
func (v *LogFormat) UnmarshalText(text []byte) error {
	return choose(v, text, LogAuto, LogJSON, LogConsole)
}

// ResponseISS is what happens to iss in authorization responses (RFC 9207).
type ResponseISS string

const (
	ISSAdd       ResponseISS = "add"       // it is added
	ISSAdvertise ResponseISS = "advertise" // it is added, and the metadata says so
	ISSOff       ResponseISS = "off"       // responses are left alone
)

// UnmarshalText reads one of the values.
func (v *ResponseISS) UnmarshalText(text []byte) error {
	return choose(v, text, ISSAdd, ISSAdvertise, ISSOff)
}

// Method is how a pushed request reaches the upstream.
type Method string

const (
	MethodGet  Method = "GET"  // in the query
	MethodPost Method = "POST" // in the body
)

// UnmarshalText reads one of the methods.
func (v *Method) UnmarshalText(text []byte) error {
	return choose(v, text, MethodGet, MethodPost)
}

// ClientAuth is who authenticates a client that pushes.
type ClientAuth string

const (
	AuthAuto     ClientAuth = "auto"     // the file for clients in it, the upstream for others
	AuthFile     ClientAuth = "file"     // CLIENTS_FILE alone
	AuthUpstream ClientAuth = "upstream" // the upstream alone
)

// UnmarshalText reads one of the values.
func (v *ClientAuth) UnmarshalText(text []byte) error {
	return choose(v, text, AuthAuto, AuthFile, AuthUpstream)
}

// Audience is which aud a client assertion may have.
type Audience string

const (
	AudienceRFC9126 Audience = "rfc9126" // issuer, token endpoint or push endpoint
	AudienceIssuer  Audience = "issuer"  // exactly the issuer, one string
)

// UnmarshalText reads one of the values.
func (v *Audience) UnmarshalText(text []byte) error {
	return choose(v, text, AudienceRFC9126, AudienceIssuer)
}

// Profile is a set of stricter rules.
type Profile string

const (
	ProfileNone  Profile = ""
	ProfileFAPI2 Profile = "fapi2" // the FAPI 2.0 Security Profile; Effects lists what it changes
)

// UnmarshalText reads the name of a profile.
func (v *Profile) UnmarshalText(text []byte) error {
	return choose(v, text, ProfileFAPI2)
}

// RedisMode is the kind of Redis behind REDIS_URL.
type RedisMode string

const (
	RedisAuto       RedisMode = "auto" // told from the URL
	RedisStandalone RedisMode = "standalone"
	RedisSentinel   RedisMode = "sentinel"
	RedisCluster    RedisMode = "cluster"
)

// UnmarshalText reads one of the modes.
func (v *RedisMode) UnmarshalText(text []byte) error {
	return choose(v, text, RedisAuto, RedisStandalone, RedisSentinel, RedisCluster)
}

// choose sets v to the one of all that text spells, in whatever case.
func choose[T ~string](v *T, text []byte, all ...T) error {
	names := make([]string, len(all))
	for i, one := range all {
		if strings.EqualFold(string(text), string(one)) {
			*v = one
			return nil
		}
		names[i] = string(one)
	}
	last := len(names) - 1
	if last == 0 {
		return fmt.Errorf("%s is not %s", quote(string(text)), names[0])
	}
	return fmt.Errorf("%s is not one of %s and %s", quote(string(text)), strings.Join(names[:last], ", "), names[last])
}
