package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pargate/pushstore"
)

// A browser is known by one cookie per flow. The cookie is the index: it says which flows the browser has, so that
// a request without any reference finds its flow with no second structure in the store. It authorises nothing by
// itself, it only narrows.
//
//	live:      1.<minute>.<reference>.<secret>.<client_id>
//	finished:  0.<minute>.<secret>
//
// The minute is counted from the Unix epoch; the secret is 128 random bits whose digest is the flow's owner; secret
// and client_id are base64url. A finished flow's cookie lets its owner see more than anybody else of a reference
// that is used up, and costs nothing until that reference arrives.

const (
	maxLiveFlows     = 5  // of one browser
	maxFinishedFlows = 8  // marks of finished ones beside them
	maxEvicted       = 16 // cookies that one response takes away: more, somebody has made up
	secretSize       = 16
)

// cookieJar makes and reads the flow cookies of one origin.
type cookieJar struct {
	prefix   string // __Host-pargate-, or pargate- where the origin is plain http on a loopback address
	secure   bool
	lifetime time.Duration // FLOW_TTL
	now      func() time.Time
}

func newCookieJar(secure bool, lifetime time.Duration, now func() time.Time) *cookieJar {
	j := &cookieJar{prefix: "pargate-", secure: secure, lifetime: lifetime, now: now}
	if secure {
		j.prefix = "__Host-" + j.prefix
	}
	return j
}

// flowCookie is one of the browser's flows.
type flowCookie struct {
	name      string
	minute    int64
	finished  bool
	reference pushstore.Reference // empty when finished
	clientID  string              // likewise
	secret    []byte
}

func (c flowCookie) owner() pushstore.Owner { return pushstore.OwnerOf(c.secret) }

// mint makes the cookie of a flow that is about to begin.
func (j *cookieJar) mint(ref pushstore.Reference, clientID string) flowCookie {
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails
	return flowCookie{name: j.nameOf(ref), minute: j.now().Unix() / 60, reference: ref, clientID: clientID, secret: secret}
}

func (j *cookieJar) nameOf(ref pushstore.Reference) string { return j.prefix + pushstore.Digest(ref) }

// isOurs reports whether name is one of a flow cookie, the browser's or an upstream's.
func (j *cookieJar) isOurs(name string) bool {
	rest, ok := strings.CutPrefix(name, j.prefix)
	return ok && digestPattern.MatchString(rest)
}

var digestPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{8}$`)

// read returns the flow cookies in the order of the header, and the header's other cookies, byte for byte. A name
// that occurs twice is not believed at all: one of the two was set by somebody else.
func (j *cookieJar) read(header []string) (flows []flowCookie, others []string) {
	count := map[string]int{}
	for _, line := range header {
		if !strings.Contains(line, j.prefix) {
			others = append(others, line)
			continue
		}
		var kept []string
		for segment := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(segment), "=")
			if name = strings.TrimSpace(name); !j.isOurs(name) {
				kept = append(kept, segment)
				continue
			}
			count[name]++
			if c, ok := parseFlowCookie(name, strings.TrimSpace(value)); ok {
				flows = append(flows, c)
			}
		}
		if rest := strings.TrimLeft(strings.Join(kept, ";"), " "); rest != "" {
			others = append(others, rest)
		}
	}
	unique := flows[:0]
	for _, c := range flows {
		if count[c.name] == 1 && (c.finished || c.name == j.nameOf(c.reference)) {
			unique = append(unique, c)
		}
	}
	return unique, others
}

func parseFlowCookie(name, value string) (flowCookie, bool) {
	c := flowCookie{name: name}
	parts := strings.Split(value, ".")
	if len(parts) < 3 {
		return c, false
	}
	minute, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return c, false
	}
	c.minute = minute
	switch {
	case parts[0] == "0" && len(parts) == 3:
		c.finished = true
		c.secret, err = base64.RawURLEncoding.DecodeString(parts[2])
	case parts[0] == "1" && len(parts) == 5:
		var clientID []byte
		var ok bool
		if c.reference, ok = pushstore.ParseReference(parts[2]); !ok {
			return c, false
		}
		if clientID, err = base64.RawURLEncoding.DecodeString(parts[4]); err != nil {
			return c, false
		}
		c.clientID = string(clientID)
		c.secret, err = base64.RawURLEncoding.DecodeString(parts[3])
	default:
		return c, false
	}
	return c, err == nil && len(c.secret) == secretSize
}

// set returns the Set-Cookie value that gives c to the browser. SameSite is None because brokered logins come back
// by cross-site POST; plain http knows no such cookie, and gets Lax.
func (j *cookieJar) set(c flowCookie) string {
	encode := base64.RawURLEncoding.EncodeToString
	value := fmt.Sprintf("1.%d.%s.%s.%s", c.minute, c.reference, encode(c.secret), encode([]byte(c.clientID)))
	if c.finished {
		value = fmt.Sprintf("0.%d.%s", c.minute, encode(c.secret))
	}
	return j.line(c.name, value, int(j.lifetime/time.Second))
}

// finish returns the Set-Cookie value that turns c into the owner's mark of a finished flow.
func (j *cookieJar) finish(c flowCookie) string {
	c.finished = true
	return j.set(c)
}

// evict returns the Set-Cookie values that make room for one more flow: of the live ones, the oldest of the client
// that has most; of the finished ones, the oldest.
func (j *cookieJar) evict(flows []flowCookie) []string {
	var live, finished []flowCookie
	perClient := map[string]int{}
	for _, c := range flows {
		if c.finished {
			finished = append(finished, c)
		} else {
			live = append(live, c)
			perClient[c.clientID]++
		}
	}
	var lines []string
	drop := func(from []flowCookie, before func(a, b flowCookie) bool) []flowCookie {
		victim := 0
		for i := range from {
			if before(from[i], from[victim]) {
				victim = i
			}
		}
		perClient[from[victim].clientID]--
		lines = append(lines, j.line(from[victim].name, "", -1))
		return slices.Delete(from, victim, victim+1)
	}
	for len(live) >= maxLiveFlows && len(lines) < maxEvicted {
		live = drop(live, func(a, b flowCookie) bool {
			if n, m := perClient[a.clientID], perClient[b.clientID]; n != m {
				return n > m
			}
			return a.minute < b.minute
		})
	}
	for len(finished) >= maxFinishedFlows && len(lines) < maxEvicted {
		finished = drop(finished, func(a, b flowCookie) bool { return a.minute < b.minute })
	}
	return lines
}

func (j *cookieJar) line(name, value string, maxAge int) string {
	c := http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, MaxAge: maxAge, SameSite: http.SameSiteLaxMode}
	if j.secure {
		c.Secure, c.SameSite = true, http.SameSiteNoneMode
	}
	return c.String()
}
