package proxy

import (
	"io"
	"sync"
)

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
