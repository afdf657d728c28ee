package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// label is the type of a label: its values are numbered from zero.
type label interface {
	~int
	label() string    // its name
	values() []string // by number
}

// Counters are counters by one label.
type Counters[A label] []prometheus.Counter

// Inc counts one.
func (c Counters[A]) Inc(a A) { c[a].Inc() }

// Counters2 are counters by two labels.
type Counters2[A, B label] struct {
	children []prometheus.Counter
	wide     int // how many values B has
}

// Inc counts one.
func (c Counters2[A, B]) Inc(a A, b B) { c.children[int(a)*c.wide+int(b)].Inc() }

// Counters3 are counters by three labels.
type Counters3[A, B, C label] struct {
	children   []prometheus.Counter
	wide, deep int // how many values B and C have
}

// Inc counts one.
func (c Counters3[A, B, C]) Inc(a A, b B, d C) {
	c.children[(int(a)*c.wide+int(b))*c.deep+int(d)].Inc()
}

// Times2 are durations by two labels.
type Times2[A, B label] struct {
	children []prometheus.Observer
	wide     int // how many values B has
}

// Observe counts one that has taken d.
func (t Times2[A, B]) Observe(a A, b B, d time.Duration) {
	t.children[int(a)*t.wide+int(b)].Observe(d.Seconds())
}

// Parameters are counters by the name of a parameter out of a fixed list. Any other is "other".
type Parameters struct {
	known map[string]prometheus.Counter
	other prometheus.Counter
}

// Inc counts one. name is folded (oauth.Fold).
func (p Parameters) Inc(name string) {
	if c := p.known[name]; c != nil {
		c.Inc()
		return
	}
	p.other.Inc()
}

func describe[A label]() (name string, values []string) {
	var a A
	return a.label(), a.values()
}

// combinations returns every choice of one value from each list, the last list changing fastest.
func combinations(lists ...[]string) (all [][]string) {
	all = [][]string{nil}
	for _, list := range lists {
		var longer [][]string
		for _, before := range all {
			for _, value := range list {
				longer = append(longer, append(before[:len(before):len(before)], value))
			}
		}
		all = longer
	}
	return all
}

// maker makes families. Without a registerer they are counted and exported nowhere.
type maker struct{ to prometheus.Registerer }

func (m maker) with() promauto.Factory { return promauto.With(m.to) }

func (m maker) counter(name, help string) prometheus.Counter {
	return m.with().NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func (m maker) counters(name, help string, labels []string, lists ...[]string) (children []prometheus.Counter) {
	vec := m.with().NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	for _, values := range combinations(lists...) {
		children = append(children, vec.WithLabelValues(values...))
	}
	return children
}

func counters[A label](m maker, name, help string) Counters[A] {
	a, as := describe[A]()
	return m.counters(name, help, []string{a}, as)
}

func counters2[A, B label](m maker, name, help string) Counters2[A, B] {
	a, as := describe[A]()
	b, bs := describe[B]()
	return Counters2[A, B]{m.counters(name, help, []string{a, b}, as, bs), len(bs)}
}

func counters3[A, B, C label](m maker, name, help string) Counters3[A, B, C] {
	a, as := describe[A]()
	b, bs := describe[B]()
	c, cs := describe[C]()
	return Counters3[A, B, C]{m.counters(name, help, []string{a, b, c}, as, bs, cs), len(bs), len(cs)}
}

// times2 makes durations from 1 ms to 10 s.
func times2[A, B label](m maker, name, help string) Times2[A, B] {
	a, as := describe[A]()
	b, bs := describe[B]()
	vec := m.with().NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{a, b})
	times := Times2[A, B]{wide: len(bs)}
	for _, values := range combinations(as, bs) {
		times.children = append(times.children, vec.WithLabelValues(values...))
	}
	return times
}

var buckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

func (m maker) parameters(name, help string, known []string) Parameters {
	const other = "other"
	vec := m.with().NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"parameter"})
	p := Parameters{known: map[string]prometheus.Counter{}, other: vec.WithLabelValues(other)}
	for _, each := range known {
		p.known[each] = vec.WithLabelValues(each)
	}
	return p
}
