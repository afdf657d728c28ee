package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"pargate/proxy/oauth"
)

const (
	maxAwaited   = 64 << 10         // a body of at most that many bytes is awaited before the upstream is asked
	uploadGrace  = 30 * time.Second // for a longer one to arrive, and more the longer it is
	uploadSecond = 1 << 10          // bytes for which there is one second more
)

// awaitBody waits until all of a short body is here. While it comes nothing waits for it at the upstream, where those
// who send slowly could otherwise take every worker. It changes no byte.
func (s *Server) awaitBody(w http.ResponseWriter, r *http.Request) error {
	x := exchangeOf(r)
	if x.bodyArrived || !hasBody(r) || r.ContentLength < 0 || r.ContentLength > maxAwaited {
		return nil
	}
	limitReading(w, r, s.BodyTimeout)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return bodyIncomplete(err)
	}
	x.bodyArrived = true
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// upload is a body that goes upstream while it arrives. It must go on: a client that does not send is not waited for,
// and neither is an upstream that does not take.
type upload struct {
	io.ReadCloser
	control *http.ResponseController
	started time.Time
	read    int64

	patience time.Duration // with an upstream that takes nothing
	stall    *time.Timer   // ends the exchange; runs while the upstream has something to take

	failed   atomic.Bool // the client did not send all of it
	stalled  atomic.Bool // the upstream did not take it
	answered atomic.Bool // without taking all of it
}

// errStalled is why an exchange is ended whose body the upstream does not take.
var errStalled = errors.New("the upstream does not take the body")

// newUpload wraps the body of r, which has to be served with the context that is returned with it.
func newUpload(w http.ResponseWriter, r *http.Request, patience time.Duration) (*upload, context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(r.Context())
	u := &upload{ReadCloser: r.Body, control: http.NewResponseController(w), started: time.Now(), patience: patience}
	u.stall = time.AfterFunc(patience, func() {
		if !u.answered.Load() {
			u.stalled.Store(true)
			cancel(errStalled)
		}
	})
	return u, ctx, cancel
}

// Read implements io.Reader.
func (u *upload) Read(b []byte) (int, error) {
	u.stall.Stop() // now it is the client's turn
	// Not every connection has deadlines; one that has none is bounded by what serves it.
	_ = u.control.SetReadDeadline(u.started.Add(uploadGrace + time.Duration(u.read/uploadSecond)*time.Second))
	n, err := u.ReadCloser.Read(b)
	u.read += int64(n)
	switch {
	case err == nil:
		u.stall.Reset(u.patience)
	case err != io.EOF:
		u.failed.Store(true)
	}
	return n, err
}

// Close implements io.Closer. The transport closes a body that it does not need to read on.
func (u *upload) Close() error {
	u.stall.Stop()
	return u.ReadCloser.Close()
}

// blame returns the error that an exchange with this body has really failed with; nil when the body is not why.
func (u *upload) blame() error {
	switch {
	case u == nil:
		return nil
	case u.stalled.Load():
		return changedBy("UPSTREAM_TIMEOUT", badGateway(http.StatusGatewayTimeout, errStalled))
	case u.failed.Load():
		return plainRefusal(oauth.InvalidRequest("the body could not be read"))
	}
	return nil
}
