package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// stream sends what is added to the picture, until it is complete. What is said of the sign-in's state is sent when it is another
// than the last one.
func (p *picture) stream(w http.ResponseWriter, r *http.Request, t *take) {
	after := r.FormValue("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after = last
	}
	version, err := strconv.Atoi(after)
	if err != nil {
		http.Error(w, "after must be a number", http.StatusBadRequest)
		return
	}
	said := r.FormValue("state")
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for {
		ending := t.outcome() // before the arrows, all of which come before it
		events, now, more := t.film.since(version)
		for _, e := range events {
			send(w, e.version, "arrow", map[string]any{"step": e.Step, "id": e.Anchor(), "html": p.text("arrow", e)})
		}
		version = now
		if state := t.State(); state != said {
			said = state
			send(w, version, "state", map[string]any{"html": p.text("state", t)})
		}
		if ending.Known() {
			send(w, version, "summary", map[string]any{"html": p.text("summary", map[string]any{"Ending": ending, "Take": t})})
			out.Flush()
			return
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-t.told:
		case <-r.Context().Done():
			return
		case <-t.ctx.Done():
			return
		}
	}
}

// send writes one server-sent event; JSON has no line ends in it.
func send(w http.ResponseWriter, id int, name string, data any) {
	text, _ := json.Marshal(data) // strings and numbers
	fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", id, name, text)
}
