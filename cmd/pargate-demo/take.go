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
	form    string // the form that has asked for it
	Server  *serverKind
	Request requestKind
	setup   setup
	demo    *demo
	film    *film
	ctx     context.Context // ends with it
	end     context.CancelFunc

	begin sync.Once // the stand-in signs in

	mu      sync.Mutex
	ending  ending
	results map[string]*result // of attacks, by key
	told    chan struct{}      // closed when there is an ending
}

// Begun reports whether somebody has begun to sign in.
func (t *take) Begun() bool { return t.film.hasBegun() }

// Ended reports whether that has ended.
func (t *take) Ended() bool { return t.outcome().Known() }

// Begins is where a sign-in begins.
func (t *take) Begins() string { return t.demo.begins() }

// State is both in a word.
func (t *take) State() string {
	switch {
	case t.Ended():
		return "ended"
	case t.Begun():
		return "begun"
	}
	return ""
}

// ending is how the sign-in of a page has ended. The zero ending is none: it goes on, or has not begun.
type ending struct {
	Summary   *comparison // it has gone well, and was compared with the same without PAR
	Refused   string      // why the client has no code, or no tokens
	Responded bool        // with Refused: pargate has seen the authorization response, and let it pass
	Problem   string      // why there is neither: the stand-in, or the comparison, has failed
}

// Known reports whether it has ended.
func (e ending) Known() bool { return e != ending{} }

// newTake starts the servers of a take.
func newTake(ctx context.Context, s setup) (*take, error) {
	t := &take{ID: rand.Text(), Server: s.server, Request: s.request, results: map[string]*result{}, told: make(chan struct{})}
	s.home += "/runs/" + t.ID
	s.page = t.ID
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
		x, err := b.visit(t.ctx, t.demo.begins())
		if err == nil && !b.signedIn(x) {
			err = fmt.Errorf("the browser ended at %s with %d", x.url.Path, x.status)
		}
		if err == nil || x.url.Path == "/" && t.Begun() { // somebody else was first
			return
		}
		if problem, _ := t.film.outcome(); problem == "" { // else it is told as it would be to a person
			t.failed(err)
		}
	})
}

// signedIn reports whether the page is the client's, and the client is content.
func (b *browser) signedIn(x exchange) bool {
	return beforeQuery(x.url) == b.end && x.status == http.StatusOK
}

// watch waits for the end of the sign-in, and, when it has gone well, does the same without PAR and compares.
func (t *take) watch() {
	select {
	case <-t.ctx.Done():
		return
	case <-t.film.end:
	}
	if problem, responded := t.film.outcome(); problem != "" {
		t.tell(ending{Refused: problem, Responded: responded})
		return
	}
	c, err := t.compare(t.ctx)
	if err != nil {
		t.failed(err)
		return
	}
	t.tell(ending{Summary: c})
}

// failed tells of what should not be; not of an end that somebody has wanted.
func (t *take) failed(err error) {
	if !errors.Is(err, context.Canceled) {
		t.tell(ending{Problem: err.Error()})
	}
}

// tell keeps how it ended; what comes first is right.
func (t *take) tell(e ending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ending.Known() {
		t.ending = e
		close(t.told)
	}
}

// outcome returns how it ended.
func (t *take) outcome() ending {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ending
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
