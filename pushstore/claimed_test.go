package pushstore_test

import (
	"testing"
	"time"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
)

// Whoever repeats a claim, has another's or has a continuation is not told of.
func TestAClaimIsToldOnceWithWhatWasLeftOfTheWindow(t *testing.T) {
	t.Parallel()
	const window = time.Minute
	for name, open := range map[string]func(claimed func(pushstore.Request, time.Duration)) (pushstore.Store, func(time.Duration)){
		"Memory": func(claimed func(pushstore.Request, time.Duration)) (pushstore.Store, func(time.Duration)) {
			now := time.Unix(1_800_000_000, 0)
			m := pushstore.NewMemory(pushstore.MemoryOptions{Now: func() time.Time { return now }, Claimed: claimed})
			return m, func(d time.Duration) { now = now.Add(d) }
		},
		"Redis": func(claimed func(pushstore.Request, time.Duration)) (pushstore.Store, func(time.Duration)) {
			client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: storetest.StartRedis(t).URL()})
			if err != nil {
				t.Fatal(err)
			}
			return pushstore.NewRedis(client, pushstore.RedisOptions{Claimed: claimed}), time.Sleep
		},
	} {
		t.Run(name, func(t *testing.T) {
			var told []time.Duration
			s, pass := open(func(r pushstore.Request, left time.Duration) {
				if r != testRequest() {
					t.Errorf("told of %+v", r)
				}
				told = append(told, left)
			})
			defer s.Close()
			p, secret := client(1), []byte("secret")
			ref, err := s.Put(t.Context(), p, testRequest(), window)
			if err != nil {
				t.Fatal(err)
			}
			pass(200 * time.Millisecond)
			if _, err := s.Look(t.Context(), p, ref); err != nil || len(told) > 0 {
				t.Fatalf("%v, told %v of a look", err, told)
			}
			f, err := s.Open(t.Context(), p, ref, pushstore.OwnerOf(secret))
			if err != nil || len(told) != 1 || told[0] > window-200*time.Millisecond || told[0] < window-30*time.Second {
				t.Fatalf("%v, told %v", err, told)
			}
			step, err := s.Continue(t.Context(), f, secret, "a=b")
			if err != nil {
				t.Fatal(err)
			}
			s.Open(t.Context(), p, ref, pushstore.OwnerOf(secret))
			s.Open(t.Context(), p, ref, pushstore.OwnerOf([]byte("another")))
			s.Open(t.Context(), p, step, pushstore.OwnerOf(secret))
			s.Flow(t.Context(), p, ref, pushstore.OwnerOf(secret))
			s.Finish(t.Context(), f, "r")
			s.Open(t.Context(), p, ref, pushstore.OwnerOf(secret))
			if len(told) != 1 {
				t.Errorf("told %v", told)
			}
		})
	}
}
