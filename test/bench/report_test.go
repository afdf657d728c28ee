package bench

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// report is what was measured.
type report struct {
	extent      extent
	contestants []*contestant
	turns       map[cell]map[string][]turn
	idle, busy  map[string]int64 // resident bytes before and after the load, by contestant
}

func newReport(e extent, contestants []*contestant) *report {
	return &report{extent: e, contestants: contestants, turns: map[cell]map[string][]turn{}, idle: map[string]int64{}, busy: map[string]int64{}}
}

func (r *report) add(c *contestant, at cell, done turn) {
	if r.turns[at] == nil {
		r.turns[at] = map[string][]turn{}
	}
	r.turns[at][c.name] = append(r.turns[at][c.name], done)
}

// rest notes what the contestants have resident before anybody asks them for anything.
func (r *report) rest(t *testing.T) { r.noteResident(t, r.idle) }

// loaded notes what they have resident after everything.
func (r *report) loaded(t *testing.T) { r.noteResident(t, r.busy) }

func (r *report) noteResident(t *testing.T, in map[string]int64) {
	t.Helper()
	for _, c := range r.contestants {
		resident, err := residentOf(c.pid)
		if err != nil {
			t.Fatal(err)
		}
		in[c.name] = resident
	}
}

// extra reports whether a scenario is measured at the usual number of connections alone.
func (r *report) extra(scenario string) bool { return strings.HasPrefix(scenario, push+", ") }

// CPU time for one request, in microseconds.
func (done turn) user() float64   { return done.each(done.cpu.user) }
func (done turn) system() float64 { return done.each(done.cpu.system) }
func (done turn) total() float64  { return done.each(done.cpu.user + done.cpu.system) }

func (done turn) each(d time.Duration) float64 {
	return float64(d) / float64(len(done.times)) / float64(time.Microsecond)
}

func (done turn) objects() float64 { return done.allocations / float64(len(done.times)) }
func (done turn) p50() float64     { return micros(done.within(0.5)) }
func (done turn) p99() float64     { return micros(done.within(0.99)) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// ratio is the median of what the gateway needed to what another one needed in the same round.
func ratio(ours, theirs []turn, key func(turn) float64) float64 {
	rounds := make([]float64, len(ours))
	for i := range ours {
		rounds[i] = key(ours[i]) / key(theirs[i])
	}
	slices.Sort(rounds)
	return rounds[len(rounds)/2]
}

// table is one of Markdown.
type table struct{ rows [][]string }

func (t *table) add(fields ...string) { t.rows = append(t.rows, fields) }

func (t *table) String() string {
	var b strings.Builder
	for i, row := range t.rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}

// tables is everything, by the name of its place in the document.
func (r *report) named() map[string]string {
	return map[string]string{
		"when": fmt.Sprintf("Measured on %s, on %d cores, %s, %d rounds.\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), r.extent.rounds),
		"cost": r.cost(), "latency": r.latency(), "pending": r.pending(), "methods": r.methods(), "memory": r.memory(),
	}
}

func (r *report) tables() string {
	var b strings.Builder
	all := r.named()
	for _, name := range []string{"when", "cost", "latency", "pending", "methods", "memory"} {
		b.WriteString(all[name] + "\n")
	}
	return b.String()
}

// cost is the CPU time of a request at the usual number of connections.
func (r *report) cost() string {
	t := &table{}
	head := []string{"request"}
	for _, c := range r.contestants {
		if head = append(head, c.name+" µs"); c.name == gateway {
			head = append(head, "user + system", "allocations")
		}
	}
	t.add(append(head, "ratio to bare")...)
	for _, scenario := range scenarios {
		turns := r.turns[cell{scenario.name, r.extent.usual(), 0}]
		if turns == nil || r.extra(scenario.name) {
			continue
		}
		row := []string{scenario.name}
		for _, c := range r.contestants {
			if row = append(row, figure(turns[c.name], turn.total, "%.1f")); c.name == gateway {
				row = append(row, figure(turns[c.name], turn.user, "%.1f")+" + "+figure(turns[c.name], turn.system, "%.1f"), figure(turns[c.name], turn.objects, "%.0f"))
			}
		}
		t.add(append(row, ratioTo(turns, bareGo, turn.total))...)
	}
	return t.String()
}

// latency is what a client sees, at every number of connections.
func (r *report) latency() string {
	t := &table{}
	t.add("request", "connections", "CPU µs", "bare µs", "ratio", "requests/s", "bare", "p50 µs", "bare", "p99 µs", "bare", "ratio of p99")
	for _, scenario := range scenarios {
		for _, connections := range r.extent.connections {
			turns := r.turns[cell{scenario.name, connections, 0}]
			if turns == nil || r.extra(scenario.name) {
				continue
			}
			row := []string{scenario.name, fmt.Sprint(connections), figure(turns[gateway], turn.total, "%.1f"), figure(turns[bareGo], turn.total, "%.1f"), ratioTo(turns, bareGo, turn.total)}
			for _, column := range []func(turn) float64{turn.perSecond, turn.p50, turn.p99} {
				row = append(row, figure(turns[gateway], column, "%.0f"), figure(turns[bareGo], column, "%.0f"))
			}
			t.add(append(row, ratioTo(turns, bareGo, turn.p99))...)
		}
	}
	return t.String()
}

// pending is what many pushes that wait cost the others.
func (r *report) pending() string {
	t := &table{}
	t.add("request", "connections", "CPU µs, nothing pending", fmt.Sprintf("%d pending", r.extent.pending), "ratio")
	for _, scenario := range scenarios {
		for _, connections := range r.extent.connections {
			none, many := r.turns[cell{scenario.name, connections, 0}][gateway], r.turns[cell{scenario.name, connections, r.extent.pending}][gateway]
			if none == nil || many == nil {
				continue
			}
			t.add(scenario.name, fmt.Sprint(connections), figure(none, turn.total, "%.1f"), figure(many, turn.total, "%.1f"),
				fmt.Sprintf("%.2f", median(many, turn.total)/median(none, turn.total)))
		}
	}
	return t.String()
}

// methods is what the ways to authenticate cost, and request objects.
func (r *report) methods() string {
	t := &table{}
	t.add("push", "CPU µs", "ratio to a plain secret", "allocations", "p50 µs", "p99 µs")
	plain := r.turns[cell{push, r.extent.usual(), 0}][gateway]
	for _, scenario := range scenarios {
		turns := r.turns[cell{scenario.name, r.extent.usual(), 0}][gateway]
		if turns == nil || plain == nil || scenario.name != push && !r.extra(scenario.name) {
			continue
		}
		name := strings.TrimPrefix(scenario.name, push+", ")
		if scenario.name == push {
			name = "plain secret (client_secret_basic)"
		}
		t.add(name, figure(turns, turn.total, "%.1f"), fmt.Sprintf("%.2f", median(turns, turn.total)/median(plain, turn.total)),
			figure(turns, turn.objects, "%.0f"), figure(turns, turn.p50, "%.0f"), figure(turns, turn.p99, "%.0f"))
	}
	return t.String()
}

// memory is what is resident.
func (r *report) memory() string {
	t := &table{}
	t.add("process", "resident when idle, MiB", "after the load, MiB")
	for _, c := range r.contestants {
		t.add(c.name, mebibytes(r.idle[c.name]), mebibytes(r.busy[c.name]))
	}
	return t.String()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

// figure is the median of the rounds; a dash where there is none.
func figure(turns []turn, key func(turn) float64, format string) string {
	if len(turns) == 0 || median(turns, key) < 0 {
		return "–"
	}
	return fmt.Sprintf(format, median(turns, key))
}

func ratioTo(turns map[string][]turn, name string, key func(turn) float64) string {
	if len(turns[name]) == 0 || len(turns[gateway]) != len(turns[name]) {
		return "–"
	}
	return fmt.Sprintf("%.2f", ratio(turns[gateway], turns[name], key))
}

// place is where a table stands in the document.
var place = regexp.MustCompile(`(?s)<!-- ([a-z]+) -->\n.*?<!-- end -->`)

// writeInto puts the tables into their places.
func (r *report) writeInto(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	all := r.named()
	text = place.ReplaceAllFunc(text, func(old []byte) []byte {
		name := string(place.FindSubmatch(old)[1])
		body, known := all[name]
		if !known {
			err = fmt.Errorf("%s: there is no table %q", file, name)
		}
		return []byte("<!-- " + name + " -->\n" + body + "<!-- end -->")
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
