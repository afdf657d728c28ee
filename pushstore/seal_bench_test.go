package pushstore

import (
	"testing"

	"pargate/test/sample"
)

// benchParty is whose record the benchmarks seal.
var benchParty = Party{"https://as.example", "web"}

// BenchmarkSeal is what the store computes beside storing: the derivation of a place and keys, once for every operation,
// the sealing of a record, its opening, and the reading of a claim on it.
func BenchmarkSeal(b *testing.B) {
	s := mustSeal(b, benchParty, testReference)
	b.Run("derivation", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mustSeal(b, benchParty, testReference)
		}
	})
	for _, request := range sample.Requests {
		r := pushRecord(Request{Query: request.Form, RedirectURI: sample.RedirectURI, State: sample.State, Listed: true})
		value := s.close(r)
		if got, err := s.open(value); err != nil || got != r {
			b.Fatal(got, err)
		}
		b.Run("closing/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.close(r)
			}
		})
		b.Run("opening/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.open(value)
			}
		})
	}
	b.Run("claim", func(b *testing.B) {
		value := s.ownerToken(OwnerOf([]byte("secret"))).string()
		if _, err := s.readClaim(value); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			s.readClaim(value)
		}
	})
}
