package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
)

// finding is one thing that check has to say. The names of its fields are those of the JSON form, which docs/check.md
// describes: people script against both.
type finding struct {
	Name    findingName `json:"name"`              // what was looked at
	Level   level       `json:"level"`             //
	Subject string      `json:"subject,omitempty"` // which of several: a setting, a path, a method, a client; empty: there is one
	Text    string      `json:"text"`              // what was found, for people
	Fix     string      `json:"fix,omitempty"`     // what to do; empty: nothing
}

// findingName is what was looked at. There may be several findings of one name.
type findingName string

const (
	aboutConfiguration     findingName = "configuration"
	aboutProfile           findingName = "profile"
	aboutKubernetes        findingName = "kubernetes"
	aboutListener          findingName = "listener-certificate"
	aboutListenerName      findingName = "listener-name"
	aboutAuthorities       findingName = "authorities"
	aboutRedisClient       findingName = "redis-client-certificate"
	aboutUpstream          findingName = "upstream"
	aboutMetadata          findingName = "metadata"
	aboutEndpoint          findingName = "endpoint"
	aboutCapability        findingName = "capability"
	aboutProtected         findingName = "protected"
	aboutUpstreamCert      findingName = "upstream-certificate"
	aboutUpstreamClock     findingName = "upstream-clock"
	aboutDelegation        findingName = "delegation"
	aboutPost              findingName = "authorize-by-post"
	aboutPKCE              findingName = "pkce"
	aboutPublicName        findingName = "public-name"
	aboutPublicCertificate findingName = "public-certificate"
	aboutPushPath          findingName = "push-path"
	aboutSize              findingName = "size-limit"
	aboutStore             findingName = "store"
	aboutRedisTopology     findingName = "redis-topology"
	aboutRedisServer       findingName = "redis-server"
	aboutRedisEviction     findingName = "redis-eviction"
	aboutRedisReplicas     findingName = "redis-replicas"
	aboutRedisPersistence  findingName = "redis-persistence"
	aboutRedisClock        findingName = "redis-clock"
	aboutRedisCertificate  findingName = "redis-certificate"
)

// level is how a finding counts.
type level string

const (
	levelOK   level = "ok"   // as it should be, or good to know
	levelWarn level = "warn" // the gateway serves, and something could be better or could not be told
	levelFail level = "fail" // the gateway could not serve, or what is required would not hold
)

// findings are all that check has to say, in the order in which it was found.
type findings struct {
	all   []finding
	lines io.Writer // to which each is written at once, as a line; nil: to none
}

func (f *findings) add(one finding) {
	f.all = append(f.all, one)
	if f.lines == nil {
		return
	}
	text := one.Text
	if one.Fix != "" {
		text += "; " + one.Fix
	}
	fmt.Fprintf(f.lines, "%-4s  %s\n", one.Level, escaped(text, ""))
}

func (f *findings) ok(name findingName, subject, format string, args ...any) {
	f.add(finding{Name: name, Level: levelOK, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

func (f *findings) warn(name findingName, subject, text, fix string) {
	f.add(finding{Name: name, Level: levelWarn, Subject: subject, Text: text, Fix: fix})
}

func (f *findings) fail(name findingName, subject, text, fix string) {
	f.add(finding{Name: name, Level: levelFail, Subject: subject, Text: text, Fix: fix})
}

// worst is the level of them all.
func (f *findings) worst() level {
	order := map[level]int{levelOK: 0, levelWarn: 1, levelFail: 2}
	worst := levelOK
	for _, one := range f.all {
		if cmp.Compare(order[one.Level], order[worst]) > 0 {
			worst = one.Level
		}
	}
	return worst
}

// exitCode is the exit status of the program; strict lets warnings fail too.
func (f *findings) exitCode(strict bool) int {
	if worst := f.worst(); worst == levelFail || strict && worst == levelWarn {
		return exitFailure
	}
	return exitOK
}

// document is the JSON form.
type document struct {
	Version   string    `json:"version"`   // pargate's
	Status    level     `json:"status"`    // the worst level
	Exit      int       `json:"exit"`      // the exit status
	Connected bool      `json:"connected"` // -connect was given
	Findings  []finding `json:"findings"`
}

// writeJSON writes them as one document.
func (f *findings) writeJSON(w io.Writer, code int, connected bool) {
	encoder := json.NewEncoder(printable{w})
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	encoder.Encode(document{versionName(), f.worst(), code, connected, f.all})
}
