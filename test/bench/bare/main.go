// bare is the least Go code that does what a gateway must: it keeps a push in Redis, takes it out again and hands it to the
// authorization server, and passes everything else on. It checks nobody and nothing. The benchmark compares the gateway with it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const prefix = "urn:ietf:params:oauth:request_uri:"

func main() {
	listen := flag.String("listen", "", "host:port to serve at")
	store := flag.String("redis", "", "host:port of Redis")
	upstream := flag.String("upstream", "", "URL of the authorization server")
	flag.Parse()
	target, err := url.Parse(*upstream)
	if err != nil {
		log.Fatal(err)
	}
	b := &bare{redis: redis.NewClient(&redis.Options{Addr: *store})}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1024
	b.proxy = &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /par", b.push)
	mux.HandleFunc("GET /authorize", b.authorize)
	mux.HandleFunc("GET /allocations", allocations)
	mux.Handle("/", b.proxy)
	server := &http.Server{Addr: *listen, Handler: mux}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	go func() {
		<-stop.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

type bare struct {
	redis *redis.Client
	proxy *httputil.ReverseProxy
}

func (b *bare) push(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reference := rand.Text()
	if err := b.redis.Set(r.Context(), reference, r.PostForm.Encode(), 599*time.Second).Err(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"request_uri": prefix + reference, "expires_in": 599})
}

func (b *bare) authorize(w http.ResponseWriter, r *http.Request) {
	reference, pushed := strings.CutPrefix(r.URL.Query().Get("request_uri"), prefix)
	if pushed {
		query, err := b.redis.GetDel(r.Context(), reference).Result()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.URL.RawQuery = query
	}
	b.proxy.ServeHTTP(w, r)
}

// allocations tells how many objects this process has allocated.
func allocations(w http.ResponseWriter, _ *http.Request) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(sample)
	json.NewEncoder(w).Encode(sample[0].Value.Uint64() + sample[1].Value.Uint64())
}
