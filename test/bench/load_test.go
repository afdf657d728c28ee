package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// answer is a response; its body is not kept but when wanted.
type answer struct {
	status int
	head   textproto.MIMEHeader
	body   []byte
}

// connection is one to a server, which is kept. It is a client that costs little: what it computes, the servers cannot.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// patience bounds the wait for one answer.
const patience = 20 * time.Second

func dial(addr string) (*connection, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

// send sends a request and reads what comes back to its end; of its head only the status.
func (c *connection) send(request []byte) (status int, err error) {
	length, chunked := 0, false
	if status, err = c.begin(request); err != nil {
		return 0, err
	}
	for {
		line, err := c.in.ReadSlice('\n')
		switch {
		case err != nil:
			return 0, err
		case len(line) <= 2 && chunked:
			return status, c.skipChunks()
		case len(line) <= 2:
			_, err := c.in.Discard(length)
			return status, err
		case hasName(line, "content-length:"):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len("content-length:"):]))); err != nil {
				return 0, err
			}
		case hasName(line, "transfer-encoding:"):
			chunked = true
		case hasName(line, "connection:") && bytes.Contains(bytes.ToLower(line), []byte("close")):
			return 0, errors.New("the server closes the connection")
		}
	}
}

func (c *connection) begin(request []byte) (status int, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, fmt.Errorf("no status line: %q", line)
	}
	return strconv.Atoi(string(line[9:12]))
}

func hasName(line []byte, name string) bool {
	return len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name)
}

func (c *connection) skipChunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := c.in.Discard(int(size) + 2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

// ask is send for an answer that is wanted.
func (c *connection) ask(request []byte) (a answer, err error) {
	if a.status, err = c.begin(request); err != nil {
		return a, err
	}
	if a.head, err = textproto.NewReader(c.in).ReadMIMEHeader(); err != nil {
		return a, err
	}
	length, _ := strconv.Atoi(a.head.Get("Content-Length"))
	if a.head.Get("Transfer-Encoding") != "" {
		return a, c.skipChunks()
	}
	a.body = make([]byte, length)
	_, err = io.ReadFull(c.in, a.body)
	return a, err
}

// load is what came of some requests.
type load struct {
	took  time.Duration
	times []time.Duration // how long each answer took, sorted
}

func (l load) perSecond() float64 { return float64(len(l.times)) / l.took.Seconds() }

// within is the time in which that share of the answers came.
func (l load) within(share float64) time.Duration {
	return l.times[min(len(l.times)-1, int(share*float64(len(l.times))))]
}

// run sends n requests over the connections, each as soon as the one before it on its connection is answered, and wants
// status from all.
func run(connections []*connection, n, want int, request func(i int) []byte) (load, error) {
	var next, failed atomic.Int64
	var failure error
	var mu sync.Mutex
	all := make([][]time.Duration, len(connections))
	var running sync.WaitGroup
	began := time.Now()
	for at, c := range connections {
		running.Go(func() {
			times := make([]time.Duration, 0, n/len(connections)*2)
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == 0; i = int(next.Add(1)) - 1 {
				asked := time.Now()
				status, err := c.send(request(i))
				if err == nil && status != want {
					err = fmt.Errorf("the status is %d, not %d", status, want)
				}
				if err != nil {
					failed.Add(1)
					mu.Lock()
					failure = err
					mu.Unlock()
				}
				times = append(times, time.Since(asked))
			}
			all[at] = times
		})
	}
	running.Wait()
	l := load{took: time.Since(began), times: slices.Concat(all...)}
	slices.Sort(l.times)
	return l, failure
}

// open opens n connections and sends one request over each, so that nothing of that is measured.
func open(addr string, n int) (all []*connection, err error) {
	for range n {
		c, err := dial(addr)
		if err == nil {
			all = append(all, c)
			_, err = c.send(get(addr, "/userinfo"))
		}
		if err != nil {
			closeAll(all)
			return nil, err
		}
	}
	return all, nil
}

func closeAll(all []*connection) {
	for _, c := range all {
		c.Close()
	}
}

// get is a GET with the headers that a browser sends.
func get(addr, target string, headers ...string) []byte {
	return message("GET "+target, addr, "", append([]string{
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate, br",
		"Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site", "Upgrade-Insecure-Requests: 1",
	}, headers...))
}

// post is a POST of a form.
func post(addr, target, form string, headers ...string) []byte {
	return message("POST "+target, addr, form, append([]string{"Content-Type: application/x-www-form-urlencoded",
		"Content-Length: " + strconv.Itoa(len(form)), "Accept: application/json", "User-Agent: client/1.0"}, headers...))
}

func message(start, addr, body string, headers []string) []byte {
	return []byte(start + " HTTP/1.1\r\nHost: " + addr + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body)
}
