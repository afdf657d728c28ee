package client

import (
	"sync"
	"time"
)

// memory remembers values for a time. It is bounded: where it is full, something is forgotten early, so nothing may
// depend on it but the work that it saves.
type memory[K comparable, V any] struct {
	max int

	mu      sync.Mutex
	entries map[K]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newMemory[K comparable, V any](max int) *memory[K, V] {
	return &memory[K, V]{max: max, entries: map[K]remembered[V]{}}
}

func (m *memory[K, V]) get(key K, now time.Time) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok || !now.Before(e.until) {
		return value, false
	}
	return e.value, true
}

func (m *memory[K, V]) has(key K, now time.Time) bool {
	_, ok := m.get(key, now)
	return ok
}

func (m *memory[K, V]) put(key K, value V, now time.Time, life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.entries[key]; !there && len(m.entries) >= m.max {
		m.makeRoom(now)
	}
	m.entries[key] = remembered[V]{value, now.Add(life)}
}

func (m *memory[K, V]) forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

// makeRoom drops what has expired among a few entries, which a map yields in random order, and at least one.
func (m *memory[K, V]) makeRoom(now time.Time) {
	const few = 16
	seen, dropped := 0, false
	var last K
	for key, e := range m.entries {
		if last = key; !now.Before(e.until) {
			delete(m.entries, key)
			dropped = true
		}
		if seen++; seen == few {
			break
		}
	}
	if !dropped {
		delete(m.entries, last)
	}
}
