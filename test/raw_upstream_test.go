package test

import (
	"net"
	"testing"

	"pargate/test/harness"
)

// inFrontOfRaw starts a gateway in front of an upstream that is no HTTP server, but serve, called for each connection.
func inFrontOfRaw(t *testing.T, serve func(net.Conn)) *harness.Gateway {
	t.Helper()
	listener := listen(t)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return harness.InFrontOf(t, listen(t), "http://"+listener.Addr().String(), harness.Setup{Unknown: true})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
