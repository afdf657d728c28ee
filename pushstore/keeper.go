package pushstore

import (
	"context"
	"time"
)

// shelf is what Memory and Redis do differently: keep sealed values at places. A shelf compares tokens and minds
// clocks; it can open nothing. Each method is atomic and gives the same answer when it is sent again.
type shelf interface {
	// begin bounds one operation in time.
	begin(ctx context.Context) (context.Context, context.CancelFunc)

	// put keeps a push at p for window, on the account of party.
	put(ctx context.Context, p place, party [32]byte, push string, window time.Duration) error

	// read returns what lies at p and writes nothing.
	read(ctx context.Context, p place) (stored, error)

	// hold returns what lies at p, and if that is owner's unfinished flow it is certain to stay owner's.
	hold(ctx context.Context, p place, owner token) (stored, error)

	// take gives a push at p to owner for the time of a flow if it is free, and returns what then lies at p. It
	// writes nothing otherwise.
	take(ctx context.Context, p place, owner token) (stored, error)

	// finish puts tombstone and the response's token in the place of owner's unfinished flow at p, for the time of a
	// flow, and returns the claim that then lies at p; empty when there is no flow. It writes nothing otherwise.
	finish(ctx context.Context, p place, owner, response token, tombstone string) (claim string, err error)

	// count books step as a continuation of owner's unfinished flow at p, if it is not booked yet and there is room.
	count(ctx context.Context, p place, owner token, step place) (booking, error)

	// extend keeps a continuation at step for the rest of its flow, on the account of party.
	extend(ctx context.Context, step place, party [32]byte, value string, rest time.Duration) error
}

// booking is what count found.
type booking struct {
	claim string        // what lies at the flow's place; empty when there is no flow
	room  bool          // the step is booked, now or before
	rest  time.Duration // until the flow's end
}

// keeper is the part of the contract that Memory and Redis share: what is derived, sealed and judged.
type keeper struct {
	shelf   shelf
	claimed func(r Request, left time.Duration) // nil: nobody is told
}

// Put implements Store.
func (k keeper) Put(ctx context.Context, p Party, r Request, window time.Duration) (Reference, error) {
	ctx, cancel := k.shelf.begin(ctx)
	defer cancel()
	ref := newReference()
	s, err := sealFor(p, ref)
	if err != nil {
		return "", err
	}
	if err := k.shelf.put(ctx, s.place, partyDigest(p), s.close(pushRecord(r)), window); err != nil {
		return "", err
	}
	return ref, nil
}

// Look implements Store.
func (k keeper) Look(ctx context.Context, p Party, ref Reference) (State, error) {
	ctx, cancel := k.shelf.begin(ctx)
	defer cancel()
	s, err := sealFor(p, ref)
	if err != nil {
		return Absent, err
	}
	v, err := k.shelf.read(ctx, s.place)
	if err != nil {
		return Absent, err
	}
	f, err := s.read(v)
	return f.state, err
}

// Open implements Store.
func (k keeper) Open(ctx context.Context, p Party, ref Reference, owner Owner) (Flow, error) {
	ctx, cancel := k.shelf.begin(ctx)
	defer cancel()
	s, err := sealFor(p, ref)
	if err != nil {
		return Flow{}, err
	}
	mine := s.ownerToken(owner)
	v, err := k.shelf.take(ctx, s.place, mine)
	if err != nil {
		return Flow{}, err
	}
	f, err := k.flow(ctx, Flow{Reference: ref, Party: p, Owner: owner}, s, mine, v)
	if err == nil && v.left > 0 && k.claimed != nil {
		k.claimed(f.Request, v.left)
	}
	return f, err
}

// Flow implements Store.
func (k keeper) Flow(ctx context.Context, p Party, ref Reference, owner Owner) (Flow, error) {
	ctx, cancel := k.shelf.begin(ctx)
	defer cancel()
	s, err := sealFor(p, ref)
	if err != nil {
		return Flow{}, err
	}
	mine := s.ownerToken(owner)
	v, err := k.shelf.hold(ctx, s.place, mine)
	if err != nil {
		return Flow{}, err
	}
	return k.flow(ctx, Flow{Reference: ref, Party: p, Owner: owner}, s, mine, v)
}

// flow completes f, which says what is asked for, with what lies at the place of s, and judges it for the owner whose
// token is mine. A continuation is followed to its flow, which alone decides.
func (k keeper) flow(ctx context.Context, f Flow, s seal, mine token, v stored) (Flow, error) {
	at, err := s.read(v)
	if err != nil {
		return Flow{}, err
	}
	if at.state == Continuation {
		f.Difference, f.Reference = at.record.difference, at.record.flow
		if s, err = sealFor(f.Party, f.Reference); err != nil {
			return Flow{}, err
		}
		mine = s.ownerToken(f.Owner)
		if v, err = k.shelf.hold(ctx, s.place, mine); err != nil {
			return Flow{}, err
		}
		if at, err = s.read(v); err != nil {
			return Flow{}, err
		}
	}
	switch {
	case at.state != Taken && at.state != Finished:
		return Flow{}, ErrNotFound
	case at.claim.owner != mine:
		return Flow{}, ErrTaken
	}
	f.Request = at.record.request
	if f.Finished = at.state == Finished; f.Finished {
		f.Difference = "" // nothing is left that it could be added to
	}
	return f, nil
}

// Continue implements Store.
func (k keeper) Continue(ctx context.Context, f Flow, secret []byte, difference string) (Reference, error) {
	ctx, cancel := k.shelf.begin(ctx)
	defer cancel()
	ref, err := continuationOf(secret, f, difference)
	if err != nil {
		return "", err
	}
	flow, err := sealFor(f.Party, f.Reference)
	if err != nil {
		return "", err
	}
	step, err := sealFor(f.Party, ref)
	if err != nil {
		return "", err
	}
	// Booked first and kept second, because flow and step lie in different slots of a cluster. A booking without a
	// step is completed when the same continuation is asked for again.
	owner := flow.ownerToken(OwnerOf(secret))
	b, err := k.shelf.count(ctx, flow.place, owner, step.place)
	if err != nil {
		return "", err
	}
	c, err := flow.mine(b.claim, owner)
	switch {
	case err != nil:
		return "", err
	case c.finished:
		return "", ErrNotFound
	case !b.room:
		return "", ErrFull
	}
	value := step.close(continuationRecord(f.Reference, difference))
	if err := k.shelf.extend(ctx, step.place, partyDigest(f.Party), value, b.rest); err != nil {
		return "", err
	}
	return ref, nil
}

// Finish implements Store. f is what Open or Flow returned: its RedirectURI and State are what is kept.
func (k keeper) Finish(ctx context.Context, f Flow, response string) (won bool, err error) {
	ctx, cancel := k.shelf.begin(ctx)
	defer cancel()
	s, err := sealFor(f.Party, f.Reference)
	if err != nil {
		return false, err
	}
	owner, answer := s.ownerToken(f.Owner), s.responseToken(response)
	value, err := k.shelf.finish(ctx, s.place, owner, answer, s.close(tombstone(f.Request)))
	if err != nil {
		return false, err
	}
	c, err := s.mine(value, owner)
	switch {
	case err != nil:
		return false, err
	case !c.finished: // a shelf that has this claim has finished it
		return false, errUnreadable
	}
	return c.response == answer, nil
}

// mine returns the claim in value if it is owner's.
func (s seal) mine(value string, owner token) (claim, error) {
	if value == "" {
		return claim{}, ErrNotFound
	}
	c, err := s.readClaim(value)
	if err == nil && c.owner != owner {
		err = ErrTaken
	}
	return c, err
}
