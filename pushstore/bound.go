package pushstore

import (
	"container/heap"
	"time"
)

// How many expired entries one call collects: some always, many when it would be refused for want of room. Every
// entry is collected once, so the first figure only has to be more than the one entry a call may add.
const (
	collectSome = 16
	collectMany = 4096
)

// entryOverhead is what an entry costs beside its value: the struct, its slots in map and heap at their emptiest, a
// finished claim, and an account of its own. A test compares it with the heap.
const entryOverhead = 512

// sizeOf is what e costs. Go rounds a string up to its size class, an eighth at most.
func (e *entry) sizeOf() int64 {
	return entryOverhead + int64(len(e.value)+len(e.value)/8) + int64(cap(e.steps)*len(place{}))
}

// add keeps e on party's account, or returns ErrFull. Nothing live is dropped to make room.
func (m *Memory) add(e entry, party [32]byte, now time.Time) error {
	if old := m.entries[e.place]; old != nil { // expired: a live one is not added again
		m.drop(old)
	}
	e.size = e.sizeOf()
	if !m.fits(e.size, party) {
		m.collect(now, collectMany)
		if !m.fits(e.size, party) {
			return ErrFull
		}
	}
	e.account = m.accounts[party]
	if e.account == nil {
		e.account = &account{party: party}
		m.accounts[party] = e.account
	}
	e.account.bytes += e.size
	m.bytes += e.size
	m.entries[e.place] = &e
	heap.Push(&m.expiry, &e)
	return nil
}

func (m *Memory) fits(size int64, party [32]byte) bool {
	held := int64(0)
	if a := m.accounts[party]; a != nil {
		held = a.bytes
	}
	return m.bytes+size <= m.maxBytes && held+size <= m.maxBytes/4
}

// charge counts e again after its value or steps have changed.
func (m *Memory) charge(e *entry) {
	more := e.sizeOf() - e.size
	e.size += more
	e.account.bytes += more
	m.bytes += more
}

// collect drops up to most expired entries.
func (m *Memory) collect(now time.Time, most int) {
	for range most {
		if len(m.expiry) == 0 || now.Before(m.expiry[0].expires) {
			return
		}
		m.drop(m.expiry[0])
	}
}

func (m *Memory) drop(e *entry) {
	heap.Remove(&m.expiry, e.index)
	delete(m.entries, e.place)
	m.bytes -= e.size
	if e.account.bytes -= e.size; e.account.bytes == 0 {
		delete(m.accounts, e.account.party)
	}
}

// expiryHeap has the entry that ends first on top.
type expiryHeap []*entry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *expiryHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *expiryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil // or the slice would keep it alive
	*h = (*h)[:last]
	return e
}
