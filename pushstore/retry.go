package pushstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	operationTime = 800 * time.Millisecond // one whole operation, with everything it sends
	maxTries      = 3
)

// begin implements shelf. The operation is detached from ctx: when a browser goes away between the request and the
// reply, whether its claim was made must not depend on it.
func (r *Redis) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), r.operationTime)
}

// try calls send, and again after a small pause when its error is worth it and there is time. What send sends must
// be safe to repeat: an error does not say that the server has not run it.
func (r *Redis) try(ctx context.Context, what string, send func() error) error {
	for tries := 1; ; tries++ {
		err := send()
		if err == nil {
			return nil
		}
		again := r.worthRetrying(err)
		if again {
			r.nodes.refresh(ctx) // whatever it is, a failover may be behind it
		}
		if tries == maxTries || !again || !pause(ctx, tries) {
			return fmt.Errorf("pushstore: redis %s: %w", what, err)
		}
	}
}

// pause waits a little, longer after the second try, and reports whether there is still time.
func pause(ctx context.Context, tries int) bool {
	t := time.NewTimer(time.Duration(tries) * (5*time.Millisecond + rand.N(10*time.Millisecond)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// worthRetrying reports whether another try may fare better: the network, or a server that is starting, failing over
// or moving slots. An error of any other kind would be the same again.
func (r *Redis) worthRetrying(err error) bool {
	switch {
	case errors.Is(err, errUnreadable):
		return false
	case errors.Is(err, redis.ErrClosed):
		return r.nodes.cluster != nil // a node that has left the cluster
	case errors.Is(err, errShort):
		return true
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return true // dialling, reading, writing, or waiting for a connection
	}
	for _, prefix := range []string{"LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "NOREPLICAS ",
		"UNBLOCKED ", "max number of clients reached"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	// A redirection that could not be followed now.
	return r.nodes.cluster != nil && (redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK "))
}
