package pushstore

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// DefaultFlowTTL is how long a login may take when the options do not say.
const DefaultFlowTTL = 30 * time.Minute

// defaultMaxBytes holds some 40,000 requests of ordinary size.
const defaultMaxBytes = 64 << 20

// errClosed is what a closed Memory answers.
var errClosed = errors.New("pushstore: memory store is closed")

// MemoryOptions configures NewMemory.
type MemoryOptions struct {
	FlowTTL  time.Duration    // how long a login may take once it is opened; zero means DefaultFlowTTL
	MaxBytes int64            // what may be kept, overhead counted; zero means 64 MiB. One party gets a quarter at most
	Now      func() time.Time // the clock; nil means time.Now

	// Claimed is told when a browser has claimed a pushed request, and how much of its window was left. Nil: nobody is.
	Claimed func(r Request, left time.Duration)
}

// Memory keeps everything in this process: for one gateway that may forget when it restarts. What it holds is sealed
// as in Redis, so a dump of the heap shows no request that nobody has the reference of.
//
// It is safe for concurrent use and runs no goroutine: expired records are collected by the calls that come later.
type Memory struct {
	keeper
	flowTTL  time.Duration
	maxBytes int64
	now      func() time.Time

	mu       sync.Mutex
	closed   bool
	entries  map[place]*entry
	expiry   expiryHeap
	bytes    int64
	accounts map[[32]byte]*account
}

var _ Store = (*Memory)(nil)

// entry is what lies at one place: a push, a flow, a continuation or a mark.
type entry struct {
	place   place
	kind    entryKind
	value   string // sealed; of a mark the token of the call that set it
	claim   string // of a flow
	steps   []place
	expires time.Time
	index   int // in the heap
	size    int64
	account *account
}

type entryKind byte

const (
	entryPush entryKind = iota // or a flow, once it has a claim
	entryStep
	entryMark
)

// account is what one party holds.
type account struct {
	party [32]byte
	bytes int64
}

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{flowTTL: o.FlowTTL, maxBytes: o.MaxBytes, now: o.Now,
		entries: map[place]*entry{}, accounts: map[[32]byte]*account{}}
	if m.flowTTL == 0 {
		m.flowTTL = DefaultFlowTTL
	}
	if m.maxBytes == 0 {
		m.maxBytes = defaultMaxBytes
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.keeper = keeper{m, o.Claimed}
	return m
}

// begin implements shelf: nothing here waits.
func (m *Memory) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}

func (m *Memory) put(_ context.Context, p place, party [32]byte, push string, window time.Duration) error {
	now, err := m.lock()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.add(entry{place: p, kind: entryPush, value: push, expires: now.Add(window)}, party, now)
}

func (m *Memory) read(_ context.Context, p place) (stored, error) {
	now, err := m.lock()
	if err != nil {
		return stored{}, err
	}
	defer m.mu.Unlock()
	return m.live(p, now).stored(), nil
}

func (m *Memory) hold(ctx context.Context, p place, _ token) (stored, error) { return m.read(ctx, p) }

func (m *Memory) take(_ context.Context, p place, owner token) (stored, error) {
	now, err := m.lock()
	if err != nil {
		return stored{}, err
	}
	defer m.mu.Unlock()
	e := m.live(p, now)
	var left time.Duration
	if e != nil && e.kind == entryPush && e.claim == "" {
		left = e.expires.Sub(now)
		e.claim = string(owner[:])
		m.move(e, now.Add(m.flowTTL))
	}
	v := e.stored()
	v.left = left
	return v, nil
}

func (m *Memory) finish(_ context.Context, p place, owner, response token, tombstone string) (string, error) {
	now, err := m.lock()
	if err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	e := m.live(p, now)
	if e == nil || e.kind != entryPush {
		return "", nil
	}
	if e.claim == string(owner[:]) {
		e.claim += string(response[:])
		e.value, e.steps = tombstone, nil
		m.charge(e)
		m.move(e, now.Add(m.flowTTL))
	}
	return e.claim, nil
}

func (m *Memory) count(_ context.Context, p place, owner token, step place) (booking, error) {
	now, err := m.lock()
	if err != nil {
		return booking{}, err
	}
	defer m.mu.Unlock()
	e := m.live(p, now)
	if e == nil || e.kind != entryPush {
		return booking{}, nil
	}
	b := booking{claim: e.claim, rest: e.expires.Sub(now)}
	if e.claim != string(owner[:]) {
		return b, nil
	}
	for _, s := range e.steps {
		if s == step {
			b.room = true
			return b, nil
		}
	}
	more := int64(len(e.steps)+1) * int64(len(place{})) // append doubles
	if b.room = len(e.steps) < MaxContinuations && m.fits(more, e.account.party); b.room {
		e.steps = append(e.steps, step)
		m.charge(e)
	}
	return b, nil
}

func (m *Memory) extend(_ context.Context, step place, party [32]byte, value string, rest time.Duration) error {
	now, err := m.lock()
	if err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.live(step, now) != nil {
		return nil
	}
	return m.add(entry{place: step, kind: entryStep, value: value, expires: now.Add(rest)}, party, now)
}

// Mark implements Store. It returns ErrFull when a quarter of the bound is marks.
func (m *Memory) Mark(_ context.Context, holder, id string, life time.Duration) (first bool, err error) {
	now, err := m.lock()
	if err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	p := markPlace(id)
	if m.live(p, now) != nil {
		return false, nil
	}
	err = m.add(entry{place: p, kind: entryMark, expires: now.Add(life)}, holderDigest(holder), now)
	return err == nil, err
}

// Ping implements Store.
func (m *Memory) Ping(context.Context) error {
	_, err := m.lock()
	if err == nil {
		m.mu.Unlock()
	}
	return err
}

// Close implements Store. It forgets everything; later calls fail.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.entries, m.expiry, m.accounts = true, nil, nil, nil
	return nil
}

// Size returns how many entries there are and what they take, those that have expired and were not collected yet among them.
func (m *Memory) Size() (entries int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries), m.bytes
}

// MaxBytes returns what may be kept, overhead counted.
func (m *Memory) MaxBytes() int64 { return m.maxBytes }

// lock locks the store and collects some of what has expired.
func (m *Memory) lock() (now time.Time, err error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return time.Time{}, errClosed
	}
	now = m.now()
	m.collect(now, collectSome)
	return now, nil
}

// live returns the entry at p unless its time is over.
func (m *Memory) live(p place, now time.Time) *entry {
	e := m.entries[p]
	if e == nil || !now.Before(e.expires) {
		return nil
	}
	return e
}

func (e *entry) stored() stored {
	switch {
	case e == nil:
		return stored{}
	case e.kind == entryStep:
		return stored{step: e.value}
	case e.claim != "":
		return stored{flow: e.value, claim: e.claim}
	}
	return stored{push: e.value}
}

// move gives e another end.
func (m *Memory) move(e *entry, expires time.Time) {
	e.expires = expires
	heap.Fix(&m.expiry, e.index)
}
