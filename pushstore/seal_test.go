package pushstore

import (
	"regexp"
	"strings"
	"testing"
)

var testReference = Reference(strings.Repeat("Ab-_9", 8) + "xyz")

func TestParseReference(t *testing.T) {
	t.Parallel()
	good := string(testReference)
	if ref, ok := ParseReference(good); !ok || ref != testReference {
		t.Errorf("ParseReference(%q): got %q, %v", good, ref, ok)
	}
	for _, bad := range []string{"", good[1:], good + "A", good[:42] + "=", good[:42] + "+", good[:42] + "/",
		good[:42] + "\n", good[:42] + "\x00", good[:41] + "é", " " + good[1:], strings.ToUpper(good) + "%2D"} {
		if ref, ok := ParseReference(bad); ok || ref != "" {
			t.Errorf("ParseReference(%q): got %q, %v, want false", bad, ref, ok)
		}
	}
}

// The property: what is accepted is the input itself and matches the form of the design; all else gives nothing.
func FuzzParseReference(f *testing.F) {
	f.Add(string(testReference))
	f.Add("")
	f.Add(strings.Repeat("%", 43))
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	f.Fuzz(func(t *testing.T, s string) {
		ref, ok := ParseReference(s)
		if want := form.MatchString(s) && !strings.HasSuffix(s, "\n"); ok != want {
			t.Errorf("ParseReference(%q): got %v, want %v", s, ok, want)
		}
		if ok && string(ref) != s || !ok && ref != "" {
			t.Errorf("ParseReference(%q) returned %q", s, ref)
		}
	})
}

func TestDigestNamesAReferenceAndNothingMore(t *testing.T) {
	t.Parallel()
	other := testReference[:42] + "A"
	d := Digest(testReference)
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{8}$`).MatchString(d) {
		t.Errorf("Digest is %q, want 8 characters of base64url", d)
	}
	if d != Digest(testReference) || d == Digest(other) {
		t.Errorf("Digest is not a name: %q, %q", d, Digest(other))
	}
	// Cookies in browsers are named with it: it must not change between versions.
	if want := "n47fbKdI"; d != want {
		t.Errorf("Digest is %q, want %q", d, want)
	}
}

func mustSeal(t testing.TB, p Party, ref Reference) seal {
	t.Helper()
	s, err := sealFor(p, ref)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASealIsOfOnePartyAndOneReference(t *testing.T) {
	t.Parallel()
	r := pushRecord(Request{Query: "a=b", RedirectURI: "https://app.example/cb", State: "s"})
	s := mustSeal(t, Party{"https://as.example", "web"}, testReference)
	value := s.close(r)
	if got, err := s.open(value); err != nil || got != r {
		t.Errorf("got %+v, %v, want %+v", got, err, r)
	}
	if s.close(r) == value {
		t.Error("the same record is sealed the same twice")
	}
	for _, other := range []seal{
		mustSeal(t, Party{"https://as.example", "web2"}, testReference),
		mustSeal(t, Party{"https://as2.example", "web"}, testReference),
		mustSeal(t, Party{"https://as.examplew", "eb"}, testReference),
		mustSeal(t, Party{"https://as.example", "web"}, testReference[:42]+"A"),
	} {
		if other.place == s.place {
			t.Error("two seals share a place")
		}
		if _, err := other.open(value); err != errUnreadable {
			t.Errorf("another seal opens the value: %v", err)
		}
		moved := other
		moved.place = s.place
		if _, err := moved.open(value); err != errUnreadable {
			t.Errorf("another key opens the value: %v", err)
		}
		moved = s
		moved.place = other.place
		if _, err := moved.open(value); err != errUnreadable {
			t.Errorf("the value opens at another place: %v", err)
		}
		if _, err := other.readClaim(s.ownerToken(Owner{1}).string()); err != errUnreadable {
			t.Errorf("a claim counts at another place: %v", err)
		}
	}
}

func (t token) string() string { return string(t[:]) }

func TestAClaimCannotBeMade(t *testing.T) {
	t.Parallel()
	s := mustSeal(t, Party{"https://as.example", "web"}, testReference)
	owner, response := s.ownerToken(Owner{1}), s.responseToken("r")
	good := owner.string() + response.string()
	if c, err := s.readClaim(good); err != nil || c != (claim{owner, response, true}) {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []string{"", good[:31], good[:33], good + "x", good + good,
		response.string() + owner.string(), owner.string() + owner.string()} {
		if _, err := s.readClaim(bad); err != errUnreadable {
			t.Errorf("a claim of %d bytes: %v, want errUnreadable", len(bad), err)
		}
	}
}

func TestStoredPartsMustAgree(t *testing.T) {
	t.Parallel()
	s := mustSeal(t, Party{"https://as.example", "web"}, testReference)
	owner, response := s.ownerToken(Owner{1}), s.responseToken("r")
	push, grave := s.close(pushRecord(Request{})), s.close(tombstone(Request{}))
	step := s.close(continuationRecord(testReference, ""))
	taken, finished := owner.string(), owner.string()+response.string()
	for _, c := range []struct {
		name string
		v    stored
		want State
		err  error
	}{
		{"nothing", stored{}, Absent, nil},
		{"a push", stored{push: push}, Pending, nil},
		{"a flow", stored{flow: push, claim: taken}, Taken, nil},
		{"a flow and a late duplicate", stored{push: push, flow: push, claim: taken}, Taken, nil},
		{"a tombstone and a late duplicate", stored{push: push, flow: grave, claim: finished}, Finished, nil},
		{"a continuation", stored{step: step}, Continuation, nil},
		{"a late duplicate of an ended flow", stored{push: push, claim: taken}, Absent, nil},
		{"a flow that lost its claim", stored{flow: push}, Absent, nil},
		{"a tombstone of nothing finished", stored{flow: grave, claim: taken}, Absent, errUnreadable},
		{"a finished flow that is still there", stored{flow: push, claim: finished}, Absent, errUnreadable},
		{"a tombstone for a push", stored{push: grave}, Absent, errUnreadable},
		{"a push for a continuation", stored{step: push}, Absent, errUnreadable},
	} {
		if f, err := s.read(c.v); f.state != c.want || err != c.err {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, f.state, err, c.want, c.err)
		}
	}
}

// The property: bytes that decode are exactly what encode writes for the result, and nothing panics.
func FuzzRecord(f *testing.F) {
	for _, r := range []record{
		pushRecord(Request{Query: "a=b", RedirectURI: "https://app.example/cb", State: "s"}),
		tombstone(Request{RedirectURI: "https://app.example/cb"}),
		continuationRecord(testReference, "prompt=none"),
	} {
		f.Add(r.encode())
	}
	f.Add([]byte{recordVersion, byte(kindPush), 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err == nil && string(r.encode()) != string(b) {
			t.Errorf("%x decodes to %+v, which is %x", b, r, r.encode())
		}
		if err != nil && (err != errUnreadable || r != record{}) {
			t.Errorf("%x: got %+v, %v", b, r, err)
		}
	})
}

// The property: nothing that was not sealed here opens, whatever lies in the store, and nothing panics.
func FuzzStored(f *testing.F) {
	s := mustSeal(f, Party{"https://as.example", "web"}, testReference)
	f.Add("", "", "", "")
	f.Add("x", "", "", strings.Repeat("x", 28))
	f.Add("", strings.Repeat("x", 40), strings.Repeat("x", 64), "")
	f.Fuzz(func(t *testing.T, push, flow, claim, step string) {
		got, err := s.read(stored{push: push, flow: flow, claim: claim, step: step})
		if err == nil && got.state != Absent || err != nil && err != errUnreadable {
			t.Errorf("got %v, %v", got.state, err)
		}
	})
}
