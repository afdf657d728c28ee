package count

import (
	"flag"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// flags is held while rapid runs, which takes the number of its checks from a flag.
var flags sync.Mutex

// Sequences runs property for n random sequences of actions. One that fails is made smaller, and can be had again by
// its seed.
func Sequences(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	flags.Lock()
	defer flags.Unlock()
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	ran := 0
	rapid.Check(t, func(rt *rapid.T) {
		ran++
		property(rt)
	})
	if ran < n { // rapid ends early, and contented, when the time of the tests is nearly over
		t.Errorf("%d of %d sequences were tried", ran, n)
	}
}
