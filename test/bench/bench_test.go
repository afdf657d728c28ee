package bench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"pargate/test/redisserver"
)

var (
	much    = flag.String("measure", "moment", "how much to measure: a moment of everything, to see that it works; briefly; fully")
	write   = flag.Bool("write", false, "write the tables into docs/performance.md")
	only    = flag.String("only", "", "measure the scenarios alone whose names match this regular expression")
	profile = flag.String("profile", "", "write a CPU profile of the program into this file, instead of measuring")
	against = flag.String("against", "", "measure these files too, other builds of the program, with commas between them")
)

// The scenarios, by name.
const (
	push             = "push"
	firstVisit       = "authorize, the first visit"
	authorize        = "authorize, with the cookie"
	authorizeCarried = "authorize, with a request in the answer"
	passSmall        = "pass-through, 100 bytes"
	passLarge        = "pass-through, 1 MiB"
	page             = "page of 8 KiB, in a flow"
	metadataDocument = "metadata"

	pushHashed    = "push, hashed secret"
	pushSharedJWT = "push, client_secret_jwt HS256"
	pushRSA       = "push, private_key_jwt RS256"
	pushEC        = "push, private_key_jwt ES256"
	pushObjectRSA = "push, request object RS256"
	pushObjectEC  = "push, request object ES256"
	pushDelegated = "push, the upstream asked"
)

// scenarios are in the order of the tables, each with how many requests are one turn.
var scenarios = []struct {
	name  string
	turn  int
	store bool // costs what it costs also with many pushes pending
}{
	{push, 6000, true}, {firstVisit, 6000, true}, {authorize, 3000, true}, {authorizeCarried, 3000, true},
	{passSmall, 8000, false}, {passLarge, 400, false}, {page, 4000, false}, {metadataDocument, 8000, false},
	{pushHashed, 6000, false}, {pushSharedJWT, 4000, false}, {pushRSA, 2000, false}, {pushEC, 4000, false},
	{pushObjectRSA, 2000, false}, {pushObjectEC, 4000, false}, {pushDelegated, 3000, false},
}

// extent is how much is measured.
type extent struct {
	rounds      int
	share       int // of a turn: one part of so many
	connections []int
	pending     int // besides none; zero: only none
}

var extents = map[string]extent{
	"moment":  {rounds: 1, share: 200, connections: []int{2}, pending: 1000},
	"briefly": {rounds: 9, share: 1, connections: []int{32}},
	"fully":   {rounds: 5, share: 1, connections: []int{1, 32, 256}, pending: 1_000_000},
}

// usual is the number of connections at which those scenarios are measured that are measured once.
func (e extent) usual() int { return e.connections[len(e.connections)/2] }

func TestEverythingIsMeasured(t *testing.T) {
	e, known := extents[*much]
	if !known {
		t.Fatalf("-measure %q is none of moment, briefly, fully", *much)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // what makes the load shall not take the machine from what is measured
	s := &site{redis: redisserver.Start(t), upstream: startLegacy(t), dir: t.TempDir()}
	all := []*contestant{s.startGateway(t, gateway, build(t, s.dir, "pargate/cmd/pargate")), s.startBare(t)}
	for file := range strings.SplitSeq(*against, ",") {
		if file != "" {
			all = append(all, s.startGateway(t, filepath.Base(file), file))
		}
	}
	all = append(all, s.startFronts(t)...)
	r := newReport(e, all)
	r.rest(t)
	for _, pending := range slices.Compact([]int{0, e.pending}) {
		s.fill(t, pending)
		r.measureAll(t, pending)
	}
	r.loaded(t)
	text := r.tables()
	fmt.Println(text)
	if *write && !t.Failed() {
		if err := r.writeInto("../../docs/performance.md"); err != nil {
			t.Fatal(err)
		}
	}
}

// What the contestants are called.
const (
	gateway = "pargate"
	bareGo  = "bare"
)

// measureAll measures every scenario that pending pushes concern.
func (r *report) measureAll(t *testing.T, pending int) {
	wanted := regexp.MustCompile(*only)
	for _, scenario := range scenarios {
		if !wanted.MatchString(scenario.name) || pending > 0 && !scenario.store {
			continue
		}
		for _, connections := range r.extent.connections {
			if r.extra(scenario.name) && connections != r.extent.usual() {
				continue
			}
			r.compare(t, cell{scenario.name, connections, pending}, max(connections, scenario.turn/r.extent.share))
		}
	}
}

// cell is where in the tables something stands.
type cell struct {
	scenario    string
	connections int
	pending     int
}

// compare lets every contestant that can do a scenario do it in turn, round after round, each time another one first.
func (r *report) compare(t *testing.T, at cell, n int) {
	t.Helper()
	var able []*contestant
	for _, c := range r.contestants {
		if c.requests[at.scenario] != nil {
			able = append(able, c)
		}
	}
	for round := range r.extent.rounds {
		for i := range able {
			c := able[(i+round)%len(able)]
			turn, err := c.turn(at, n)
			if err != nil {
				t.Fatalf("%s: %v, %d connections: %v", c.name, at.scenario, at.connections, err)
			}
			r.add(c, at, turn)
		}
	}
}

// turn is what a contestant did in one turn.
type turn struct {
	load
	cpu         cpu
	allocations float64 // of all requests; negative: unknown
	resident    int64
}

// turn prepares n requests, and measures what they cost.
func (c *contestant) turn(at cell, n int) (done turn, err error) {
	source, err := c.requests[at.scenario](n)
	if err != nil {
		return turn{}, err
	}
	connections, err := open(c.addr, at.connections)
	if err != nil {
		return turn{}, err
	}
	defer closeAll(connections)
	allocated := func() (float64, error) { return 0, nil }
	if done.allocations = -1; c.allocations != nil {
		allocated = c.allocations
	}
	objects, err := allocated()
	if err != nil {
		return turn{}, err
	}
	before, err := cpuOf(c.pid)
	if err != nil {
		return turn{}, err
	}
	if done.load, err = run(connections, n, source.status, source.request); err != nil {
		return turn{}, err
	}
	after, err := cpuOf(c.pid)
	if err != nil {
		return turn{}, err
	}
	done.cpu = after.minus(before)
	if c.allocations != nil {
		now, err := allocated()
		if err != nil {
			return turn{}, err
		}
		done.allocations = now - objects
	}
	done.resident, err = residentOf(c.pid)
	return done, err
}

// fill empties Redis, and puts n pushes of the gateway's form and size there that nobody comes for.
func (s *site) fill(t *testing.T, n int) {
	t.Helper()
	ctx, client := context.Background(), s.redis.Client(t)
	if err := client.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	const atOnce = 5000
	value := make([]byte, len(pushedForm("web").Encode())+150)
	rand.Read(value)
	for done := 0; done < n; {
		pipe := client.Pipeline()
		for range min(atOnce, n-done) {
			place := make([]byte, 18)
			rand.Read(place)
			pipe.Set(ctx, "pargate:{"+base64.RawURLEncoding.EncodeToString(place)+"}:push", value, time.Hour)
			done++
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := client.DBSize(ctx).Result(); err != nil || int(kept) != n {
		t.Fatalf("%d keys in Redis, not %d: %v", kept, n, err)
	}
}

func sortedBy[T any, K int | int64 | float64](all []T, key func(T) K) []K {
	keys := make([]K, len(all))
	for i, each := range all {
		keys[i] = key(each)
	}
	slices.Sort(keys)
	return keys
}

// median is the one in the middle.
func median[T any](all []T, key func(T) float64) float64 {
	sorted := sortedBy(all, key)
	return sorted[len(sorted)/2]
}
