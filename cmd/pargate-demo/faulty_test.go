package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"pargate/pushstore"
)

// which says which requests to a gateway go wrong.
type which func(d *demo, r *http.Request, body string) bool

// named matches requests with the parameter in their address, inForm with the field in their body, consented those of a consent form,
// again a request_uri of which the server has had the request, and afterwards one of which it has given the code.
func named(name string) which {
	return func(_ *demo, r *http.Request, _ string) bool { return r.URL.Query().Has(name) }
}

func inForm(name string) which {
	return func(_ *demo, _ *http.Request, body string) bool {
		fields, err := parse(body)
		return err == nil && fields.get(name) != ""
	}
}

func consented(d *demo, r *http.Request, body string) bool {
	return r.Method == http.MethodPost && r.URL.Path == d.authorizes && inForm("scope")(d, r, body)
}

func afterwards(d *demo, r *http.Request, _ string) bool {
	codes := d.legacy.all(func(x exchange) bool { return x.location() != nil && x.location().Query().Has("code") })
	return r.URL.Query().Has("request_uri") && len(codes) > 0
}

func again(d *demo, r *http.Request, _ string) bool {
	return r.URL.Query().Has("request_uri") && len(d.legacy.all(to(http.MethodGet, d.authorizes))) > 0
}

// inFront has something in front of the gateway, to which some requests go instead. The gateway does not require PAR, so that it does
// not stop later what has gone past it.
func inFront(w which, other func(d *demo, gateway http.Handler) http.Handler) setup {
	return setup{optional: true, front: func(d *demo, gateway http.Handler) http.Handler {
		instead := other(d, gateway)
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := drain(r.Body)
			r = r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			if w(d, r, string(body)) {
				instead.ServeHTTP(rw, r)
			} else {
				gateway.ServeHTTP(rw, r)
			}
		})
	}}
}

// refuse answers 400 with an error code.
func refuse(code string) func(*demo, http.Handler) http.Handler {
	return func(*demo, http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"`+code+`"}`, http.StatusBadRequest)
		})
	}
}

// take201 answers a push as if it had been taken.
func take201(*demo, http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"request_uri":"urn:ietf:params:oauth:request_uri:any","expires_in":60}`)
	})
}

// keepRefused keeps what the gateway has refused.
func keepRefused(d *demo, gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keptResponse{header: http.Header{}}
		gateway.ServeHTTP(kept, r)
		if kept.status == http.StatusBadRequest {
			tappedStore{d.gateway.store, d.film}.Put(r.Context(), pushstore.Party{ClientID: clientID}, pushstore.Request{}, time.Minute)
		}
		w.WriteHeader(kept.status)
		w.Write(kept.body.Bytes())
	})
}

// pastPargate leads to the legacy server as it is. A reference to a request, and an object with one, become a request as the client
// makes it.
func pastPargate(d *demo, _ http.Handler) http.Handler {
	past := httputil.NewSingleHostReverseProxy(d.legacySite.url)
	past.Transport = &http.Transport{DisableKeepAlives: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("request_uri") || query.Has("request") {
			r.URL.RawQuery = (&trial{demo: d}).plainQuery()
		}
		past.ServeHTTP(w, r)
	})
}

// keeping has a store in front of the gateway's.
func keeping(faulty func(pushstore.Store) pushstore.Store) setup { return setup{keep: faulty} }

// forEver keeps what it is given for an hour.
type forEver struct{ pushstore.Store }

func (s forEver) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, _ time.Duration) (pushstore.Reference, error) {
	return s.Store.Put(ctx, p, r, time.Hour)
}

// forAnyClient gives to every client what the first one has pushed.
type forAnyClient struct{ pushstore.Store }

func (s forAnyClient) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	p.ClientID = clientID
	return s.Store.Look(ctx, p, ref)
}

func (s forAnyClient) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	p.ClientID = clientID
	return s.Store.Open(ctx, p, ref, owner)
}

func (s forAnyClient) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	p.ClientID = clientID
	return s.Store.Flow(ctx, p, ref, owner)
}

// burning forgets everything at the last of some openings.
type burning struct {
	pushstore.Store
	last func(opened int, p pushstore.Party, err error) bool

	mu     sync.Mutex
	opened int
	burnt  bool
}

// burns returns a store that forgets everything.
func burns(last func(opened int, p pushstore.Party, err error) bool) func(pushstore.Store) pushstore.Store {
	return func(s pushstore.Store) pushstore.Store { return &burning{Store: s, last: last} }
}

func (s *burning) is(p pushstore.Party, opened int, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened += opened
	s.burnt = s.burnt || s.last(s.opened, p, err)
	return s.burnt
}

func (s *burning) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	if s.is(p, 0, nil) {
		return pushstore.Absent, nil
	}
	state, err := s.Store.Look(ctx, p, ref)
	if state == pushstore.Taken {
		s.is(p, 0, pushstore.ErrTaken)
	}
	return state, err
}

func (s *burning) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	s.mu.Lock()
	burnt := s.burnt
	s.mu.Unlock()
	if burnt {
		return pushstore.Flow{}, pushstore.ErrNotFound
	}
	flow, err := s.Store.Open(ctx, p, ref, owner)
	s.is(p, 1, err)
	return flow, err
}

func (s *burning) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	if s.is(p, 0, nil) {
		return pushstore.Flow{}, pushstore.ErrNotFound
	}
	return s.Store.Flow(ctx, p, ref, owner)
}

func (s *burning) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	if s.is(f.Party, 0, nil) {
		return false, pushstore.ErrNotFound
	}
	return s.Store.Finish(ctx, f, response)
}

// opensOnce gives a request out once, to whom it may be.
type opensOnce struct {
	pushstore.Store
	mu     sync.Mutex
	opened map[pushstore.Reference]bool
}

func (s *opensOnce) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened[ref] {
		return pushstore.Flow{}, pushstore.ErrNotFound
	}
	s.opened[ref] = true
	return s.Store.Open(ctx, p, ref, owner)
}
