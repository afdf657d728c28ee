package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxFileSize bounds the client file, in bytes.
const maxFileSize = 16 << 20

// Registry is the set of registered clients. It can be replaced while it is in use; the zero value is empty.
type Registry struct {
	path    string
	rules   Rules
	mu      sync.Mutex         // held by Reload
	read    *[sha256.Size]byte // digest of the content as last read, also when it was refused; nil: nothing yet
	current atomic.Pointer[clients]
}

type clients struct {
	byID     map[string]*Client
	byFolded map[string]*Client // clients whose requests must be pushed or signed, by their name without case and blanks
	folded   map[string]bool    // the names of all of them, likewise
	decoy    slowHash           // costs what most of the hashes cost; nil: there are none
}

// Load reads the client file at path: a JSON array of client metadata (RFC 7591 §2). The error names every
// problem.
func Load(path string) (*Registry, error) { return LoadUnder(path, Rules{}) }

// LoadUnder is Load under rules, which hold for every later reading too. A file that breaks one is refused.
func LoadUnder(path string, rules Rules) (*Registry, error) {
	r := &Registry{path: path, rules: rules}
	if _, err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// Lookup returns the client called id, or nil.
func (r *Registry) Lookup(id string) *Client {
	if all := r.current.Load(); all != nil {
		return all.byID[id]
	}
	return nil
}

// HoldsFAPI reports whether every client does what FAPI 2.0 demands of one, now and after each reading.
func (r *Registry) HoldsFAPI() bool { return r.rules.FAPI || r.path == "" }

// AnySigns reports whether there is a client whose request objects can be verified, with an algorithm that the rules allow.
func (r *Registry) AnySigns() bool {
	all := r.current.Load()
	if all == nil {
		return false
	}
	for _, c := range all.byID {
		if c.signsWith(r.rules.algorithms()) {
			return true
		}
	}
	return false
}

// Identify returns the client that cred names, proven or not; nil when there is none.
func (r *Registry) Identify(cred Credentials) *Client {
	ids, _ := cred.clientIDs()
	for _, id := range ids {
		if c := r.Lookup(id); c != nil {
			return c
		}
	}
	return nil
}

// decoy is a hash that is computed for a secret where there is none to compare with; nil when the file has no hashes.
func (r *Registry) decoy() slowHash {
	if all := r.current.Load(); all != nil {
		return all.decoy
	}
	return nil
}

// Len returns the number of clients.
func (r *Registry) Len() int {
	if all := r.current.Load(); all != nil {
		return len(all.byID)
	}
	return 0
}

// All returns the clients in the order of their names.
func (r *Registry) All() []*Client {
	all := r.current.Load()
	if all == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(all.byID), func(a, b *Client) int { return strings.Compare(a.ID, b.ID) })
}

// AnyRefusesPlain reports whether there is a client whose requests must be pushed, or signed.
func (r *Registry) AnyRefusesPlain() bool {
	all := r.current.Load()
	return all != nil && len(all.byFolded) > 0
}

// AnyUses reports whether there is a client that may authenticate by method.
func (r *Registry) AnyUses(method string) bool {
	if r == nil || r.current.Load() == nil {
		return false
	}
	for _, c := range r.current.Load().byID {
		if c.uses(method) {
			return true
		}
	}
	return false
}

// Resembles reports whether id is the name of a client, exactly or but for case and blanks.
func (r *Registry) Resembles(id string) bool {
	all := r.current.Load()
	return all != nil && all.folded[foldID(id)]
}

// ResemblesRestricted reports whether id is, but for case and blanks, the name of a client whose requests must be pushed,
// or signed. A server that compares names generously would take it for that client.
func (r *Registry) ResemblesRestricted(id string) bool {
	all := r.current.Load()
	return all != nil && all.byFolded[foldID(id)] != nil
}

func foldID(id string) string {
	return strings.Join(strings.Fields(strings.ToLower(strings.ToUpper(id))), "")
}

// Reload reads the file again and reports whether anything has changed. A file that is broken changes nothing: the
// clients that were read before stay.
func (r *Registry) Reload() (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	content, err := readFile(r.path)
	if err != nil {
		return false, fmt.Errorf("reading client file: %w", err)
	}
	digest := sha256.Sum256(content)
	if r.read != nil && *r.read == digest {
		return false, nil
	}
	r.read = &digest
	list, err := parse(content, r.rules)
	if err != nil {
		return false, fmt.Errorf("client file %s: %w", r.path, err)
	}
	r.current.Store(newClients(list, r.current.Load()))
	return true, nil
}

// newClients takes over the key sets that were fetched for the clients before; nil when there were none.
func newClients(list []*Client, before *clients) *clients {
	next := &clients{byID: make(map[string]*Client, len(list)), byFolded: map[string]*Client{}, folded: map[string]bool{}, decoy: commonDecoy(list)}
	for _, c := range list {
		next.byID[c.ID] = c
		next.folded[foldID(c.ID)] = true
		if c.RefusesPlain() {
			next.byFolded[foldID(c.ID)] = c
		}
		if c.published == nil || before == nil {
			continue
		}
		if old := before.byID[c.ID]; old != nil && old.published != nil && old.published.uri == c.published.uri {
			c.published = old.published
		}
	}
	return next
}

// commonDecoy returns a decoy of the cost that most hashes have.
func commonDecoy(list []*Client) slowHash {
	var common slowHash
	count := map[string]int{}
	for _, c := range list {
		if hash := c.secret.value().hash; hash != nil {
			count[hash.cost()]++
			if common == nil || count[hash.cost()] > count[common.cost()] {
				common = hash
			}
		}
	}
	if common == nil {
		return nil
	}
	return common.decoy()
}

// Watch calls Reload every interval until ctx ends, and report after each one that changed something or failed.
// It compares contents, because watching a file misses the links that Kubernetes swaps.
func (r *Registry) Watch(ctx context.Context, interval time.Duration, report func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last string
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := r.Reload()
		text := ""
		if err != nil {
			text = err.Error()
		}
		if changed || err != nil && text != last {
			report(err)
		}
		last = text
	}
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFileSize)
	}
	return os.ReadFile(path)
}
