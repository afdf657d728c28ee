package client

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// maxVerified is how many secrets are known to be right at once, and need no computation of their hash.
const maxVerified = 1 << 12

// verifiedSecrets remembers which text was found to be behind which hash, so that a push stays cheap. It holds neither:
// only an HMAC of both, under a key that this process alone has. The oldest give way.
type verifiedSecrets struct {
	key   []byte
	mu    sync.Mutex
	known map[secretDigest]bool
	order []secretDigest // a ring
	next  int
}

func newVerifiedSecrets() *verifiedSecrets {
	v := &verifiedSecrets{key: make([]byte, 32), known: map[secretDigest]bool{}}
	rand.Read(v.key)
	return v
}

// A hash stands in front, which has a fixed form: no two pairs have one digest. It has a salt of its own client's.
func (v *verifiedSecrets) digest(hash slowHash, text string) (d secretDigest) {
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(hash.String() + "\x00" + text))
	copy(d[:], mac.Sum(nil))
	return d
}

func (v *verifiedSecrets) has(hash slowHash, text string) bool {
	d := v.digest(hash, text)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[d]
}

func (v *verifiedSecrets) add(hash slowHash, text string) {
	d := v.digest(hash, text)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known[d] {
		return
	}
	if len(v.order) < maxVerified {
		v.order = append(v.order, d)
	} else {
		delete(v.known, v.order[v.next])
		v.order[v.next] = d
		v.next = (v.next + 1) % maxVerified
	}
	v.known[d] = true
}
