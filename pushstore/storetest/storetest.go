// Package storetest holds every pushstore.Store to its contract, and starts a real Redis for the tests of other
// packages.
package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pargate/pushstore"
)

// Subject is one fresh, empty store under test.
type Subject struct {
	Store pushstore.Store

	// Pass lets d go by for the store: a fake clock moves, a real one is slept through.
	Pass func(d time.Duration)

	// Down makes the store unable to answer, for good.
	Down func()
}

// Run runs the suite. open returns a store with that FlowTTL, and closes it when its test is over.
func Run(t *testing.T, open func(t *testing.T, flowTTL time.Duration) Subject) {
	for _, c := range []struct {
		name    string
		flowTTL time.Duration
		test    func(*testing.T, Subject)
	}{
		{"ReferencesAreNewAndWellFormed", long, referencesAreNew},
		{"APushIsPendingUntilItIsOpened", long, pendingUntilOpened},
		{"OpenBelongsToTheFirstBrowser", long, openBelongsToTheFirst},
		{"AHundredBrowsersHaveOneWinner", long, oneWinner},
		{"AnotherPartyNeitherFindsNorBurns", long, anotherParty},
		{"GuessesFindNothing", long, guesses},
		{"TheWindowEnds", long, windowEnds},
		{"TheWindowDoesNotCapTheFlow", long, windowDoesNotCap},
		{"TheFlowEndsThoughItIsUsed", short, flowEnds},
		{"AnyBytesAreKept", long, anyBytes},
		{"TheFirstResponseWins", long, firstResponseWins},
		{"OneOfManyResponsesWins", long, oneResponse},
		{"FinishIsForTheOwnerOfAFlow", long, finishIsForTheOwner},
		{"ATombstoneEnds", short, tombstoneEnds},
		{"AContinuationLeadsToItsFlow", long, continuationLeads},
		{"AContinuationIsItsOwnersAlone", long, continuationIsOwners},
		{"AFlowHasSoManyContinuations", long, continuationLimit},
		{"AContinuationEndsWithItsFlow", short, continuationEnds},
		{"AFinishedFlowIsNotContinued", long, finishedIsNotContinued},
		{"AMarkIsSetOnce", long, markOnce},
		{"AMarkEnds", long, markEnds},
		{"OneOfManyMarksIsFirst", long, oneMark},
		{"TroubleIsNoAnswer", long, trouble},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t, c.flowTTL))
		})
	}
}

// FlowTTLs: one that no test waits for, one that tests wait for. A test that lets the short one pass must not depend
// on being quick, so the short one is long for a machine.
const (
	long  = time.Hour
	short = 1200 * time.Millisecond
)

func party() pushstore.Party {
	return pushstore.Party{Issuer: "https://as.example", ClientID: "web"}
}

func request() pushstore.Request {
	return pushstore.Request{Query: "response_type=code&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=s-1",
		RedirectURI: "https://app.example/cb", State: "s-1"}
}

// browser returns the secret of the nth browser and what owns flows for it.
func browser(n int) ([]byte, pushstore.Owner) {
	secret := fmt.Appendf(nil, "secret of browser %d", n)
	return secret, pushstore.OwnerOf(secret)
}

func put(t *testing.T, s Subject) pushstore.Reference {
	t.Helper()
	ref, err := s.Store.Put(t.Context(), party(), request(), time.Hour)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return ref
}

func opened(t *testing.T, s Subject, owner pushstore.Owner) pushstore.Flow {
	t.Helper()
	f, err := s.Store.Open(t.Context(), party(), put(t, s), owner)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return f
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func wantState(t *testing.T, s Subject, p pushstore.Party, ref pushstore.Reference, want pushstore.State) {
	t.Helper()
	got, err := s.Store.Look(t.Context(), p, ref)
	if err != nil || got != want {
		t.Errorf("Look: got %v, %v, want %v", got, err, want)
	}
}

func wantFlow(t *testing.T, what string, got pushstore.Flow, err error, want pushstore.Flow) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s: got %+v, %v, want %+v", what, got, err, want)
	}
}

// eventually lets time pass until done, a little at a time, and fails after far more than any short time.
func eventually(t *testing.T, s Subject, what string, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		s.Pass(short / 20)
	}
	t.Errorf("%s: never happened", what)
}

// together runs n functions at once and returns how many reported true.
func together(n int, f func(i int) bool) int {
	var wg sync.WaitGroup
	yes := make([]bool, n)
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			yes[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	count := 0
	for _, y := range yes {
		if y {
			count++
		}
	}
	return count
}
