package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
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
	mu      sync.Mutex         // held by Reload
	read    *[sha256.Size]byte // digest of the content as last read, also when it was refused; nil: nothing yet
	current atomic.Pointer[clients]
}

type clients struct {
	byID     map[string]*Client
	byFolded map[string]*Client // clients that must push, by their name without case and blanks
}

// Load reads the client file at path: a JSON array of client metadata (RFC 7591 §2). The error names every
// problem.
func Load(path string) (*Registry, error) {
	r := &Registry{path: path}
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

// Len returns the number of clients.
func (r *Registry) Len() int {
	if all := r.current.Load(); all != nil {
		return len(all.byID)
	}
	return 0
}

// AnyRequiresPAR reports whether there is a client that must push.
func (r *Registry) AnyRequiresPAR() bool {
	all := r.current.Load()
	return all != nil && len(all.byFolded) > 0
}

// ResemblesRequired reports whether id is, but for case and blanks, the name of a client that must push. A server
// that compares names generously would take it for that client.
func (r *Registry) ResemblesRequired(id string) bool {
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
	list, err := parse(content)
	if err != nil {
		return false, fmt.Errorf("client file %s: %w", r.path, err)
	}
	next := &clients{byID: make(map[string]*Client, len(list)), byFolded: map[string]*Client{}}
	for _, c := range list {
		next.byID[c.ID] = c
		if c.RequirePAR {
			next.byFolded[foldID(c.ID)] = c
		}
	}
	r.current.Store(next)
	return true, nil
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
