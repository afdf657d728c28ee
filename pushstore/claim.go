package pushstore

import (
	"crypto/hmac"
	"time"
)

// token stands for an owner or for a response beside one record. It is deterministic, so that Redis can compare it
// without holding a key, and its second half signs the first, so that a changed one is not taken for somebody else's.
type token [32]byte

const tokenSize = len(token{})

const (
	ownerLabel    = "owner"
	responseLabel = "response"
)

func (s seal) ownerToken(o Owner) token { return s.token(ownerLabel, string(o[:])) }

func (s seal) responseToken(response string) token { return s.token(responseLabel, response) }

func (s seal) token(label, value string) token {
	var t token
	copy(t[:16], s.hmac(label, value))
	copy(t[16:], s.hmac(label+" token", string(t[:16])))
	return t
}

func (s seal) genuine(label string, t token) bool {
	return hmac.Equal(t[16:], s.hmac(label+" token", string(t[:16]))[:16])
}

// claim is what stands beside a record that a browser has opened: the owner's token, and once the flow is finished
// the response's token behind it.
type claim struct {
	owner    token
	response token // only when finished
	finished bool
}

// readClaim returns the claim in a stored value; one that nobody made for this record is errUnreadable.
func (s seal) readClaim(value string) (claim, error) {
	var c claim
	switch len(value) {
	case tokenSize:
	case 2 * tokenSize:
		c.finished = true
		c.response = token([]byte(value[tokenSize:]))
	default:
		return claim{}, errUnreadable
	}
	c.owner = token([]byte(value[:tokenSize]))
	if !s.genuine(ownerLabel, c.owner) || c.finished && !s.genuine(responseLabel, c.response) {
		return claim{}, errUnreadable
	}
	return c, nil
}

// stored is everything that lies at one place, still sealed; empty is absent. A push moves from push to flow when it
// is claimed, so that neither a lost claim nor a late duplicate of the push makes it free again.
type stored struct {
	push  string
	flow  string
	claim string
	step  string // a continuation

	left time.Duration // of the window, when this very call has taken the push; zero: it has not, as far as it heard
}

// found is stored, opened and understood.
type found struct {
	state  State
	record record
	claim  claim // only when Taken or Finished
}

// read opens v. It reports errUnreadable when any part is not genuine or the parts contradict each other.
func (s seal) read(v stored) (f found, err error) {
	want := kindPush
	switch {
	case v.flow != "" && v.claim != "":
		if f.claim, err = s.readClaim(v.claim); err != nil {
			return found{}, err
		}
		f.state = Taken
		if f.claim.finished {
			f.state, want = Finished, kindTombstone
		}
		f.record, err = s.open(v.flow)
	case v.push != "" && v.claim == "":
		f.state = Pending
		f.record, err = s.open(v.push)
	case v.step != "":
		f.state, want = Continuation, kindContinuation
		f.record, err = s.open(v.step)
	default:
		return found{}, nil
	}
	if err == nil && f.record.kind != want {
		err = errUnreadable
	}
	if err != nil {
		return found{}, err
	}
	return f, nil
}
