package client

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// secret is what the client file says about a client's secret: the text, or a hash of it.
type secret struct {
	digest secretDigest // of the text
	hash   slowHash     // nil: the text was given
	text   string       // kept for client_secret_jwt alone
}

type secretDigest [sha256.Size]byte

func digestOf(text string) secretDigest { return sha256.Sum256([]byte(text)) }

// is compares in constant time. Of a hashed secret, and of none, it is never true.
func (s secret) is(text string) bool {
	digest := digestOf(text)
	return subtle.ConstantTimeCompare(digest[:], s.digest[:]) == 1
}

// slowHash is a hash that is dear to compute.
type slowHash interface {
	// matches reports whether text is what was hashed.
	matches(text string) bool
	// cost names what one computation takes: hashes of one cost take the same work.
	cost() string
	// decoy returns a hash of the same cost that no text matches.
	decoy() slowHash
	// String is the hash as the client file has it.
	String() string
}

// parseHash reads a hash in one of the forms that tools print: the PHC string format of Argon2id, and bcrypt's. A text
// that does not begin like one of those is no hash: nil. The bounds keep one computation under about a second and
// 128 MiB.
func parseHash(text string) (slowHash, error) {
	switch {
	case strings.HasPrefix(text, "$argon2"):
		return parseArgon2(text)
	case strings.HasPrefix(text, "$2"):
		return parseBcrypt(text)
	}
	return nil, nil
}

// Bounds on the parameters of Argon2id.
const (
	maxArgonMemory  = 128 << 10 // KiB
	maxArgonPasses  = 16
	maxArgonThreads = 16
	maxArgonWork    = 1 << 20 // KiB times passes
)

type argon2Hash struct {
	text           string
	memory, passes uint32
	threads        uint8
	salt, tag      []byte
}

var argon2Pattern = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})$`)

func parseArgon2(text string) (slowHash, error) {
	part := argon2Pattern.FindStringSubmatch(text)
	if part == nil {
		return nil, errors.New("looks like a hash of Argon2, but is not $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	}
	number := func(s string) uint32 { n, _ := strconv.ParseUint(s, 10, 32); return uint32(n) } // digits
	h := argon2Hash{text: text, memory: number(part[1]), passes: number(part[2]), threads: uint8(number(part[3]))}
	var errSalt, errTag error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(part[4])
	h.tag, errTag = base64.RawStdEncoding.DecodeString(part[5])
	switch {
	case errSalt != nil || errTag != nil:
		return nil, errors.New("is a hash of Argon2 whose salt or hash is not Base64")
	case h.memory > maxArgonMemory || h.passes > maxArgonPasses || h.threads > maxArgonThreads || h.memory*h.passes > maxArgonWork:
		return nil, fmt.Errorf("is a hash of Argon2 that is too dear to check; at most m=%d, t=%d and p=%d, and m times t at most %d, are taken",
			maxArgonMemory, maxArgonPasses, maxArgonThreads, maxArgonWork)
	case h.memory < 8*uint32(h.threads):
		return nil, errors.New("is a hash of Argon2 with less than 8 KiB per thread")
	}
	return h, nil
}

func (h argon2Hash) matches(text string) bool {
	tag := argon2.IDKey([]byte(text), h.salt, h.passes, h.memory, h.threads, uint32(len(h.tag)))
	return subtle.ConstantTimeCompare(tag, h.tag) == 1
}

func (h argon2Hash) cost() string {
	return fmt.Sprintf("argon2id m=%d t=%d p=%d", h.memory, h.passes, h.threads)
}

func (h argon2Hash) decoy() slowHash {
	h.text = ""
	h.salt, h.tag = make([]byte, len(h.salt)), make([]byte, len(h.tag))
	rand.Read(h.salt)
	rand.Read(h.tag)
	return h
}

func (h argon2Hash) String() string { return h.text }

const (
	maxBcryptCost = 14
	maxBcryptText = 72 // bytes: it does not look at more
)

type bcryptHash struct {
	text string
	work int
}

var bcryptPattern = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

func parseBcrypt(text string) (slowHash, error) {
	part := bcryptPattern.FindStringSubmatch(text)
	if part == nil {
		return nil, errors.New("looks like a hash of bcrypt, but is not $2a$, $2b$ or $2y$ with cost, salt and hash")
	}
	work, _ := strconv.Atoi(part[1])
	if work < bcrypt.MinCost || work > maxBcryptCost {
		return nil, fmt.Errorf("is a hash of bcrypt with a cost that is not %d to %d", bcrypt.MinCost, maxBcryptCost)
	}
	return bcryptHash{text, work}, nil
}

// A longer text would match whatever stands behind its first 72 bytes.
func (h bcryptHash) matches(text string) bool {
	short := text[:min(len(text), maxBcryptText)]
	return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(short)) == nil && len(short) == len(text)
}

func (h bcryptHash) cost() string { return fmt.Sprintf("bcrypt %d", h.work) }

// An all-zero salt and hash: whoever knew a text for it would still be no client.
func (h bcryptHash) decoy() slowHash {
	h.text = fmt.Sprintf("$2b$%02d$%s", h.work, strings.Repeat(".", 53))
	return h
}

func (h bcryptHash) String() string { return h.text }
