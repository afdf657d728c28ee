package pushstore

import "encoding/binary"

// kind says what a record is. The numbers are stored.
type kind byte

const (
	kindPush         kind = 1 // a pushed request: query, redirect_uri, state, whether its client is listed, and has signed it
	kindTombstone    kind = 2 // what is left of a finished one: redirect_uri, state
	kindContinuation kind = 3 // a pointer to a flow: its reference, the difference
)

// recordVersion is the layout of a record: version, kind, then every field with its length in 4 bytes. Not JSON,
// because that would not keep the bytes of a query that is not UTF-8.
const recordVersion = 3

// record is what lies sealed at a place. Which fields count is decided by its kind.
type record struct {
	kind       kind
	request    Request   // of a push; of a tombstone without Query
	flow       Reference // of a continuation
	difference string    // of a continuation
}

func pushRecord(r Request) record { return record{kind: kindPush, request: r} }

func tombstone(r Request) record {
	return record{kind: kindTombstone, request: Request{RedirectURI: r.RedirectURI, State: r.State}}
}

func continuationRecord(flow Reference, difference string) record {
	return record{kind: kindContinuation, flow: flow, difference: difference}
}

func (r record) encode() []byte {
	var fields string
	switch r.kind {
	case kindPush:
		fields = list(r.request.Query, r.request.RedirectURI, r.request.State, flag(r.request.Listed), flag(r.request.Signed))
	case kindTombstone:
		fields = list(r.request.RedirectURI, r.request.State)
	case kindContinuation:
		fields = list(string(r.flow), r.difference)
	}
	return append([]byte{recordVersion, byte(r.kind)}, fields...)
}

// flag writes a truth as a field.
func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

func isFlag(s string) bool { return s == flag(true) || s == flag(false) }

// decodeRecord is the inverse of encode; anything that encode does not write is errUnreadable.
func decodeRecord(b []byte) (record, error) {
	if len(b) < 2 || b[0] != recordVersion {
		return record{}, errUnreadable
	}
	r, rest := record{kind: kind(b[1])}, b[2:]
	var ok bool
	switch r.kind {
	case kindPush:
		var listed, signed string
		ok = fields(rest, &r.request.Query, &r.request.RedirectURI, &r.request.State, &listed, &signed) && isFlag(listed) && isFlag(signed)
		r.request.Listed, r.request.Signed = listed == flag(true), signed == flag(true)
	case kindTombstone:
		ok = fields(rest, &r.request.RedirectURI, &r.request.State)
	case kindContinuation:
		var ref string
		if ok = fields(rest, &ref, &r.difference); ok {
			r.flow, ok = ParseReference(ref)
		}
	}
	if !ok {
		return record{}, errUnreadable
	}
	return r, nil
}

// fields splits a list into exactly the given parts and reports whether it could.
func fields(b []byte, parts ...*string) bool {
	for _, p := range parts {
		if len(b) < 4 {
			return false
		}
		n := uint64(binary.BigEndian.Uint32(b))
		if b = b[4:]; n > uint64(len(b)) {
			return false
		}
		*p, b = string(b[:n]), b[n:]
	}
	return len(b) == 0
}
