package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// take is one sign-in on a page of its own, with servers of its own: tabs do not mix.
type take struct {
	ID      string
	Server  *serverKind
	Request requestKind
	setup   setup
	demo    *demo
	film    *film
	ctx     context.Context // ends with it
	end     context.CancelFunc

	begin sync.Once // the stand-in signs in

	mu      sync.Mutex
	problem string             // why the stand-in could not sign in; empty: it could, or has not tried
	summary *comparison        // nil: the sign-in has not ended
	results map[string]*result // of attacks, by key
	told    chan struct{}      // closed when summary or problem are there
}

// newTake starts the servers of a take.
func newTake(ctx context.Context, s setup) (*take, error) {
	t := &take{ID: rand.Text(), Server: s.server, Request: s.request, results: map[string]*result{}, told: make(chan struct{})}
	s.home += "/runs/" + t.ID
	s.once = true
	t.ctx, t.end = context.WithCancel(ctx)
	d, err := start(t.ctx, s)
	if err != nil {
		t.end()
		return nil, err
	}
	t.setup, t.demo, t.film = s, d, d.film
	return t, nil
}

// close ends the servers, and whoever waits for what happens between them.
func (t *take) close() {
	t.end()
	t.demo.close()
}

// signIn lets the stand-in sign in, once.
func (t *take) signIn() {
	t.begin.Do(func() {
		transport := newTransport()
		defer transport.CloseIdleConnections()
		b := newBrowser(transport, t.demo)
		x, err := b.visit(t.ctx, t.demo.clientSite.String()+"/")
		if err == nil && !b.signedIn(x) {
			err = fmt.Errorf("the browser ended at %s with %d", x.url.Path, x.status)
		}
		if err != nil {
			t.tell(nil, err)
		}
	})
}

// signedIn reports whether the page is the client's, and the client is content.
func (b *browser) signedIn(x exchange) bool {
	return beforeQuery(x.url) == b.end && x.status == http.StatusOK
}

// watch waits for the end of the sign-in, does the same without PAR, and compares.
func (t *take) watch() {
	select {
	case <-t.ctx.Done():
		return
	case <-t.film.end:
	}
	t.tell(t.compare(t.ctx))
}

func (t *take) tell(c *comparison, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.summary != nil || t.problem != "" {
		return
	}
	if t.summary = c; err != nil && !errors.Is(err, context.Canceled) {
		t.problem = err.Error()
	}
	if t.summary != nil || t.problem != "" {
		close(t.told)
	}
}

// outcome returns the comparison, or why there is none; neither when it is not there yet.
func (t *take) outcome() (*comparison, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.summary, t.problem
}

func (t *take) result(key string) *result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.results[key]
}

func (t *take) keep(r *result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results[r.Attack.Key] = r
}
