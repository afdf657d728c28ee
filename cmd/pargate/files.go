package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/metrics"
)

// operatorFiles are files that belong together and are read again when they change: whoever renews them need not restart
// anything, and new ones that are broken keep what was read before.
type operatorFiles struct {
	kind  metrics.File
	what  string // for the log, as in "certificate read again"
	paths []string
	use   func(contents [][]byte) error // puts them to use, unless they are broken
	about func() []zap.Field            // what is in use, for the log

	mu   sync.Mutex
	read [sha256.Size]byte // digest of the contents as last read, also when they were refused
	used bool              // some have been put to use
}

// settled is how long the files must stay as they are before they are believed: of a chain that is being written, the
// beginning is a certificate too.
const settled = 100 * time.Millisecond

// reload reads the files again and reports whether others are in use now.
func (f *operatorFiles) reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	contents, digest, err := f.contents()
	if err != nil || digest == f.read {
		return false, err
	}
	for before := f.read; f.used && before != digest; {
		before = digest
		time.Sleep(settled)
		if contents, digest, err = f.contents(); err != nil {
			return false, err
		}
	}
	if digest == f.read {
		return false, nil // what was there for a moment has gone
	}
	f.read = digest
	if err := f.use(contents); err != nil {
		return false, err
	}
	f.used = true
	return true, nil
}

// contents reads all of the files.
func (f *operatorFiles) contents() (all [][]byte, digest [sha256.Size]byte, err error) {
	hash := sha256.New()
	for _, path := range f.paths {
		content, readErr := os.ReadFile(path)
		err = errors.Join(err, readErr)
		all = append(all, content)
		hash.Write(append(content[:len(content):len(content)], 0))
	}
	return all, [sha256.Size]byte(hash.Sum(nil)), err
}

// watch reads the files every interval until ctx ends, and tells what has come of it. It compares contents, because watching a
// file misses the links that Kubernetes swaps.
func (f *operatorFiles) watch(ctx context.Context, interval time.Duration, tell func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := f.reload()
		text := ""
		if err != nil {
			text = err.Error()
		}
		// While files are being written they may not fit each other; that is told once, and they are read again.
		if changed || err != nil && text != last {
			tell(err)
		}
		last = text
	}
}

// tell logs what has come of reading the files again.
func (f *operatorFiles) tell(err error, log *zap.Logger) {
	if err != nil {
		log.Error(f.what+" refused; the one read before stays", zap.Error(err))
		return
	}
	log.Info(f.what+" read again", f.about()...)
}
