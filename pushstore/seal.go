package pushstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// errUnreadable means that what the store gave is not what was put there: a reply that belongs to another command,
// or a Redis that somebody wrote to. It is none of the sentinels, so it ends as "the store could not answer".
var errUnreadable = errors.New("pushstore: stored value does not open")

// domain starts everything that is derived or digested here; another layout of the store gets another number.
const domain = "pargate/1"

const referenceLength = 43 // 32 bytes in base64url without padding

// ParseReference returns s as a reference and reports whether it has the form of one: exactly 43 characters out of
// A–Z, a–z, 0–9, "-" and "_". It says nothing about whether there is such a request.
func ParseReference(s string) (Reference, bool) {
	if len(s) != referenceLength {
		return "", false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
	}
	return Reference(s), true
}

// Digest returns a short stable name of ref for logs and cookie names: 8 characters of base64url that tell nothing
// about the reference.
func Digest(ref Reference) string {
	sum := sha256.Sum256([]byte(list(domain, "digest", string(ref))))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:8]
}

// OwnerOf returns the digest under which a browser that holds secret owns a flow.
func OwnerOf(secret []byte) Owner { return sha256.Sum256(secret) }

// newReference mints a reference of 256 random bits.
func newReference() Reference {
	var b [32]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	return Reference(base64.RawURLEncoding.EncodeToString(b[:]))
}

// continuationOf derives the reference of one continuation, so that a reload of the same page needs no new one. The
// browser's secret makes it as unguessable as the flow's cookie.
func continuationOf(secret []byte, f Flow, difference string) (Reference, error) {
	info := list(domain, "continuation", f.Party.Issuer, f.Party.ClientID, string(f.Reference), difference)
	b, err := hkdf.Key(sha256.New, secret, nil, info, 32)
	if err != nil {
		return "", err
	}
	return Reference(base64.RawURLEncoding.EncodeToString(b)), nil
}

// place is where a record lies. It is derived, never chosen: a client_id cannot reach into the alphabet of a key.
type place [18]byte

func (p place) String() string { return base64.RawURLEncoding.EncodeToString(p[:]) }

// seal is what follows from one reference and one party: the place of a record, the key that encrypts it and the key
// that signs the claims on it.
type seal struct {
	place place
	aead  cipher.AEAD
	mac   []byte
}

// sealFor derives the seal of ref for p. The length-prefixed list keeps ("a", "bc") and ("ab", "c") apart, and p in
// it makes the same reference another one for another client or issuer.
func sealFor(p Party, ref Reference) (seal, error) {
	var s seal
	b, err := hkdf.Key(sha256.New, []byte(ref), nil, list(domain, "reference", p.Issuer, p.ClientID), len(s.place)+64)
	if err != nil {
		return seal{}, err
	}
	copy(s.place[:], b)
	keys := b[len(s.place):]
	block, err := aes.NewCipher(keys[:32])
	if err != nil {
		return seal{}, err
	}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return seal{}, err
	}
	s.mac = keys[32:]
	return s, nil
}

// close encrypts and authenticates a record for its place.
func (s seal) close(r record) string {
	return string(s.aead.Seal(nil, nil, r.encode(), s.place[:]))
}

// open is the inverse of close. A value of another place, or a changed one, is errUnreadable.
func (s seal) open(value string) (record, error) {
	plain, err := s.aead.Open(nil, nil, []byte(value), s.place[:])
	if err != nil {
		return record{}, errUnreadable
	}
	return decodeRecord(plain)
}

// markPlace is where the one-time mark of id lies. An id is not secret, it only must not be readable in the store.
func markPlace(id string) place {
	sum := sha256.Sum256([]byte(list(domain, "mark", id)))
	return place(sum[:len(place{})])
}

// partyDigest names a party in accounts without keeping its client_id.
func partyDigest(p Party) [32]byte {
	return sha256.Sum256([]byte(list(domain, "party", p.Issuer, p.ClientID)))
}

// holderDigest names who holds marks, likewise.
func holderDigest(holder string) [32]byte {
	return sha256.Sum256([]byte(list(domain, "marks", holder)))
}

func (s seal) hmac(parts ...string) []byte {
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte(list(parts...)))
	return h.Sum(nil)
}

// list joins parts so that no other list of parts gives the same string.
func list(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		b.Write(n[:])
		b.WriteString(p)
	}
	return b.String()
}
