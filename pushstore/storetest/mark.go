package storetest

import (
	"errors"
	"testing"
	"time"

	"pargate/pushstore"
)

func wantMark(t *testing.T, s Subject, id string, life time.Duration, want bool) {
	t.Helper()
	if got, err := s.Store.Mark(t.Context(), "holder", id, life); err != nil || got != want {
		t.Errorf("Mark(%q): got %v, %v, want %v", id, got, err, want)
	}
}

func markOnce(t *testing.T, s Subject) {
	wantMark(t, s, "a", time.Hour, true)
	wantMark(t, s, "a", time.Hour, false)
	wantMark(t, s, "a", time.Millisecond, false) // does not shorten it
	wantMark(t, s, "b", time.Hour, true)
	wantMark(t, s, "", time.Hour, true)
	wantMark(t, s, "{a}\r\n\x00\xff", time.Hour, true)
	s.Pass(20 * time.Millisecond)
	wantMark(t, s, "a", time.Hour, false)
}

func markEnds(t *testing.T, s Subject) {
	wantMark(t, s, "a", 100*time.Millisecond, true)
	s.Pass(150 * time.Millisecond)
	wantMark(t, s, "a", time.Hour, true)
	wantMark(t, s, "a", time.Hour, false)
}

func oneMark(t *testing.T, s Subject) {
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		first := together(40, func(int) bool {
			first, err := s.Store.Mark(t.Context(), "holder", id, time.Hour)
			if err != nil {
				t.Error(err)
			}
			return first
		})
		if first != 1 {
			t.Errorf("%d calls were first, want 1", first)
		}
	}
}

// trouble wants every operation of a store that is down to fail as no answer of the contract does.
func trouble(t *testing.T, s Subject) {
	secret, owner := browser(1)
	f := opened(t, s, owner)
	pending := put(t, s)
	if err := s.Store.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	s.Down()
	for name, err := range Operations(t, s.Store, f, pending, secret) {
		WantTrouble(t, name, err)
	}
	WantTrouble(t, "Ping", s.Store.Ping(t.Context()))
}

// Operations runs every operation of s once, for an opened flow f and a pending push, and returns their errors.
func Operations(t testing.TB, s pushstore.Store, f pushstore.Flow, pending pushstore.Reference, secret []byte) map[string]error {
	ctx, errs := t.Context(), map[string]error{}
	_, errs["Put"] = s.Put(ctx, f.Party, f.Request, time.Hour)
	_, errs["Look"] = s.Look(ctx, f.Party, pending)
	_, errs["Open"] = s.Open(ctx, f.Party, pending, f.Owner)
	_, errs["Flow"] = s.Flow(ctx, f.Party, f.Reference, f.Owner)
	_, errs["Continue"] = s.Continue(ctx, f, secret, "a=b")
	_, errs["Finish"] = s.Finish(ctx, f, "r")
	_, errs["Mark"] = s.Mark(ctx, "holder", "id", time.Hour)
	return errs
}

// WantTrouble wants err to say that the store could not answer.
func WantTrouble(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got no error from a store that cannot answer", what)
	}
	for _, answer := range []error{pushstore.ErrNotFound, pushstore.ErrTaken, pushstore.ErrFull} {
		if errors.Is(err, answer) {
			t.Errorf("%s: got %v from a store that cannot answer", what, err)
		}
	}
}
