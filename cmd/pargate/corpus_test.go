package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// rawRequest is one of the corpus. Its target is marked with its number, and what it tries to smuggle as well.
type rawRequest struct {
	name, sent string
}

// corpus combines ways to frame a body, with methods, targets and further fields.
func corpus() (all []rawRequest) {
	hidden := func(n int) string { return fmt.Sprintf("GET /smuggled-%d HTTP/1.1\r\nHost: x\r\n\r\n", n) }
	chunks := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
	framings := []struct {
		name   string
		fields func(hidden string) string
		body   func(hidden string) string
	}{
		{"a length", func(h string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(h)) }, func(h string) string { return h }},
		{"chunks", func(string) string { return "Transfer-Encoding: chunked\r\n" }, chunks},
		{"chunks with an extension", func(string) string { return "Transfer-Encoding: chunked\r\n" }, func(h string) string { return fmt.Sprintf("%x;a=b\r\n%s\r\n0\r\nX: y\r\n\r\n", len(h), h) }},
		{"both, the length is right", func(h string) string {
			return fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(chunks(h)))
		}, chunks},
		{"both, no chunk", func(h string) string {
			return fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", 5+len(h))
		}, func(h string) string { return "0\r\n\r\n" + h }},
		{"two lengths", func(h string) string { return fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n", len(h)) }, func(h string) string { return h }},
		{"a list of lengths", func(h string) string { return fmt.Sprintf("Content-Length: %d, %[1]d\r\n", len(h)) }, func(h string) string { return h }},
		{"a length with a sign", func(h string) string { return fmt.Sprintf("Content-Length: +%d\r\n", len(h)) }, func(h string) string { return h }},
		{"a blank before the colon", func(h string) string { return fmt.Sprintf("Content-Length : %d\r\n", len(h)) }, func(h string) string { return h }},
		{"a coding with a tab", func(h string) string { return "Transfer-Encoding:\tchunked\r\n" }, chunks},
		{"two codings", func(h string) string { return "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" }, chunks},
		{"an unknown coding", func(h string) string { return "Transfer-Encoding: xchunked\r\n" }, chunks},
		{"a folded coding", func(h string) string { return "Transfer-Encoding:\r\n chunked\r\n" }, chunks},
		{"a size that ends with LF", func(h string) string { return "Transfer-Encoding: chunked\r\n" }, func(h string) string { return fmt.Sprintf("%x\n%s\r\n0\r\n\r\n", len(h), h) }},
		{"a size with 0x", func(h string) string { return "Transfer-Encoding: chunked\r\n" }, func(h string) string { return "0x0\r\n\r\n" + h }},
		{"no body", func(string) string { return "" }, func(string) string { return "" }},
	}
	for _, f := range framings {
		for _, method := range []string{"GET", "POST", "PUT", "HEAD"} {
			for _, target := range []string{"/odd-%d", "//odd-%d/../x", "/authorize?odd=%d&client_id=web"} {
				for _, field := range []string{"", "Expect: 100-continue\r\n", "Connection: keep-alive, Content-Length\r\n", "Upgrade: h2c\r\nConnection: Upgrade\r\n"} {
					n := len(all)
					h := hidden(n)
					all = append(all, rawRequest{fmt.Sprintf("%s %s, %s, %q", method, target, f.name, field),
						method + " " + fmt.Sprintf(target, n) + " HTTP/1.1\r\nHost: x\r\n" + field + f.fields(h) + "\r\n" + f.body(h)})
				}
			}
		}
	}
	return all
}

// front is a proxy that shares a few connections to the gateway among everybody. Of its settings %[1]s is its own address
// and %[2]s the gateway's.
type front struct {
	program  string
	args     []string // before the file with its settings
	settings string
}

// haproxy refuses what is no HTTP. Told not to (accept-invalid-http-request) it would take a length with a blank before its
// colon for a field without a meaning, and the body for a request, which it would log as one: nothing is smuggled then either.
var haproxy = front{"haproxy", []string{"-db", "-f"}, `
defaults
	mode http
	timeout connect 2s
	timeout client 3s
	timeout server 10s
	timeout http-request 2s
	http-reuse always
	retries 0
listen front
	bind %[1]s
	option http-keep-alive
	server gateway %[2]s maxconn 8
`}

var nginx = front{"nginx", []string{"-e", "stderr", "-p", "./", "-c"}, `
daemon off;
master_process off;
error_log stderr crit;
pid nginx.pid;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	client_header_timeout 2s;
	client_body_timeout 2s;
	proxy_read_timeout 10s;
	upstream gateway {
		server %[2]s max_fails=0;
		keepalive 8;
	}
	server {
		listen %[1]s;
		location / {
			proxy_pass http://gateway;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host x;
			proxy_request_buffering off;
			proxy_next_upstream off;
		}
	}
}
`}

// TestNothingIsSmuggled sends the corpus to the gateway, by itself and behind proxies, which share a few connections among
// everybody. A marked request follows each on the same connection, if that lives, and on another one. Every request
// reaches the upstream once at most, under the name under which it was sent, and what stands in a body never does.
func TestNothingIsSmuggled(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name  string
		front *front
	}{{"alone", nil}, {"behind HAProxy", &haproxy}, {"behind nginx", &nginx}} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			up := upstream.New(t)
			s := serveInside(t, "UPSTREAM_URL="+up.URL, "PUBLIC_URL=http://127.0.0.1:1")
			up.SetIssuer("http://127.0.0.1:1")
			harness.WaitFor(t, "readiness", func() bool { return s.gateway.server.Ready(t.Context()) == nil })
			address := s.listeners[0].Addr().String()
			if way.front != nil {
				address = way.front.start(t, address)
			}
			sendCorpus(t, address, up)
		})
	}
}

func sendCorpus(t *testing.T, address string, up *upstream.Recorder) {
	all := corpus()
	if len(all) < 200 {
		t.Fatalf("only %d requests", len(all))
	}
	var next, passed, kept atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				ok, alive := sendOdd(t, address, i, all[i])
				if ok {
					passed.Add(1)
				}
				if alive {
					kept.Add(1)
				}
				sendMarked(t, address, fmt.Sprintf("/other-%d", i), all[i].name)
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, r := range up.Requests() {
		seen[r.Target]++
		if strings.HasPrefix(r.Target, "/smuggled") || seen[r.Target] > 1 {
			t.Errorf("the upstream got %s %s, %d times", r.Method, r.Target, seen[r.Target])
		}
	}
	for i, r := range all {
		if path := fmt.Sprintf("/other-%d", i); seen[path] != 1 {
			t.Errorf("%s: the one behind it on another connection came %d times", r.name, seen[path])
		}
	}
	if passed.Load() < 50 || kept.Load() < 50 {
		t.Errorf("only %d requests were answered with 200, and %d connections lived on", passed.Load(), kept.Load())
	}
	t.Logf("%d requests: %d were answered with 200, behind %d the connection lived on; the upstream got %d", len(all), passed.Load(), kept.Load(), len(seen))
}

// sendOdd sends a request of the corpus, and a marked one behind it when the connection lives on.
func sendOdd(t *testing.T, address string, i int, r rawRequest) (passed, alive bool) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("%s: %v", r.name, err)
		return false, false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second)) // some bodies never end
	method, _, _ := strings.Cut(r.sent, " ")
	io.WriteString(c, r.sent)
	reader := bufio.NewReader(c)
	var answers []int
	marked := false
	for {
		ask := &http.Request{Method: method}
		if marked && len(answers) > 0 {
			ask.Method = http.MethodGet
		}
		res, err := http.ReadResponse(reader, ask)
		if err != nil {
			break
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode == http.StatusContinue {
			continue
		}
		answers = append(answers, res.StatusCode)
		passed = passed || len(answers) == 1 && res.StatusCode == 200
		alive = alive || strings.Contains(string(body), fmt.Sprintf("/marked-%d", i))
		if res.Close {
			break
		}
		if strings.Contains(string(body), "/other-") || strings.Contains(string(body), "/marked-") && !strings.Contains(string(body), fmt.Sprintf("/marked-%d", i)) {
			t.Errorf("%s: it got the answer to another one: %q", r.name, body)
		}
		if alive {
			break
		}
		if !marked {
			marked = true
			fmt.Fprintf(c, "GET /marked-%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		}
	}
	return passed, alive
}

// sendMarked sends a request of its own, which must be answered as what it is.
func sendMarked(t *testing.T, address, path, behind string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("behind %s: %v", behind, err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("behind %s: %v", behind, err)
		return
	}
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(body) != "GET "+path {
		t.Errorf("behind %s: %d %q", behind, res.StatusCode, body)
	}
}

// start starts the proxy in front of the gateway and returns its address.
func (f front) start(t *testing.T, gateway string) (address string) {
	t.Helper()
	program := harness.Program(t, f.program)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "settings")
	if err := os.WriteFile(file, fmt.Appendf(nil, f.settings, address, gateway), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(f.args, file)...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	harness.WaitFor(t, f.program, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}
