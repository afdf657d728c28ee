package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"pargate/proxy"
)

// adminHandler serves the operators' listener. The public origin belongs to the upstream, so nothing of this is there.
func adminHandler(server *proxy.Server, stopping *atomic.Bool, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	live := func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, nil) }
	mux.HandleFunc("GET /livez", live)
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			writeHealth(w, map[string]string{"process": "stopping"})
			return
		}
		writeHealth(w, server.Ready(r.Context()))
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

// writeHealth answers with the reasons why something is not as it should be.
func writeHealth(w http.ResponseWriter, reasons map[string]string) {
	body, status := map[string]any{"status": "ok"}, http.StatusOK
	if len(reasons) > 0 {
		body, status = map[string]any{"status": "not ready", "reasons": reasons}, http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
