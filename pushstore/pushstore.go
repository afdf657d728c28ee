// Package pushstore keeps pushed authorization requests (RFC 9126), the logins that grow out of them, and
// one-time marks: in Redis, or in the memory of one process.
//
// A reference is the random part of a request_uri. Nothing is stored under it: the place of a record and the key
// that seals it are both derived from the reference, the issuer and the client, so whoever reads the store learns
// nothing, and another client or issuer does not find the record and can neither use nor end it.
//
//	Put ──▶ pending ──Open──▶ taken by one browser (a flow) ──Finish──▶ finished (a tombstone)
//	           │ window           │ FlowTTL                              │ FlowTTL
//	           ▼                  ▼                                      ▼
//	         absent             absent                                 absent
//
// Memory and Redis behave alike; storetest.Run holds both to the contract of Store.
package pushstore

import (
	"context"
	"errors"
	"time"
)

// What an operation reports when it ran and the answer is no. Every other error means that the store could not
// answer: the caller knows nothing and must fail closed.
var (
	// ErrNotFound means that there is no such record for this client, or that its time is over.
	ErrNotFound = errors.New("pushstore: no such request")
	// ErrTaken means that the record belongs to another browser.
	ErrTaken = errors.New("pushstore: request belongs to another browser")
	// ErrFull means that a bound was reached: the memory store's size, or the continuations of one flow.
	ErrFull = errors.New("pushstore: full")
)

// Reference is the random part of a request_uri: 43 characters of base64url, compared and used byte by byte.
type Reference string

// Party says whose a reference is. The same reference under another Party is another, unknown one.
type Party struct {
	Issuer   string // the issuer identifier of the authorization server
	ClientID string // the client that pushed
}

// Owner is the digest of the secret that one browser holds for one flow; OwnerOf makes it.
type Owner [32]byte

// Request is a pushed authorization request as it is kept.
type Request struct {
	Query       string // the pushed parameters, form-encoded, in the order of the push
	RedirectURI string // where the authorization response will go
	State       string // the pushed state; empty when there was none
	Listed      bool   // the client was one of the client file
	Signed      bool   // the client has signed it
}

// State is what Look finds.
type State int

const (
	Absent       State = iota // unknown, expired, or another party's
	Pending                   // pushed, not opened yet
	Taken                     // opened by a browser, not finished
	Finished                  // the authorization response has passed
	Continuation              // not a push: a continuation of a flow
)

// Flow is a pushed request that one browser has opened.
type Flow struct {
	Reference  Reference // the pushed request's own reference, also when a continuation led here
	Party      Party
	Owner      Owner
	Request    Request // Query is empty once Finished
	Difference string  // what the continuation that led here adds; empty for the reference itself
	Finished   bool    // the authorization response has passed: only RedirectURI and State are left
}

// Store is the contract. Every method but Look and Flow changes something, each may be sent again after a lost
// reply and then gives the same answer, and each is bounded in time by the store itself: a caller that goes away
// does not leave half an operation behind.
type Store interface {
	// Put keeps r for window, the time a browser may take to come (expires_in), and returns its new reference.
	// It returns ErrFull when the store is at its bound; nothing that is kept is dropped to make room.
	Put(ctx context.Context, p Party, r Request, window time.Duration) (Reference, error)

	// Look says what ref is to p. It writes nothing, and Absent is no error.
	Look(ctx context.Context, p Party, ref Reference) (State, error)

	// Open gives a pending request to owner, who then has FlowTTL for the login, or repeats that answer to the
	// same owner; the flow's end is not moved by a repetition. A continuation is never given away: it opens for
	// the owner of its flow alone. A finished request opens for its owner, with Finished set.
	// It returns ErrNotFound and ErrTaken, and writes nothing in either case.
	Open(ctx context.Context, p Party, ref Reference, owner Owner) (Flow, error)

	// Flow returns what Open has given to owner, until its end. It never claims and changes nothing.
	// It returns ErrNotFound (also for a pending request) and ErrTaken.
	Flow(ctx context.Context, p Party, ref Reference, owner Owner) (Flow, error)

	// Continue returns a reference that leads to f and adds difference to it, for f's owner alone, until f's end.
	// secret is what f.Owner is the digest of: the reference is derived from it, f and difference, so the same
	// three give the same reference and write nothing new. It returns ErrFull beyond MaxContinuations different
	// ones, ErrNotFound when the flow has ended or is finished, and ErrTaken when secret is not its owner's.
	Continue(ctx context.Context, f Flow, secret []byte, difference string) (Reference, error)

	// Finish records that the authorization response named response has passed for f and reports whether that
	// response is the one: the first name wins, and wins again when it is repeated. Afterwards only RedirectURI
	// and State are kept, for FlowTTL. It returns ErrNotFound when the flow has ended and ErrTaken.
	Finish(ctx context.Context, f Flow, response string) (won bool, err error)

	// Mark reports whether id is seen for the first time within life, whoever marks it. It returns ErrFull like Put; what one
	// holder has marked takes nobody else's room.
	Mark(ctx context.Context, holder, id string, life time.Duration) (first bool, err error)

	// Ping reports whether the store can answer.
	Ping(ctx context.Context) error

	// Close gives back what the store holds open.
	Close() error
}

// MaxContinuations is how many different continuations one flow may have.
const MaxContinuations = 64
