package pushstore

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// DialPatiently is DialRedis with a client that reads for longer, for a busy machine; the time of an operation is
// bounded all the same.
func DialPatiently(c RedisConfig) (redis.UniversalClient, error) {
	a, err := c.parse()
	if err != nil {
		return nil, err
	}
	o := options()
	o.ReadTimeout = 5 * time.Second
	return a.dial(o), nil
}

// Patiently makes r wait longer for everything, for a busy machine.
func (r *Redis) Patiently() *Redis {
	r.operationTime, r.waitTime = 30*time.Second, 4*time.Second
	return r
}

// Impatiently takes Patiently back.
func (r *Redis) Impatiently() *Redis {
	r.operationTime, r.waitTime = operationTime, waitTime
	return r
}

// WaitFor makes r wait for n replicas.
func (r *Redis) WaitFor(n int) *Redis {
	r.wait = n
	return r
}

// Understood is a configuration as it is understood.
type Understood struct {
	Mode                           RedisMode
	Hosts                          []string
	Master                         string
	DB                             int
	User, Password                 string
	SentinelUser, SentinelPassword string
	TLSName                        string // empty: no TLS
}

// Understand returns what c means.
func Understand(c RedisConfig) (Understood, error) {
	a, err := c.parse()
	u := Understood{a.mode, a.hosts, a.master, a.db, a.user.name, a.user.password, a.sentinel.name, a.sentinel.password, ""}
	if a.tls != nil {
		u.TLSName = a.tls.ServerName
	}
	return u, err
}

// AdviceFor is what an operator is told about an error.
func AdviceFor(err error) string { return adviceFor(err) }

// Bytes is what the store counts as kept.
func (m *Memory) Bytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes
}
