package test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestAStalledBodyDoesNotHoldARefusedConnection(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.BodyTimeout = 100 * time.Millisecond },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		},
	})
	for _, head := range []string{"HEAD /authorize", "GET /.well-known/openid-configuration", "PUT /par"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, head+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: %v", head, err)
		}
		c.Close()
	}
}

func TestABodyThatDoesNotArriveIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.BodyTimeout = 100 * time.Millisecond }})
	for _, head := range []string{"POST /par HTTP/1.1", "PUT /par HTTP/1.1", "POST /authorize HTTP/1.1", "GET /.well-known/openid-configuration HTTP/1.1", "HEAD /authorize HTTP/1.1", "POST /page?request_uri=urn:ietf:params:oauth:request_uri:x HTTP/1.1"} {
		t.Run(head, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(c, head+"\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nclient_id=")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Error("it waits for ever")
				}
			}
		})
	}
}
