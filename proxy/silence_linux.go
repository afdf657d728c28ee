package proxy

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT (RFC 5482) on Linux, in milliseconds.
const tcpUserTimeout = 0x12

// endAfterSilence ends a connection on which nothing is acknowledged for that long. TCP itself would go on sending to
// a machine that has vanished for a quarter of an hour, and keep-alive probes begin only when nothing is being sent.
func endAfterSilence(_, _ string, c syscall.RawConn) error {
	// Without it the connection works too.
	_ = c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence/time.Millisecond))
	})
	return nil
}
