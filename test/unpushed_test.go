package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore/storetest"
	"pargate/test/count"
	"pargate/test/harness"
	"pargate/test/upstream"
	"pargate/test/upstream/reading"
)

// TestNothingUnpushedIsTakenForAnAuthorizationRequest sends requests that nobody has pushed in every spelling of paths,
// names, bodies and headers. The upstream reads each as servers of four kinds would, and none of them begins an
// authorization.
func TestNothingUnpushedIsTakenForAnAuthorizationRequest(t *testing.T) {
	t.Parallel()
	required := func(o *proxy.Options) { o.PARRequired = true }
	for _, c := range []struct {
		name   string
		full   int
		setup  func(*testing.T) harness.Setup
		client string // that must push; empty: every one
	}{
		{name: "required of everybody", full: 100_000, setup: func(*testing.T) harness.Setup { return harness.Setup{Options: required} }},
		{name: "the store is dead", full: 20_000, setup: func(t *testing.T) harness.Setup {
			server := storetest.StartRedis(t)
			store := replicaStore(t, server)
			server.Stop()
			return harness.Setup{Options: required, Store: store, Unknown: true}
		}},
		{name: "before the endpoints are known", full: 20_000, setup: func(*testing.T) harness.Setup {
			return harness.Setup{Options: required, Unknown: true, Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{} }}
		}},
		{name: "required of one client", full: 100_000, client: "strict", setup: func(*testing.T) harness.Setup {
			return harness.Setup{Clients: `[
				{"client_id": "strict", "client_secret": "s", "require_pushed_authorization_requests": true},
				{"client_id": "web", "client_secret": "s3cret"}]`}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			setup := c.setup(t)
			j := startJudge(t, setup.Upstream == nil, c.client)
			g := harness.InFrontOf(t, j.public, j.url, setup)
			if setup.Upstream == nil && setup.Unknown {
				harness.WaitFor(t, "the endpoints", func() bool { return g.Server.Ready(t.Context())["upstream"] == "" })
			}
			sendUnpushed(t, j, count.Of(c.full))
		})
	}
}

// judge is an upstream that reads what it gets as all servers do.
type judge struct {
	url    string
	public net.Listener // the gateway's
	client string       // that must push; empty: every one
	known  bool         // it publishes metadata

	reached  atomic.Int64
	mu       sync.Mutex
	taken    map[string]int    // by server
	examples map[string]string // likewise, the first
}

func startJudge(t *testing.T, known bool, client string) *judge {
	t.Helper()
	j := &judge{public: listen(t), known: known, client: client, taken: map[string]int{}, examples: map[string]string{}}
	server := httptest.NewUnstartedServer(j)
	server.Config.MaxHeaderBytes, server.Config.DisableGeneralOptionsHandler = 1<<20, true
	server.Start()
	t.Cleanup(server.Close)
	j.url = server.URL
	return j
}

// ServeHTTP implements http.Handler.
func (j *judge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI == oidcPath && j.known {
		origin := "http://" + j.public.Addr().String()
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`, origin, origin+reading.Endpoint, origin+"/token")
		return
	}
	if strings.Contains(r.RequestURI, "/.well-known/") {
		http.NotFound(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	j.reached.Add(1)
	seen := upstream.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: string(body)}
	for _, s := range reading.Servers() {
		if j.mustHavePushed(s, seen) {
			j.mu.Lock()
			if j.taken[s.Name]++; j.taken[s.Name] <= 5 {
				j.examples[s.Name] += fmt.Sprintf("\n  %s %s\n    %v\n    %q", seen.Method, seen.Target, seen.Header, clipped(seen.Body))
			}
			j.mu.Unlock()
		}
	}
	io.WriteString(w, "ok")
}

// mustHavePushed reports whether the server would begin an authorization for a client that must push.
func (j *judge) mustHavePushed(s reading.Server, r upstream.Request) bool {
	clients, taken := s.Takes(r)
	if !taken || j.client == "" {
		return taken
	}
	for _, id := range clients {
		if strings.EqualFold(strings.TrimSpace(id), j.client) {
			return true
		}
	}
	return false
}

func clipped(s string) string { return s[:min(len(s), 300)] }

// sendUnpushed sends n requests, and wants none to be taken, and many to be such as would have been.
func sendUnpushed(t *testing.T, j *judge, n int) {
	t.Helper()
	client := "web"
	if j.client != "" {
		client = j.client
	}
	seed := rand.Uint64()
	host := j.public.Addr().String()
	var next atomic.Int64
	var wg sync.WaitGroup
	dangerous := sync.Map{} // by server, how many would have been taken without a gateway
	for range 4 {
		wg.Go(func() {
			c := &rawClient{addr: host}
			defer c.close()
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				raw := newUnpushedRequest(seed, uint64(i), host, client).raw()
				for _, s := range reading.Servers() {
					if r, ok := parseRaw(raw); ok && j.mustHavePushed(s, r) {
						counter, _ := dangerous.LoadOrStore(s.Name, new(atomic.Int64))
						counter.(*atomic.Int64).Add(1)
					}
				}
				if err := c.send(raw); err != nil {
					t.Errorf("seed %d, request %d: %v\n%q", seed, i, err, raw)
					return
				}
			}
		})
	}
	wg.Wait()
	var shares []string
	for _, s := range reading.Servers() {
		counter, ok := dangerous.Load(s.Name)
		if !ok || counter.(*atomic.Int64).Load() < int64(n)/20 {
			t.Errorf("too few requests are such as a %s server takes", s.Name)
			continue
		}
		shares = append(shares, fmt.Sprintf("%s %d", s.Name, counter.(*atomic.Int64).Load()))
		if j.taken[s.Name] > 0 {
			t.Errorf("seed %d: a %s server takes %d of %d requests:%s", seed, s.Name, j.taken[s.Name], n, j.examples[s.Name])
		}
	}
	t.Logf("%d requests, %d reached the upstream; taken without a gateway: %s", n, j.reached.Load(), strings.Join(shares, ", "))
}

// parseRaw is a request as a server without a gateway in front would have it.
func parseRaw(raw []byte) (upstream.Request, bool) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return upstream.Request{}, false
	}
	body, _ := io.ReadAll(r.Body)
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = r.URL.RequestURI()
	}
	return upstream.Request{Method: r.Method, Target: target, Header: r.Header, Body: string(body)}, true
}

// rawClient sends what it is given over a connection that it keeps as long as it lasts.
type rawClient struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func (c *rawClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// send sends a request and reads the response, of which only that there is one matters. A connection that the server
// has closed since the last response is replaced once.
func (c *rawClient) send(raw []byte) error {
	for fresh := false; ; {
		if c.conn == nil {
			conn, err := net.Dial("tcp", c.addr)
			if err != nil {
				return err
			}
			c.conn, c.in, fresh = conn, bufio.NewReader(conn), true
		}
		c.conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, err := c.conn.Write(raw)
		var res *http.Response
		if err == nil {
			method, _, _ := bytes.Cut(raw, []byte(" "))
			if res, err = http.ReadResponse(c.in, &http.Request{Method: string(method)}); err == nil {
				_, err = io.Copy(io.Discard, res.Body)
			}
		}
		if err == nil && !res.Close {
			return nil
		}
		c.close()
		if err == nil || fresh {
			return err
		}
	}
}
