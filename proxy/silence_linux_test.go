package proxy

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// An upstream that has vanished is noticed while something is sent to it and while nothing is.
func TestConnectionsToTheUpstreamNoticeItsSilence(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	transport := newTransport(time.Second, nil)
	c, err := transport.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, option := range map[string]struct{ level, option, want int }{
		"TCP_USER_TIMEOUT": {syscall.IPPROTO_TCP, tcpUserTimeout, 30_000},
		"SO_KEEPALIVE":     {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
		"TCP_KEEPINTVL":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15},
		"TCP_KEEPCNT":      {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
	} {
		raw.Control(func(fd uintptr) {
			if got, err := syscall.GetsockoptInt(int(fd), option.level, option.option); got != option.want || err != nil {
				t.Errorf("%s: %d %v, want %d", name, got, err, option.want)
			}
		})
	}
	if transport.MaxIdleConnsPerHost < forwardSlots || transport.Proxy != nil || !transport.DisableCompression || transport.ResponseHeaderTimeout != time.Second {
		t.Error("the pool is smaller than what is in use, or something in between")
	}
}
