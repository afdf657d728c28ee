package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// A push that was taken before the stop is stored and answered during it: the store closes last.
func TestAPushInFlightIsStoredWhileStopping(t *testing.T) {
	t.Parallel()
	arrived, released := make(chan struct{}, 8), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Handlers["/token"] = func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-released
			w.Header().Set("Content-Type", "application/json")
			if user, password, _ := r.BasicAuth(); user == "theirs" && password == "th3irs" {
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"error":"invalid_grant"}`)
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"invalid_client"}`)
		}
	})
	s := start(t, "UPSTREAM_URL="+up.URL, "REDIS_URL="+storetest.StartRedis(t).URL())
	up.SetIssuer(s.public)
	s.waitReady(t)
	status := make(chan int, 1)
	go func() {
		status <- harness.NewBrowser(s.public).Post(t, "/par", harness.Form("client_id", "theirs").Encode(), func(r *http.Request) { r.SetBasicAuth("theirs", "th3irs") }).Status
	}()
	<-arrived
	s.stop(nil)
	harness.WaitFor(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.public, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if status, _ := getText(t, s.admin+"/livez"); status != 200 {
		t.Errorf("livez meanwhile: %d", status)
	}
	release()
	if got := <-status; got != 201 {
		t.Errorf("the push: %d", got)
	}
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

// A connection of HTTP/2 is told to go elsewhere while its streams end.
func TestHTTP2IsSentElsewhereWhileStopping(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	arrived, released := make(chan struct{}), make(chan struct{})
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Handlers["/slow"] = func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-released
			io.WriteString(w, "done")
		}
	})
	s := start(t, append(environ, "UPSTREAM_URL="+up.URL, "SHUTDOWN_DELAY=1s")...)
	public := strings.Replace(s.public, "http://", "https://", 1)
	up.SetIssuer(public)
	s.waitReady(t)
	var dialled atomic.Int64
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: transport}
	get := func(path string) string {
		res, err := client.Get(public + path)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return fmt.Sprint(res.ProtoMajor, " ", string(body), " ", err)
	}
	answer := make(chan string, 1)
	go func() { answer <- get("/slow") }()
	<-arrived
	s.stop(nil)
	harness.WaitFor(t, "readiness to fail", func() bool { status, _ := getText(t, s.admin+"/readyz"); return status == 503 })
	for range 3 {
		if got := get("/page"); got != "2 GET /page <nil>" {
			t.Errorf("while stopping: %s", got)
		}
	}
	if n := dialled.Load(); n < 3 {
		t.Errorf("%d connections: nobody was sent elsewhere", n)
	}
	close(released)
	if got := <-answer; got != "2 done <nil>" {
		t.Errorf("the request in flight: %s", got)
	}
	if code := s.wait(t); code != exitOK {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

// A request that will not end has its connection closed at the timeout, over TLS and HTTP/2 as well.
func TestAnEndlessStreamOfHTTP2IsCutAtTheTimeout(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	up := upstream.New(t, func(r *upstream.Recorder) {
		r.Handlers["/events"] = func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "data\n")
				http.NewResponseController(w).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	s := start(t, append(environ, "UPSTREAM_URL="+up.URL, "SHUTDOWN_TIMEOUT=1s")...)
	public := strings.Replace(s.public, "http://", "https://", 1)
	up.SetIssuer(public)
	s.waitReady(t)
	for _, protocols := range []bool{true, false} {
		transport := &http.Transport{ForceAttemptHTTP2: protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get(public + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		cut := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, res.Body)
			cut <- err
		}()
		defer func() {
			if err := <-cut; err == nil {
				t.Error("it ended as if it were whole")
			}
		}()
	}
	began := time.Now()
	s.stop(nil)
	if code := s.wait(t); code != exitFailure {
		t.Errorf("ended with %d", code)
	}
	if took := time.Since(began); took < time.Second || took > 10*time.Second {
		t.Errorf("it ended after %v", took)
	}
}
