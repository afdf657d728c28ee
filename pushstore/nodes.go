package pushstore

import (
	"context"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// nodes finds the server that has a key, and follows a cluster's redirections. They are followed here and not in
// go-redis, because a WAIT must reach the very connection that has written.
type nodes struct {
	client  redis.UniversalClient
	cluster *redis.ClusterClient // nil: client is one server

	mu     sync.Mutex
	more   map[string]*redis.Client // nodes that a redirection named
	closed bool
}

const (
	maxRedirects = 3  // that one try follows
	maxMore      = 64 // nodes that are only known from redirections
)

func newNodes(client redis.UniversalClient) *nodes {
	cluster, _ := client.(*redis.ClusterClient)
	return &nodes{client: client, cluster: cluster, more: map[string]*redis.Client{}}
}

// of returns the master that has key, as far as is known.
func (n *nodes) of(ctx context.Context, key string) (redis.UniversalClient, error) {
	if n.cluster == nil {
		return n.client, nil
	}
	return n.cluster.MasterForKey(ctx, key)
}

// redirected returns the node to which from sends on with err, and whether it must be told that it was asked for; nil
// when err is no redirection, or not one to follow.
func (n *nodes) redirected(from redis.UniversalClient, err error) (to redis.UniversalClient, asking bool) {
	node, isNode := from.(*redis.Client)
	if n.cluster == nil || !isNode {
		return nil, false
	}
	addr, moved := redis.IsMovedError(err)
	if !moved {
		if addr, asking = redis.IsAskError(err); !asking {
			return nil, false
		}
	}
	if next := n.at(addr, node.Options()); next != nil {
		return next, asking
	}
	return nil, false
}

// at returns a client for the node at addr, with the options of another.
func (n *nodes) at(addr string, like *redis.Options) *redis.Client {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	if host == "" { // "the same as mine"
		host, _, _ = net.SplitHostPort(like.Addr)
	}
	addr = net.JoinHostPort(host, port)
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.more[addr]
	if c == nil && !n.closed && len(n.more) < maxMore {
		o := options()
		o.Addr, o.TLSConfig, o.ReadTimeout = addr, like.TLSConfig, like.ReadTimeout
		o.Username, o.Password, o.CredentialsProviderContext = like.Username, like.Password, like.CredentialsProviderContext
		c = redis.NewClient(&o)
		n.more[addr] = c
	}
	return c
}

// refresh asks a cluster again who has what. go-redis does that in the background, and five times a second at most.
func (n *nodes) refresh(ctx context.Context) {
	if n.cluster != nil {
		n.cluster.ReloadState(ctx)
	}
}

// each calls do for every master, one at a time at most for each.
func (n *nodes) each(ctx context.Context, do func(ctx context.Context, node redis.UniversalClient) error) error {
	if n.cluster == nil {
		return do(ctx, n.client)
	}
	return n.cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return do(ctx, c) })
}

func (n *nodes) close() error {
	n.mu.Lock()
	n.closed = true
	for _, c := range n.more {
		c.Close()
	}
	n.mu.Unlock()
	return n.client.Close()
}
