package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"pargate/test/harness"
)

// browserHead is a head as a browser sends it.
var browserHead = "GET /page?ui_locales=en HTTP/1.1\r\nHost: login.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://app.example/start\r\nCookie: session=" + strings.Repeat("a1B2", 64) + "\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-Site: cross-site\r\nConnection: keep-alive\r\n\r\n"

func BenchmarkFramingOfAHead(b *testing.B) {
	head := []byte(browserHead)
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	var s framingScanner
	for b.Loop() {
		if _, err := s.scan(head); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPassThrough says what a request that passes costs, in CPU of the whole process (the client and the upstream
// are in it), with and without what looks at its framing and what gives its response a deadline. direct is the same
// without a gateway: the gateway's own cost is what a row has more.
func BenchmarkPassThrough(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		body := strings.Repeat("x", size)
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, ".well-known") {
				http.NotFound(w, r)
				return
			}
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", fmt.Sprint(size))
			io.WriteString(w, body)
		}))
		b.Cleanup(up.Close)
		cfg := load(b, "UPSTREAM_URL="+up.URL, "PUBLIC_URL=https://login.example", "AUTHORIZE_PATH=/authorize", "TOKEN_PATH=/token")
		g, err := build(cfg, zap.NewNop())
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan struct{})
		go func() {
			g.server.Run(ctx)
			close(ended)
		}()
		b.Cleanup(func() {
			cancel()
			<-ended
			g.server.Close()
			g.server.Store.Close()
		})
		harness.WaitFor(b, "the upstream", func() bool { return g.server.Ready(ctx) == nil })
		without := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.server.ServeHTTP(noDeadlines{w}, r) })
		for _, row := range []struct {
			name    string
			handler http.Handler
			framed  bool
		}{{"both", g.server, true}, {"unframed", g.server, false}, {"nodeadlines", without, true}, {"neither", without, false}, {"direct", nil, false}} {
			b.Run(fmt.Sprintf("%s/%dKiB", row.name, size>>10), func(b *testing.B) {
				address := strings.TrimPrefix(up.URL, "http://")
				if row.handler != nil {
					address = serveBench(b, row.handler, row.framed)
				}
				sendOver(b, address, size)
			})
		}
	}
}

// noDeadlines is a response writer on which no deadline can be set.
type noDeadlines struct{ http.ResponseWriter }

// FlushError is what http.ResponseController flushes with.
func (w noDeadlines) FlushError() error { return http.NewResponseController(w.ResponseWriter).Flush() }

func serveBench(b *testing.B, h http.Handler, looksAtFraming bool) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := newHTTPServer(h, zap.NewNop())
	var open net.Listener = listener
	if looksAtFraming {
		open = plain{listener}
	}
	go s.Serve(open)
	b.Cleanup(func() { s.Close() })
	return listener.Addr().String()
}

// sendOver sends a browser's request over and over on one connection, with as little work as can be.
func sendOver(b *testing.B, address string, size int) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request, answer := []byte(browserHead), make([]byte, 256<<10)
	before := cpuTime(b)
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		for left, head := size, true; left > 0; {
			n, err := c.Read(answer)
			if err != nil {
				b.Fatal(err)
			}
			if head {
				_, body, whole := strings.Cut(string(answer[:n]), "\r\n\r\n")
				if !whole || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
					b.Fatalf("%q", answer[:n])
				}
				left, head = left-len(body), false
				continue
			}
			left -= n
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is the CPU time that this process has used, of user and system.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
