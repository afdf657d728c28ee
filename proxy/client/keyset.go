package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/jwt"
	"pargate/proxy/metrics"
)

// Bounds on the key sets that clients publish.
const (
	maxKeySetSize  = 512 << 10       // bytes
	fetchTimeout   = 5 * time.Second // of everything
	keysFreshFor   = 5 * time.Minute // then the set is fetched again when it is needed
	keysUsableFor  = 24 * time.Hour  // while it cannot be fetched
	fetchAtMost    = time.Minute     // is between two attempts of one kind
	maxFetches     = 16              // at once, of all clients
	fetchUserAgent = "pargate"
)

// keySet is what a client publishes under its jwks_uri. It is fetched when it is needed, never in the background: once
// when it has become old, and once for a key that it lacks, each at most once a minute, whoever asks how often.
// Whoever comes meanwhile waits for the same fetch.
//
// Key-set libraries refetch for every unknown kid, or queue those who ask behind a rate limit; keep a goroutine for
// each set; and read whatever a server sends.
type keySet struct {
	uri string

	mu       sync.Mutex
	keys     []jwt.Key
	fetched  time.Time // zero: never
	tried    time.Time // because it was old
	searched time.Time // for a key that it lacks
	trouble  error     // of the last attempt
	running  *fetch    // nil: none
}

// fetch is one attempt, which several may wait for.
type fetch struct {
	done chan struct{}
	keys []jwt.Key
	err  error
}

// keysOf returns the keys that c has here or publishes. With an error there may still be old ones.
func (a *Authenticator) keysOf(ctx context.Context, c *Client) ([]jwt.Key, error) {
	if c.published == nil {
		return c.keys, nil
	}
	return c.published.current(ctx, a)
}

// current returns the keys, fetched again when they are old. Of old ones that cannot be fetched, a day's are used.
func (s *keySet) current(ctx context.Context, a *Authenticator) ([]jwt.Key, error) {
	s.mu.Lock()
	now := a.Now()
	if now.Sub(s.fetched) < keysFreshFor {
		defer s.mu.Unlock()
		return s.keys, nil
	}
	err := s.trouble
	if s.running != nil || now.Sub(s.tried) >= fetchAtMost {
		if s.running == nil {
			s.tried = now
		}
		var keys []jwt.Key
		if keys, err = s.awaitLocked(ctx, a); err == nil {
			return keys, nil
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if now.Sub(s.fetched) >= keysUsableFor {
		return nil, err
	}
	return s.keys, err
}

// newer fetches the keys because one is missing.
func (s *keySet) newer(ctx context.Context, a *Authenticator) ([]jwt.Key, error) {
	s.mu.Lock()
	now := a.Now()
	if s.running == nil {
		failed := s.trouble != nil && now.Sub(s.tried) < fetchAtMost
		if now.Sub(s.searched) < fetchAtMost || now.Sub(s.fetched) < time.Second || failed {
			defer s.mu.Unlock()
			return nil, errors.New("the key set was asked for not long ago")
		}
		s.searched = now
	}
	return s.awaitLocked(ctx, a)
}

// awaitLocked waits for the fetch that is running, or for a new one. It is called with the lock held, and gives it up.
// The fetch goes on when ctx ends: others may wait for it.
func (s *keySet) awaitLocked(ctx context.Context, a *Authenticator) ([]jwt.Key, error) {
	f := s.running
	if f == nil {
		f = &fetch{done: make(chan struct{})}
		s.running = f
		go func() {
			if f.keys, f.err = a.fetcher.fetch(context.WithoutCancel(ctx), s.uri); f.err != nil {
				a.Log.Warn("a client's key set could not be fetched", zap.Error(f.err))
			}
			a.Metrics.KeySetFetches.Inc(metrics.SuccessIf(f.err))
			s.finish(f, a.Now())
		}()
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.keys, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *keySet) finish(f *fetch, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.trouble = nil, f.err
	if f.err == nil {
		s.keys, s.fetched = f.keys, now
	}
	close(f.done)
}

// fetcher gets key sets.
type fetcher struct {
	client *http.Client
	slots  chan struct{} // one for each fetch
}

func newFetcher(transport http.RoundTripper) *fetcher {
	return &fetcher{
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, maxFetches),
	}
}

// fetch gets one set. Keys in it that are not to be used are left out.
func (f *fetcher) fetch(ctx context.Context, uri string) ([]jwt.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("fetching %s: too many key sets are being fetched", uri)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", fetchUserAgent)
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching the key set: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeySetSize+1))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetching %s: status %d", uri, res.StatusCode)
	case err != nil:
		return nil, fmt.Errorf("fetching %s: %w", uri, err)
	case len(body) > maxKeySetSize:
		return nil, fmt.Errorf("fetching %s: more than %d bytes", uri, maxKeySetSize)
	}
	keys, _, err := jwt.ParseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("%s %w", uri, err)
	}
	return keys, nil
}
