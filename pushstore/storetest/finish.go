package storetest

import (
	"errors"
	"fmt"
	"testing"

	"pargate/pushstore"
)

func firstResponseWins(t *testing.T, s Subject) {
	_, owner := browser(1)
	_, other := browser(2)
	f := opened(t, s, owner)
	for range 2 {
		won, err := s.Store.Finish(t.Context(), f, "first")
		if err != nil || !won {
			t.Errorf("Finish with the first name: got %v, %v, want true", won, err)
		}
		won, err = s.Store.Finish(t.Context(), f, "second")
		if err != nil || won {
			t.Errorf("Finish with a second name: got %v, %v, want false", won, err)
		}
	}
	want := f
	want.Finished = true
	want.Request.Query = ""
	wantState(t, s, party(), f.Reference, pushstore.Finished)
	got, err := s.Store.Open(t.Context(), party(), f.Reference, owner)
	wantFlow(t, "Open once finished", got, err, want)
	got, err = s.Store.Flow(t.Context(), party(), f.Reference, owner)
	wantFlow(t, "Flow once finished", got, err, want)
	_, err = s.Store.Open(t.Context(), party(), f.Reference, other)
	wantErr(t, "Open by another, once finished", err, pushstore.ErrTaken)
	if won, err := s.Store.Finish(t.Context(), got, "first"); err != nil || !won {
		t.Errorf("Finish of the finished flow: got %v, %v, want true", won, err)
	}
}

func oneResponse(t *testing.T, s Subject) {
	_, owner := browser(1)
	for range 5 {
		f := opened(t, s, owner)
		won := together(40, func(i int) bool {
			won, err := s.Store.Finish(t.Context(), f, fmt.Sprint("response ", i))
			if err != nil {
				t.Error(err)
			}
			return won
		})
		if won != 1 {
			t.Fatalf("%d responses won, want 1", won)
		}
	}
}

func finishIsForTheOwner(t *testing.T, s Subject) {
	_, owner := browser(1)
	_, other := browser(2)
	ref := put(t, s)
	pending := pushstore.Flow{Reference: ref, Party: party(), Owner: owner, Request: request()}
	_, err := s.Store.Finish(t.Context(), pending, "r")
	wantErr(t, "Finish before Open", err, pushstore.ErrNotFound)
	wantState(t, s, party(), ref, pushstore.Pending)

	f, err := s.Store.Open(t.Context(), party(), ref, owner)
	wantErr(t, "Open", err, nil)
	theirs := f
	theirs.Owner = other
	_, err = s.Store.Finish(t.Context(), theirs, "r")
	wantErr(t, "Finish by another", err, pushstore.ErrTaken)
	wantState(t, s, party(), ref, pushstore.Taken)

	_, err = s.Store.Finish(t.Context(), f, "r")
	wantErr(t, "Finish", err, nil)
	won, err := s.Store.Finish(t.Context(), theirs, "r")
	wantErr(t, "Finish by another, once finished", err, pushstore.ErrTaken)
	if won {
		t.Error("another browser's response won")
	}
}

func tombstoneEnds(t *testing.T, s Subject) {
	_, owner := browser(1)
	f := opened(t, s, owner)
	if _, err := s.Store.Finish(t.Context(), f, "r"); err != nil {
		t.Fatal(err)
	}
	eventually(t, s, "the tombstone's end, finished again and again", func() bool {
		_, err := s.Store.Finish(t.Context(), f, "r")
		return errors.Is(err, pushstore.ErrNotFound)
	})
	wantState(t, s, party(), f.Reference, pushstore.Absent)
	_, err := s.Store.Open(t.Context(), party(), f.Reference, owner)
	wantErr(t, "Open after the tombstone", err, pushstore.ErrNotFound)
}
