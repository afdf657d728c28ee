package pushstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// sentinels know where the master is. They are asked for every new connection, all at once, and the first to answer
// is believed: one that hangs holds nobody up, and nothing has to be kept in step with them. An answer may be stale
// for a moment, so a connection counts only when the server at its end says that it is the master.
//
// No subscription tells of a failover. It is not needed: Sentinel cuts the connections to a master that it demotes, and
// those to one that is gone fail by themselves.
type sentinels struct {
	master  string
	options []redis.Options // one for each
	tls     *tls.Config

	asking singleflight.Group // many connections are opened at once after a failover
}

// errNoMaster means that no Sentinel knows the master.
var errNoMaster = errors.New("no Sentinel knows a master of this name")

// errNotMaster means that the server is a replica: a Sentinel was not up to date.
var errNotMaster = errors.New("the server that the Sentinels name is not a master")

func sentinelOptions(a address) []redis.Options {
	var all []redis.Options
	for _, host := range a.hosts {
		o := options()
		o.Addr, o.TLSConfig = host, a.tls
		o.Username, o.Password = a.sentinel.name, a.sentinel.password
		o.PoolSize = 1
		all = append(all, o)
	}
	return all
}

// dial connects to the master. It is the dialler of a client.
func (s *sentinels) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	addr, err, _ := s.asking.Do("", func() (any, error) { return s.ask() })
	if err != nil {
		return nil, fmt.Errorf("asking the Sentinels: %w", err)
	}
	return dialTCP(ctx, addr.(string), s.tls)
}

// ask returns the master's address from the Sentinel that answers first. It has its own deadline: its answer is for
// all who wait for it.
func (s *sentinels) ask() (string, error) {
	type answer struct {
		addr string
		err  error
	}
	ctx, cancel := context.WithTimeout(context.Background(), options().DialTimeout)
	defer cancel()
	answers := make(chan answer, len(s.options))
	for _, o := range s.options {
		go func() {
			addr, err := askSentinel(ctx, o, s.master)
			answers <- answer{addr, err}
		}()
	}
	var errs []error
	for range s.options {
		a := <-answers
		if a.err == nil {
			return a.addr, nil
		}
		errs = append(errs, a.err)
	}
	return "", errors.Join(errs...)
}

func askSentinel(ctx context.Context, o redis.Options, master string) (string, error) {
	c := redis.NewSentinelClient(&o)
	defer c.Close()
	addr, err := c.GetMasterAddrByName(ctx, master).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("%s: %w", o.Addr, errNoMaster)
	case err != nil:
		return "", fmt.Errorf("%s: %w", o.Addr, err)
	case len(addr) != 2:
		return "", fmt.Errorf("%s: %w", o.Addr, errUnreadable)
	}
	return net.JoinHostPort(addr[0], addr[1]), nil
}

// onlyMaster refuses a new connection to a replica.
func onlyMaster(ctx context.Context, c *redis.Conn) error {
	role, err := c.Do(ctx, "role").Slice()
	if err != nil {
		return err
	}
	if len(role) == 0 || role[0] != "master" {
		return errNotMaster
	}
	return nil
}
