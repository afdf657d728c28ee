package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pargate/pushstore"
)

func continued(t *testing.T, s Subject, f pushstore.Flow, secret []byte, difference string) pushstore.Reference {
	t.Helper()
	ref, err := s.Store.Continue(t.Context(), f, secret, difference)
	if err != nil {
		t.Fatalf("Continue: %v", err)
	}
	return ref
}

func continuationLeads(t *testing.T, s Subject) {
	secret, owner := browser(1)
	f := opened(t, s, owner)
	seen := map[pushstore.Reference]bool{f.Reference: true}
	for _, difference := range []string{"prompt=none", "", strings.Repeat("x", 2048)} {
		ref := continued(t, s, f, secret, difference)
		if _, ok := pushstore.ParseReference(string(ref)); !ok || seen[ref] {
			t.Errorf("Continue returned %q, want a new reference", ref)
		}
		seen[ref] = true
		if again := continued(t, s, f, secret, difference); again != ref {
			t.Errorf("Continue again returned %q, want %q", again, ref)
		}
		wantState(t, s, party(), ref, pushstore.Continuation)
		want := f
		want.Difference = difference
		got, err := s.Store.Open(t.Context(), party(), ref, owner)
		wantFlow(t, "Open of a continuation", got, err, want)
		got, err = s.Store.Flow(t.Context(), party(), ref, owner)
		wantFlow(t, "Flow of a continuation", got, err, want)

		// One that starts from a continuation starts from its flow.
		if again := continued(t, s, got, secret, difference); again != ref {
			t.Errorf("Continue from a continuation returned %q, want %q", again, ref)
		}
	}
	wantState(t, s, party(), f.Reference, pushstore.Taken)
	if g := opened(t, s, owner); continued(t, s, g, secret, "prompt=none") == continued(t, s, f, secret, "prompt=none") {
		t.Error("two flows share a continuation")
	}
}

func continuationIsOwners(t *testing.T, s Subject) {
	secret, owner := browser(1)
	otherSecret, other := browser(2)

	pending := pushstore.Flow{Reference: put(t, s), Party: party(), Owner: owner, Request: request()}
	_, err := s.Store.Continue(t.Context(), pending, secret, "a=b")
	wantErr(t, "Continue before Open", err, pushstore.ErrNotFound)

	f := opened(t, s, owner)
	_, err = s.Store.Continue(t.Context(), f, otherSecret, "a=b")
	wantErr(t, "Continue with another's secret", err, pushstore.ErrTaken)

	ref := continued(t, s, f, secret, "a=b")
	for range 2 {
		_, err = s.Store.Open(t.Context(), party(), ref, other)
		wantErr(t, "Open by another", err, pushstore.ErrTaken)
		_, err = s.Store.Flow(t.Context(), party(), ref, other)
		wantErr(t, "Flow by another", err, pushstore.ErrTaken)
	}
	elsewhere := pushstore.Party{Issuer: party().Issuer, ClientID: "mobile"}
	wantState(t, s, elsewhere, ref, pushstore.Absent)
	_, err = s.Store.Open(t.Context(), elsewhere, ref, owner)
	wantErr(t, "Open by another party", err, pushstore.ErrNotFound)
	_, err = s.Store.Finish(t.Context(), pushstore.Flow{Reference: ref, Party: party(), Owner: owner}, "r")
	wantErr(t, "Finish of a continuation itself", err, pushstore.ErrNotFound)
}

func continuationLimit(t *testing.T, s Subject) {
	secret, owner := browser(1)
	f := opened(t, s, owner)
	difference := func(i int) string { return fmt.Sprint("step=", i) }
	for i := range pushstore.MaxContinuations {
		continued(t, s, f, secret, difference(i))
	}
	for range 2 {
		_, err := s.Store.Continue(t.Context(), f, secret, difference(pushstore.MaxContinuations))
		wantErr(t, "Continue beyond the limit", err, pushstore.ErrFull)
	}
	for _, i := range []int{0, pushstore.MaxContinuations - 1} {
		ref := continued(t, s, f, secret, difference(i)) // an old one still works
		got, err := s.Store.Open(t.Context(), party(), ref, owner)
		want := f
		want.Difference = difference(i)
		wantFlow(t, "Open at the limit", got, err, want)
	}
	continued(t, s, opened(t, s, owner), secret, "a=b") // another flow counts for itself
}

func continuationEnds(t *testing.T, s Subject) {
	secret, owner := browser(1)
	f := opened(t, s, owner)
	ref := continued(t, s, f, secret, "a=b")
	eventually(t, s, "the continuation's end, used again and again", func() bool {
		_, err := s.Store.Continue(t.Context(), f, secret, "a=b")
		_, open := s.Store.Open(t.Context(), party(), ref, owner)
		return errors.Is(err, pushstore.ErrNotFound) && errors.Is(open, pushstore.ErrNotFound)
	})
	eventually(t, s, "the continuation is gone", func() bool {
		state, err := s.Store.Look(t.Context(), party(), ref)
		return err == nil && state == pushstore.Absent
	})
}

func finishedIsNotContinued(t *testing.T, s Subject) {
	secret, owner := browser(1)
	_, other := browser(2)
	f := opened(t, s, owner)
	ref := continued(t, s, f, secret, "a=b")
	if _, err := s.Store.Finish(t.Context(), f, "r"); err != nil {
		t.Fatal(err)
	}
	for _, difference := range []string{"a=b", "c=d"} {
		_, err := s.Store.Continue(t.Context(), f, secret, difference)
		wantErr(t, "Continue once finished", err, pushstore.ErrNotFound)
	}
	want := f
	want.Finished = true
	want.Request.Query = ""
	got, err := s.Store.Open(t.Context(), party(), ref, owner)
	wantFlow(t, "Open of a finished flow's continuation", got, err, want)
	_, err = s.Store.Open(t.Context(), party(), ref, other)
	wantErr(t, "Open by another, once finished", err, pushstore.ErrTaken)
}
