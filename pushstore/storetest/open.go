package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pargate/pushstore"
)

func referencesAreNew(t *testing.T, s Subject) {
	seen := map[pushstore.Reference]bool{}
	for range 50 {
		ref := put(t, s)
		if got, ok := pushstore.ParseReference(string(ref)); !ok || got != ref {
			t.Fatalf("Put returned %q, which is no reference", ref)
		}
		if seen[ref] {
			t.Fatalf("Put returned %q twice", ref)
		}
		seen[ref] = true
	}
}

func pendingUntilOpened(t *testing.T, s Subject) {
	_, owner := browser(1)
	ref := put(t, s)
	for range 2 { // looking changes nothing
		wantState(t, s, party(), ref, pushstore.Pending)
		_, err := s.Store.Flow(t.Context(), party(), ref, owner)
		wantErr(t, "Flow before Open", err, pushstore.ErrNotFound)
	}
	want := pushstore.Flow{Reference: ref, Party: party(), Owner: owner, Request: request()}
	f, err := s.Store.Open(t.Context(), party(), ref, owner)
	wantFlow(t, "Open", f, err, want)
	wantState(t, s, party(), ref, pushstore.Taken)
	f, err = s.Store.Flow(t.Context(), party(), ref, owner)
	wantFlow(t, "Flow", f, err, want)
}

func openBelongsToTheFirst(t *testing.T, s Subject) {
	_, mine := browser(1)
	_, other := browser(2)
	f := opened(t, s, mine)
	for range 3 {
		again, err := s.Store.Open(t.Context(), party(), f.Reference, mine)
		wantFlow(t, "Open again", again, err, f)
		_, err = s.Store.Open(t.Context(), party(), f.Reference, other)
		wantErr(t, "Open by another", err, pushstore.ErrTaken)
		_, err = s.Store.Flow(t.Context(), party(), f.Reference, other)
		wantErr(t, "Flow by another", err, pushstore.ErrTaken)
	}
}

func oneWinner(t *testing.T, s Subject) {
	for round := range 20 {
		ref := put(t, s)
		won := together(100, func(i int) bool {
			_, owner := browser(i)
			f, err := s.Store.Open(t.Context(), party(), ref, owner)
			if err == nil && (f.Owner != owner || f.Request != request()) {
				t.Errorf("round %d: the winner got %+v", round, f)
			}
			if err != nil && !errors.Is(err, pushstore.ErrTaken) {
				t.Errorf("round %d: %v", round, err)
			}
			return err == nil
		})
		if won != 1 {
			t.Fatalf("round %d: %d browsers opened it, want 1", round, won)
		}
	}
}

func anotherParty(t *testing.T, s Subject) {
	_, owner := browser(1)
	ref := put(t, s)
	others := []pushstore.Party{
		{Issuer: party().Issuer, ClientID: "mobile"},
		{Issuer: "https://other.example", ClientID: party().ClientID},
		{Issuer: party().Issuer + "w", ClientID: "eb"}, // the same letters, cut elsewhere
		{},
	}
	for _, p := range others {
		wantState(t, s, p, ref, pushstore.Absent)
		_, err := s.Store.Open(t.Context(), p, ref, owner)
		wantErr(t, "Open by another party", err, pushstore.ErrNotFound)
		_, err = s.Store.Flow(t.Context(), p, ref, owner)
		wantErr(t, "Flow by another party", err, pushstore.ErrNotFound)
	}
	wantState(t, s, party(), ref, pushstore.Pending)
	f, err := s.Store.Open(t.Context(), party(), ref, owner)
	wantErr(t, "Open by its party", err, nil)
	for _, p := range others {
		_, err = s.Store.Open(t.Context(), p, ref, owner)
		wantErr(t, "Open by another party, once taken", err, pushstore.ErrNotFound)
		theirs := f
		theirs.Party = p
		_, err = s.Store.Finish(t.Context(), theirs, "r")
		wantErr(t, "Finish by another party", err, pushstore.ErrNotFound)
	}
	wantState(t, s, party(), ref, pushstore.Taken)
}

func guesses(t *testing.T, s Subject) {
	secret, owner := browser(1)
	for _, ref := range []pushstore.Reference{pushstore.Reference(strings.Repeat("A", 43)), "", "x"} {
		f := pushstore.Flow{Reference: ref, Party: party(), Owner: owner, Request: request()}
		wantState(t, s, party(), ref, pushstore.Absent)
		_, err := s.Store.Open(t.Context(), party(), ref, owner)
		wantErr(t, "Open", err, pushstore.ErrNotFound)
		_, err = s.Store.Flow(t.Context(), party(), ref, owner)
		wantErr(t, "Flow", err, pushstore.ErrNotFound)
		_, err = s.Store.Continue(t.Context(), f, secret, "a=b")
		wantErr(t, "Continue", err, pushstore.ErrNotFound)
		_, err = s.Store.Finish(t.Context(), f, "r")
		wantErr(t, "Finish", err, pushstore.ErrNotFound)
	}
}

func windowEnds(t *testing.T, s Subject) {
	_, owner := browser(1)
	ref, err := s.Store.Put(t.Context(), party(), request(), 200*time.Millisecond)
	wantErr(t, "Put", err, nil)
	s.Pass(250 * time.Millisecond)
	wantState(t, s, party(), ref, pushstore.Absent)
	_, err = s.Store.Open(t.Context(), party(), ref, owner)
	wantErr(t, "Open after the window", err, pushstore.ErrNotFound)
}

func windowDoesNotCap(t *testing.T, s Subject) {
	_, owner := browser(1)
	const window = 1500 * time.Millisecond // a busy machine must open within it
	ref, err := s.Store.Put(t.Context(), party(), request(), window)
	wantErr(t, "Put", err, nil)
	want, err := s.Store.Open(t.Context(), party(), ref, owner)
	wantErr(t, "Open within the window", err, nil)
	s.Pass(window + 100*time.Millisecond)
	f, err := s.Store.Flow(t.Context(), party(), ref, owner)
	wantFlow(t, "Flow after the window", f, err, want)
	f, err = s.Store.Open(t.Context(), party(), ref, owner)
	wantFlow(t, "Open again after the window", f, err, want)
}

func flowEnds(t *testing.T, s Subject) {
	secret, owner := browser(1)
	_, other := browser(2)
	f := opened(t, s, owner)
	eventually(t, s, "the flow's end, opened again and again", func() bool {
		_, err := s.Store.Open(t.Context(), party(), f.Reference, owner)
		return errors.Is(err, pushstore.ErrNotFound)
	})
	wantState(t, s, party(), f.Reference, pushstore.Absent)
	for _, o := range []pushstore.Owner{owner, other} {
		_, err := s.Store.Open(t.Context(), party(), f.Reference, o)
		wantErr(t, "Open after the end", err, pushstore.ErrNotFound)
	}
	_, err := s.Store.Flow(t.Context(), party(), f.Reference, owner)
	wantErr(t, "Flow after the end", err, pushstore.ErrNotFound)
	_, err = s.Store.Continue(t.Context(), f, secret, "a=b")
	wantErr(t, "Continue after the end", err, pushstore.ErrNotFound)
	_, err = s.Store.Finish(t.Context(), f, "r")
	wantErr(t, "Finish after the end", err, pushstore.ErrNotFound)
}

func anyBytes(t *testing.T, s Subject) {
	_, owner := browser(1)
	for _, r := range []pushstore.Request{
		{},
		{Query: "\x00\xff\xfe{}\r\n", RedirectURI: "com.app:/\xe4", State: "\xff"},
		{Query: strings.Repeat("claims=%7B%7D&", 5000), RedirectURI: "https://app.example/", State: ""},
	} {
		p := pushstore.Party{Issuer: "https://as.example/\x00", ClientID: "{a}\r\n\xff"}
		ref, err := s.Store.Put(t.Context(), p, r, time.Hour)
		wantErr(t, "Put", err, nil)
		f, err := s.Store.Open(t.Context(), p, ref, owner)
		wantFlow(t, "Open", f, err, pushstore.Flow{Reference: ref, Party: p, Owner: owner, Request: r})
	}
}
