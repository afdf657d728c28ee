package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"sync"
)

//go:embed picture.html picture.css picture.js
var pictureFiles embed.FS

var pictureTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"lanes": func() []lane { return lanes }, "attacks": func() []*attack { return attacks }, "add": func(a, b int) int { return a + b }, "size": inBytes,
	"unique": rand.Text,
}).ParseFS(pictureFiles, "picture.html"))

// maxTakes is how many sign-ins are kept, with their servers; the oldest goes first.
const maxTakes = 8

// picture is the site on which a person sees what happens.
//
//	GET  /                       choose a server and a request
//	POST /runs                   start them
//	GET  /runs/{id}              the picture; with a script it is alive, without one it refreshes
//	GET  /runs/{id}/events       what has been added to it (server-sent events)
//	POST /runs/{id}/sign-in      the stand-in signs in
//	POST /runs/{id}/break/{key}  an attack, on servers of its own
type picture struct {
	site  *site
	setup setup
	ctx   context.Context // of all that it starts
	end   context.CancelFunc
	work  sync.WaitGroup

	starting sync.Mutex // one take is started at a time

	mu     sync.Mutex
	takes  []*take // the oldest first
	closed bool    // nobody adds one any more
}

// newPicture serves the site on a free port.
func newPicture(ctx context.Context, s setup) (*picture, error) {
	at, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	p := &picture{site: at, setup: s}
	p.setup.home = at.String()
	p.ctx, p.end = context.WithCancel(ctx)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.choose)
	mux.HandleFunc("GET /picture.css", p.file("text/css; charset=utf-8"))
	mux.HandleFunc("GET /picture.js", p.file("text/javascript; charset=utf-8"))
	mux.HandleFunc("POST /runs", p.begin)
	mux.HandleFunc("GET /runs/{id}", p.withTake(p.show))
	mux.HandleFunc("GET /runs/{id}/events", p.withTake(p.stream))
	mux.HandleFunc("POST /runs/{id}/sign-in", p.withTake(p.signIn))
	mux.HandleFunc("POST /runs/{id}/break/{key}", p.withTake(p.attack))
	at.serve(p.guarded(http.NewCrossOriginProtection().Handler(mux)))
	return p, nil
}

// close ends what was started.
func (p *picture) close() {
	p.end()
	p.site.close()
	p.mu.Lock()
	p.closed = true
	for _, t := range p.takes {
		p.work.Go(t.close)
	}
	p.mu.Unlock()
	p.work.Wait()
}

// guarded lets in only who asks for this site by its own name (a name that was made to lead here is another), and says what its
// pages may do: nothing but what is here.
func (p *picture) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != p.site.url.Host {
			http.Error(w, "this is "+p.site.String(), http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		next.ServeHTTP(w, r)
	})
}

func (p *picture) file(mediaType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		http.ServeFileFS(w, r, pictureFiles, r.URL.Path[1:])
	}
}

// withTake finds the take of an address.
func (p *picture) withTake(serve func(http.ResponseWriter, *http.Request, *take)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := p.find(func(t *take) bool { return t.ID == r.PathValue("id") })
		if t == nil {
			p.render(w, http.StatusNotFound, "gone", nil)
			return
		}
		serve(w, r, t)
	}
}

func (p *picture) choose(w http.ResponseWriter, _ *http.Request) {
	p.render(w, http.StatusOK, "choose", map[string]any{"Servers": serverKinds, "Requests": requestKinds})
}

// begin starts a take, and ends the oldest when there are too many. A form that was sent twice, by a double click, starts one.
func (p *picture) begin(w http.ResponseWriter, r *http.Request) {
	s := p.setup
	s.server, s.request = serverNamed(r.PostFormValue("server")), requestKind(r.PostFormValue("request"))
	if s.server == nil || !slices.Contains([]requestKind{bigRequest, smallRequest, signedRequest}, s.request) {
		http.Error(w, "server and request must be among those of the form", http.StatusBadRequest)
		return
	}
	p.starting.Lock()
	defer p.starting.Unlock()
	form := r.PostFormValue("form")
	t := p.find(func(t *take) bool {
		return form != "" && t.form == form && t.Server == s.server && t.Request == s.request && !t.Begun()
	})
	if t == nil {
		var err error
		if t, err = newTake(p.ctx, s); err != nil {
			http.Error(w, "the servers do not start: "+err.Error(), http.StatusInternalServerError)
			return
		}
		t.form = form
		p.add(t)
	}
	http.Redirect(w, r, "/runs/"+t.ID, http.StatusSeeOther)
}

func (p *picture) add(t *take) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		t.close()
		return
	}
	p.takes = append(p.takes, t)
	p.work.Go(t.watch)
	if len(p.takes) > maxTakes {
		p.work.Go(p.takes[0].close)
		p.takes = slices.Clone(p.takes[1:])
	}
}

// find returns the first take that is as wanted; nil when none is.
func (p *picture) find(wanted func(*take) bool) *take {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.takes, wanted); i >= 0 {
		return p.takes[i]
	}
	return nil
}

// scene is one of the ten steps on the page.
type scene struct {
	Number int
	step
	Arrows []event
}

// show is the picture as it is now.
func (p *picture) show(w http.ResponseWriter, r *http.Request, t *take) {
	events, version, _ := t.film.since(0)
	scenes := make([]scene, len(steps))
	for i := range steps {
		scenes[i] = scene{Number: i + 1, step: steps[i]}
	}
	var beside []event
	for _, e := range events {
		if e.Step == 0 {
			beside = append(beside, e)
			continue
		}
		scenes[e.Step-1].Arrows = append(scenes[e.Step-1].Arrows, e)
	}
	ending := t.outcome()
	results := map[string]*result{}
	for _, a := range attacks {
		results[a.Key] = t.result(a.Key)
	}
	p.render(w, http.StatusOK, "run", map[string]any{
		"Take": t, "Scenes": scenes, "Beside": beside, "Ending": ending, "Version": version, "Results": results,
		"Store": t.demo.gateway.storeName, "Still": r.URL.Query().Has("still"),
	})
}

func (p *picture) signIn(w http.ResponseWriter, r *http.Request, t *take) {
	if !t.film.hasBegun() {
		p.work.Go(t.signIn)
	}
	http.Redirect(w, r, "/runs/"+t.ID, http.StatusSeeOther)
}

// attack tries one, and shows what came of it.
func (p *picture) attack(w http.ResponseWriter, r *http.Request, t *take) {
	a := attackNamed(r.PathValue("key"))
	if a == nil {
		http.NotFound(w, r)
		return
	}
	t.keep(a.try(t.ctx, t.setup))
	http.Redirect(w, r, "/runs/"+t.ID+"#break-"+a.Key, http.StatusSeeOther)
}

// text is a part of a page.
func (p *picture) text(name string, data any) string {
	var b bytes.Buffer
	if err := pictureTemplate.ExecuteTemplate(&b, name, data); err != nil {
		return template.HTMLEscapeString(err.Error())
	}
	return b.String()
}

func (p *picture) render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := pictureTemplate.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
