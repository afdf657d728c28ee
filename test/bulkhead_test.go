package test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// soon is how long an answer may take here that waits for nothing: the machine has other things to do. What waits for a
// stalled upstream takes thirty seconds, or is refused.
const soon = 5 * time.Second

// stalling is a path of the stand-in that answers when it is told to.
type stalling struct {
	waiting, most atomic.Int64
	released      chan struct{}
	release       func()
}

func newStalling(t *testing.T) *stalling {
	s := &stalling{released: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.released) })
	t.Cleanup(s.release)
	return s
}

func (s *stalling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.waiting.Add(1)
	defer s.waiting.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	select {
	case <-s.released:
	case <-r.Context().Done():
	}
	io.WriteString(w, "at last")
}

// While every request that is passed through waits for an upstream that has stalled, the push answers as ever, for
// clients in the file and for those about whom the upstream is asked; and what finds no slot is told so soon.
func TestAStalledUpstreamTakesNothingElseWithIt(t *testing.T) {
	t.Parallel()
	stall := newStalling(t)
	known := upstreamThatKnows("theirs", "th3irs")
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/stalled"] = stall.ServeHTTP
			r.Handlers["/token"] = known
		},
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	t.Cleanup(client.CloseIdleConnections)
	const many = 700
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var sent sync.WaitGroup
	var busy, served, other atomic.Int64
	for range many {
		sent.Go(func() {
			res, err := client.Get(g.URL + "/stalled")
			if err != nil {
				other.Add(1)
				return
			}
			defer res.Body.Close()
			io.Copy(io.Discard, res.Body)
			switch {
			case res.StatusCode == 200:
				served.Add(1)
			case res.StatusCode == 503 && res.Header.Get("Retry-After") != "":
				busy.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); busy.Load() < many-256; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d are told that the upstream is busy", busy.Load(), many-256)
		}
	}
	var during runtime.MemStats
	runtime.ReadMemStats(&during)
	if stall.most.Load() != 256 || stall.waiting.Load() != 256 {
		t.Errorf("%d waited at the upstream at once, and %d wait now", stall.most.Load(), stall.waiting.Load())
	}
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 200<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	for i := range 20 {
		for name, push := range map[string]func() int{
			"a client of the file": func() int { return pushOf(t, g, harness.Form().Encode(), asWeb).Status },
			"a client of the upstream's": func() int {
				return pushOf(t, g, harness.Form("client_id", "theirs").Encode(), basic("theirs", "th3irs")).Status
			},
		} {
			began := time.Now()
			if status := push(); status != 201 || time.Since(began) > soon {
				t.Errorf("push %d of %s: %d after %v", i, name, status, time.Since(began))
			}
		}
	}
	stall.release()
	sent.Wait()
	if served.Load() != 256 || other.Load() != 0 {
		t.Errorf("%d served, %d refused, %d something else", served.Load(), busy.Load(), other.Load())
	}
	if res := harness.NewBrowser(g.URL).Get(t, "/page"); res.Status != 200 {
		t.Errorf("afterwards: %d", res.Status)
	}
}

// upstreamThatKnows answers at the token endpoint as most servers do: right credentials fail for their code alone.
func upstreamThatKnows(id, secret string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		user, password, ok := r.BasicAuth()
		if !ok {
			user, password = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		if user == id && password == secret {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client"}`)
	}
}

// A thousand pushes of clients about whom a stalled upstream is asked are answered, and reach it a few at a time.
func TestQuestionsAboutClientsAreBounded(t *testing.T) {
	t.Parallel()
	stall := newStalling(t)
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) {
			o.Delegation, o.TrustedProxies = proxy.DelegateOthers, append(o.TrustedProxies, loopback)
		},
		Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = stall.ServeHTTP },
	})
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	var sent sync.WaitGroup
	began := time.Now()
	for i := range 500 {
		sent.Go(func() {
			id := fmt.Sprintf("client-%d", i)
			req, _ := http.NewRequest("POST", g.URL+"/par", strings.NewReader(harness.Form("client_id", id).Encode()))
			asForm(req)
			req.SetBasicAuth(id, "secret")
			req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", i/250, i%250))
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
				t.Errorf("%d", res.StatusCode)
			}
		})
	}
	harness.WaitFor(t, "the questions", func() bool { return stall.waiting.Load() >= 64 })
	ours := time.Now()
	if res := pushOf(t, g, harness.Form().Encode(), asWeb); res.Status != 201 || time.Since(ours) > soon {
		t.Errorf("meanwhile a client of the file: %d after %v", res.Status, time.Since(ours))
	}
	page := time.Now()
	if res := harness.NewBrowser(g.URL).Get(t, "/page"); res.Status != 200 || time.Since(page) > soon {
		t.Errorf("meanwhile a page: %d after %v", res.Status, time.Since(page))
	}
	sent.Wait()
	if took := time.Since(began); took > 60*time.Second || stall.most.Load() > 2*64 { // the next may come before the upstream has seen that the last have gone

		t.Errorf("after %v, and %d at once", took, stall.most.Load())
	}
}

// Those who send their bodies slowly do not stand in the way of those who have sent theirs.
func TestSlowBodiesTakeNoPlaceAtTheUpstream(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.BodyTimeout = time.Minute }})
	for _, head := range []string{"Content-Length: 100", "Transfer-Encoding: chunked", "Content-Length: 1000000"} {
		for range 300 {
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+head+"\r\n\r\n")
		}
	}
	for i := range 20 {
		began := time.Now()
		if res := harness.NewBrowser(g.URL).Post(t, "/token", "grant_type=x"); res.Status != 200 || time.Since(began) > soon {
			t.Errorf("%d: %d after %v", i, res.Status, time.Since(began))
		}
	}
}

// One network that uploads slowly has a quarter of the places for uploads, and another network finds one.
func TestOneNetworkDoesNotTakeAllPlacesForUploads(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.TrustedProxies = append(o.TrustedProxies, loopback) }})
	const many, share = 40, 16
	refused := make(chan string, many)
	for i := range many {
		d := dialogWith(t, g)
		fmt.Fprintf(d, "POST /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.%d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", i)
		go func() {
			line, _ := d.ReadString('\n')
			refused <- line
		}()
	}
	for range many - share {
		if line := <-refused; !strings.HasPrefix(line, "HTTP/1.1 503 ") {
			t.Errorf("%q", line)
		}
	}
	res := harness.NewBrowser(g.URL).Do(t, "POST", "/page", chunked{strings.NewReader("hello")}, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.1") })
	if res.Status != 200 {
		t.Errorf("an upload of another network: %d", res.Status)
	}
	if len(refused) > 0 {
		t.Errorf("%d more uploads of the first network have ended", len(refused))
	}
}

// A long body that stops is the client's fault, one that is not taken the upstream's.
func TestALongBodyThatDoesNotGoOnIsBlamedOnWhoStopped(t *testing.T) {
	t.Parallel()
	t.Run("the upstream takes nothing", func(t *testing.T) {
		t.Parallel()
		g := inFrontOfTCP(t, func(c net.Conn) {
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			<-t.Context().Done()
		}, func(o *proxy.Options) { o.UpstreamTimeout = 500 * time.Millisecond })
		began := time.Now()
		body := io.LimitReader(endless{}, 64<<20)
		res := harness.NewBrowser(g.URL).Do(t, "POST", "/page", body)
		if took := time.Since(began); res.Status != 504 || took > 5*time.Second {
			t.Errorf("%d after %v", res.Status, took)
		}
	})
	t.Run("the client breaks off", func(t *testing.T) {
		t.Parallel()
		g := harness.Start(t, harness.Setup{})
		d := dialogWith(t, g)
		io.WriteString(d, "POST /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n")
		if line, err := d.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400 ") {
			t.Errorf("%q %v", line, err)
		}
	})
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// The time that a body has to arrive is no limit on the answer to it.
func TestALateAnswerToAFormArrives(t *testing.T) {
	t.Parallel()
	late := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(600 * time.Millisecond):
			io.WriteString(w, "late")
		case <-r.Context().Done():
		}
	}
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.BodyTimeout = 200 * time.Millisecond },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/authorize/login"], r.Handlers["/token"] = late, late
		},
	})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	for _, path := range []string{"/authorize/login", "/token"} {
		for name, body := range map[string]io.Reader{"with its length": strings.NewReader("username=u"), "in chunks": chunked{strings.NewReader("username=u")},
			"a long one": bytes.NewReader(append([]byte("a="), bytes.Repeat([]byte("x"), 200<<10)...))} {
			if res := b.Do(t, "POST", path, body, asForm); res.Status != 200 || res.Body != "late" {
				t.Errorf("%s, %s: %d %s", path, name, res.Status, res.Body)
			}
		}
	}
}
