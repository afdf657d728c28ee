package proxy

import (
	"io"
	"sync"
	"time"
)

const (
	maxPageBytes = 1 << 20         // of a page that is read
	pagePatience = 3 * time.Second // for a page of unknown length to come to its end
)

// gather reads a body to its end, and what broke it off if something did. Of one that is longer than maxPageBytes, or
// whose length is not known and that is not at its end after pagePatience, the rest is left; unless isAwaited reports
// that what has come must be seen to its end.
func gather(body io.ReadCloser, length int64, isAwaited func([]byte) bool) (read []byte, rest io.ReadCloser, broken error) {
	if length >= 0 {
		read, broken = io.ReadAll(io.LimitReader(body, maxPageBytes))
		if broken == nil && length > maxPageBytes {
			rest = body
		}
		return read, rest, broken
	}
	stream := newStream(body)
	patience := time.NewTimer(pagePatience)
	defer patience.Stop()
	for len(read) <= maxPageBytes {
		select {
		case chunk := <-stream.chunks:
			read = append(read, chunk.bytes...)
			switch {
			case chunk.err == io.EOF:
				return read, nil, nil
			case chunk.err != nil:
				return read, nil, chunk.err
			}
		case <-patience.C:
			if !isAwaited(read) {
				return read, stream, nil
			}
			patience.Reset(pagePatience)
		}
	}
	return read, stream, nil
}

// stream reads a body in the background, one chunk ahead, so that whoever waits for it can stop waiting and go on later.
type stream struct {
	chunks chan chunk
	closed chan struct{}
	close  sync.Once
	body   io.ReadCloser
	left   chunk // of the last one, what was not read yet
}

type chunk struct {
	bytes []byte
	err   error
}

func newStream(body io.ReadCloser) *stream {
	s := &stream{chunks: make(chan chunk), closed: make(chan struct{}), body: body}
	go s.run()
	return s
}

func (s *stream) run() {
	for {
		buffer := make([]byte, 16<<10)
		n, err := s.body.Read(buffer)
		select {
		case s.chunks <- chunk{buffer[:n], err}:
		case <-s.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.left.bytes) == 0 {
		if s.left.err != nil {
			return 0, s.left.err
		}
		select {
		case s.left = <-s.chunks:
		case <-s.closed:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(b, s.left.bytes)
	s.left.bytes = s.left.bytes[n:]
	return n, nil
}

// Close implements io.Closer. It ends the reading in the background too.
func (s *stream) Close() error {
	s.close.Do(func() { close(s.closed) })
	return s.body.Close()
}
