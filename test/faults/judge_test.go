package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// issuer is the public address of the gateways, which only a balancer that ends TLS would have.
const issuer = "https://id.example"

// judge is the authorization server. It notes which browser has come with which request: a request is known by its
// state, a browser by a cookie of the judge's own.
type judge struct {
	url string

	mu       sync.Mutex
	openedBy map[string]string // browser by state
	doubles  []string          // states that a second browser has come with

	unpushed atomic.Int64 // authorization requests that nobody has pushed
	stalled  atomic.Bool  // the authorization endpoint answers nothing
	waiting  atomic.Int64 // for it
	released chan struct{}
}

// unpushedState begins the state of every request that is not pushed.
const unpushedState = "unpushed"

func startJudge(t *testing.T) *judge {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{url: "http://" + l.Addr().String(), openedBy: map[string]string{}, released: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", j.metadata)
	mux.HandleFunc("/authorize", j.authorize)
	mux.HandleFunc("/login/done", j.respond)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "page")
	})
	s := &http.Server{Handler: mux}
	go s.Serve(l)
	t.Cleanup(func() {
		close(j.released)
		s.Close()
	})
	return j
}

func (j *judge) metadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`, issuer, issuer+"/authorize", issuer+"/token")
}

// authorize sends the browser to the login.
func (j *judge) authorize(w http.ResponseWriter, r *http.Request) {
	if j.stalled.Load() {
		j.waiting.Add(1)
		defer j.waiting.Add(-1)
		select {
		case <-j.released:
		case <-r.Context().Done():
		}
		return
	}
	state := r.FormValue("state")
	if len(state) >= len(unpushedState) && state[:len(unpushedState)] == unpushedState {
		j.unpushed.Add(1)
	}
	browser := ""
	if c, err := r.Cookie("browser"); err == nil {
		browser = c.Value
	}
	j.note(state, browser)
	w.Header().Set("Location", "/login?id="+url.QueryEscape(state))
	w.WriteHeader(http.StatusFound)
}

func (j *judge) note(state, browser string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, known := j.openedBy[state]
	if known && before != browser {
		j.doubles = append(j.doubles, fmt.Sprintf("%s by %s and %s", state, before, browser))
	}
	j.openedBy[state] = browser
}

// respond sends the authorization response.
func (j *judge) respond(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", redirectURI+"?code=c0de&state="+url.QueryEscape(r.FormValue("id")))
	w.WriteHeader(http.StatusFound)
}

// opened is how many requests some browser has come with.
func (j *judge) opened() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.openedBy)
}

// wantNoDouble fails the test for every request that two browsers have come with.
func (j *judge) wantNoDouble(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, double := range j.doubles {
		if i == 10 {
			break
		}
		t.Errorf("opened twice: %s", double)
	}
	if n := len(j.doubles); n > 0 {
		t.Errorf("%d double openings", n)
	}
	if n := j.unpushed.Load(); n > 0 {
		t.Errorf("%d requests that were not pushed have reached the authorization server", n)
	}
}
