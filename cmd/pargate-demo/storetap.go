package main

import (
	"context"
	"fmt"
	"time"

	"pargate/pushstore"
)

// tappedStore is the gateway's store with a tap on it. It tells the film what is kept, given out and ended; what is only looked
// up is not told. Between this tap and a Redis there is no other: what lies there is sealed.
type tappedStore struct {
	pushstore.Store
	film *film
}

func (s tappedStore) Put(ctx context.Context, p pushstore.Party, r pushstore.Request, window time.Duration) (pushstore.Reference, error) {
	ref, err := s.Store.Put(ctx, p, r, window)
	given := side{Title: "What pargate gave to the store", First: fmt.Sprintf("keep for %.0f s, for the client %s", window.Seconds(), p.ClientID), Params: paramLines(r.Query), Bytes: len(r.Query)}
	s.film.kept(2, fmt.Sprintf("keep the request for %.0f s", window.Seconds()), given, outcomeSide("a new reference: "+string(ref), err), err == nil)
	return ref, err
}

func (s tappedStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, owner pushstore.Owner) (pushstore.Flow, error) {
	flow, err := s.Store.Open(ctx, p, ref, owner)
	given := side{Title: "What pargate asked", First: fmt.Sprintf("open %s of the client %s for the browser %x…", ref, p.ClientID, owner[:4]), Bytes: len(ref)}
	told := outcomeSide("it is this browser's", err)
	if err == nil {
		told.Params, told.Bytes = paramLines(flow.Request.Query), len(flow.Request.Query)
	}
	s.film.kept(5, "open it for this browser alone", given, told, false)
	return flow, err
}

func (s tappedStore) Continue(ctx context.Context, f pushstore.Flow, secret []byte, difference string) (pushstore.Reference, error) {
	ref, err := s.Store.Continue(ctx, f, secret, difference)
	given := side{Title: "What pargate asked", First: "a short reference to the same request", Params: paramLines(difference), Bytes: len(difference)}
	s.film.kept(7, "a short reference in place of the request", given, outcomeSide(string(ref), err), false)
	return ref, err
}

func (s tappedStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	won, err := s.Store.Finish(ctx, f, response)
	text := "this response is the one; from now on there is none"
	if !won {
		text = "another response was before this one"
	}
	given := side{Title: "What pargate asked", First: "finish: an authorization response is about to pass", Bytes: len(response)}
	s.film.kept(9, "the request has had its response", given, outcomeSide(text, err), false)
	return won, err
}

// outcomeSide is the answer of the store.
func outcomeSide(text string, err error) side {
	if err != nil {
		text = err.Error()
	}
	return side{Title: "What the store answered", First: text, Bytes: len(text)}
}
