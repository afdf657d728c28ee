package proxy

import (
	"io"
	"strings"
	"testing"
)

func TestATappedFormIsKnownOnceAllOfItHasCome(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxFormBytes+1)
	for _, test := range []struct {
		form   string
		length int64
		read   int64
		known  bool
	}{
		{"username=u", 10, 10, true},
		{"username=u", 10, 9, false}, // the upstream has answered before the rest came
		{"username=u", -1, 10, false},
		{"username=u", -1, 11, true}, // read to its end
		{"", -1, 1, true},
		{long[1:], maxFormBytes, maxFormBytes, true},
		{long, maxFormBytes + 1, maxFormBytes + 1, false},
	} {
		tap := &bodyTap{ReadCloser: io.NopCloser(strings.NewReader(test.form)), length: test.length}
		io.CopyN(io.Discard, tap, test.read)
		text, known := tap.text()
		if known != test.known || known && text != test.form {
			t.Errorf("%d bytes of %.20q, said to be %d: known %t, %.20q", test.read, test.form, test.length, known, text)
		}
	}
	tap := &bodyTap{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat(long, 9)))}
	if n, err := io.Copy(io.Discard, tap); n != int64(9*len(long)) || err != nil || len(tap.seen) > 2*maxFormBytes {
		t.Errorf("%d bytes passed, %d are kept: %v", n, len(tap.seen), err)
	}
}
