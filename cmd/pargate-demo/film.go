package main

import (
	"net/http"
	"slices"
	"sync"
)

// maxEvents and maxFilm bound a film: a sign-in has about sixty arrows and 150 KB. Any page in a person's browser can ask a port.
const (
	maxEvents = 400
	maxFilm   = 8 << 20 // bytes of the bodies
)

// film is what the taps of one stage have seen, in order. A request is an event when it has arrived, and its response is
// one when it leaves. A nil film keeps nothing.
//
//	tap of who sends ──announce──▶ film ◀──arrived, answered── tap of who receives
//	                 ──received──▶
//
// The two taps of one exchange find each other by the connection's two addresses, which both ends know. A person's own
// browser has no tap: its requests are drawn as they have arrived.
type film struct {
	callback string // the client's redirect_uri; set before anything happens
	page     string // what the request that begins must bring; empty: nothing
	whole    bool   // it does not end with the sign-in

	mu        sync.Mutex
	events    []event
	bytes     int // of their bodies
	version   int
	step      int                // where the story is; zero: it has not begun
	announced map[string]sending // by connection
	answers   map[string]int     // the event of a response, by connection
	changed   chan struct{}      // closed when something changes
	over      bool               // the client has said how it ended
	problem   string             // why it has no code, or no tokens; empty: it has
	ended     bool               // nothing is added any more
	end       chan struct{}      // closed with it
	pushed    side               // what the client has pushed, for later steps; zero: nothing yet
	address   side               // the browser's address bar on its way in
	request   params             // what the server was asked; nil: nothing yet
	leaked    map[string]string  // what of it was in the server's answer, by the X-Request-Id that pargate gave it
}

// sending is a request that is about to be sent.
type sending struct {
	who  lane
	what exchange
}

func newFilm(callback string) *film {
	return &film{callback: callback, announced: map[string]sending{}, answers: map[string]int{}, leaked: map[string]string{},
		changed: make(chan struct{}), end: make(chan struct{})}
}

// announce is told of a request when its connection is known, and nothing of it has been sent.
func (f *film) announce(connection string, who lane, x exchange) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announced[connection] = sending{who, x}
}

// arrival is a request that a tap has seen arrive; its response belongs to it.
type arrival struct {
	connection string
	from, to   lane
	push       bool
}

// arrived adds a request. Who has not announced it is a person's browser.
func (f *film) arrived(connection string, to lane, x exchange) arrival {
	a := arrival{connection: connection, from: atBrowser, to: to}
	if f == nil {
		return a
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := event{seen: x, Title: requestTitle(x)}
	sent, known := f.announced[connection]
	delete(f.announced, connection)
	if known {
		a.from = sent.who
		e.Sides = append(e.Sides, requestSide("What "+a.from.said()+" sent", sent.what))
	}
	e.From, e.To = a.from, to
	received := requestSide("What "+to.said()+" received", x)
	e.Sides, e.Bytes = append(e.Sides, received), received.Bytes
	a.push = a.from == atClient && x.method == http.MethodPost && !isTokenRequest(x)
	e.Step = f.place(e)
	switch {
	case a.push:
		f.pushed = received
		f.pushed.Title = "What the client had pushed"
	case a.from == atBrowser && e.Step == 4 && f.address.Title == "":
		f.address = side{Title: "What was in the browser's address bar", First: x.url.String(), Params: received.Params, Bytes: x.bytesOfURL()}
	case e.Step == 6 && f.pushed.Title != "":
		e.Sides = append([]side{f.pushed, f.address}, e.Sides...)
	}
	if e.Step == 6 && to == atServer && f.request == nil {
		f.request, _ = parse(x.url.RawQuery)
	}
	f.look(&e)
	f.add(e)
	return a
}

// answered adds the response to a request that has arrived.
func (f *film) answered(a arrival, x exchange) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := answerSide("What "+a.to.said()+" sent", x)
	e := event{From: a.to, To: a.from, Title: answerTitle(x), Bytes: s.Bytes, Sides: []side{s}, seen: x, answer: true}
	if a.push {
		e.Step = 3
	} else {
		e.Step = f.place(e)
	}
	f.look(&e)
	if f.add(e) {
		f.answers[a.connection] = len(f.events) - 1
	}
	if f.over && !f.whole && !f.ended && e.From == atClient && e.To == atBrowser && e.Step > 0 {
		f.ended = true
		close(f.end)
	}
}

// received is told of a response by who has read it.
func (f *film) received(connection string, who lane, x exchange) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i, known := f.answers[connection]
	delete(f.answers, connection)
	if !known {
		return
	}
	f.version++
	f.events[i].version = f.version
	f.events[i].Sides = append(slices.Clip(f.events[i].Sides), answerSide("What "+who.said()+" received", x))
	f.notify()
}

// kept adds what pargate has asked of its store, and what it was told.
func (f *film) kept(step int, title string, given, told side, keeps bool) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := event{From: atGateway, To: atStore, Title: title, Bytes: given.Bytes + told.Bytes, Sides: []side{given, told}, keeps: keeps}
	if step == 5 && f.step == 4 {
		f.step = 5
	}
	if e.Step = step; f.step > step {
		e.Step = f.step
	}
	f.add(e)
}

// isOver is told by the client how the sign-in ended, before it answers the browser. A nil problem is a person signed in.
func (f *film) isOver(problem error) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	if f.over = true; problem != nil {
		f.problem = problem.Error()
	}
}

// outcome returns why there was no code, or no tokens, and whether the request has had its response all the same.
func (f *film) outcome() (problem string, responded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		responded = responded || e.To == atStore && e.Step == 9
	}
	return f.problem, responded
}

// add reports whether there was room. Like place and look, it must be called with the lock held.
func (f *film) add(e event) bool {
	size := len(e.seen.body) + len(e.seen.answer)
	if f.ended || len(f.events) == maxEvents || f.bytes+size > maxFilm {
		return false
	}
	f.bytes += size
	f.version++
	e.ID, e.version = len(f.events)+1, f.version
	f.events = append(f.events, e)
	f.notify()
	return true
}

func (f *film) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// since returns what has been added or changed after a version, the version that it is now, and a channel that is closed when
// there is more.
func (f *film) since(version int) (events []event, now int, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.version > version {
			events = append(events, e)
		}
	}
	return events, f.version, f.changed
}

// all returns every event.
func (f *film) all() []event {
	events, _, _ := f.since(0)
	return events
}

// hasBegun reports whether somebody has begun to sign in.
func (f *film) hasBegun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step > 0
}
