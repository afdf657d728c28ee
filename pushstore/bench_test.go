package pushstore_test

import (
	"testing"
	"time"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
)

func BenchmarkMemory(b *testing.B) {
	benchmark(b, func() pushstore.Store { return pushstore.NewMemory(pushstore.MemoryOptions{MaxBytes: 1 << 40}) })
}

func BenchmarkRedis(b *testing.B) {
	server := storetest.StartRedis(b)
	benchmark(b, func() pushstore.Store {
		client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL()})
		if err != nil {
			b.Fatal(err)
		}
		return pushstore.NewRedis(client, pushstore.RedisOptions{})
	})
}

func benchmark(b *testing.B, open func() pushstore.Store) {
	p, r, owner := client(1), testRequest(), pushstore.OwnerOf([]byte("secret"))
	put := func(b *testing.B, s pushstore.Store) pushstore.Reference {
		ref, err := s.Put(b.Context(), p, r, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		return ref
	}
	b.Run("Put", func(b *testing.B) {
		s := open()
		defer s.Close()
		b.ReportAllocs()
		for b.Loop() {
			put(b, s)
		}
	})
	b.Run("PutParallel", func(b *testing.B) {
		s := open()
		defer s.Close()
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				put(b, s)
			}
		})
	})
	b.Run("OpenFree", func(b *testing.B) {
		s := open()
		defer s.Close()
		refs := make([]pushstore.Reference, b.N)
		for i := range refs {
			refs[i] = put(b, s)
		}
		b.ReportAllocs()
		b.ResetTimer()
		for _, ref := range refs {
			if _, err := s.Open(b.Context(), p, ref, owner); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("OpenAgain", func(b *testing.B) {
		s := open()
		defer s.Close()
		ref := put(b, s)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Open(b.Context(), p, ref, owner); err != nil {
				b.Fatal(err)
			}
		}
	})
}
