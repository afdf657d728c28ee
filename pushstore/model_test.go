package pushstore_test

import (
	"time"

	"pargate/pushstore"
)

// model is the contract of a Store said once more, as plainly as it can be: a map, and what each call answers.
// Browsers are numbers from 1; nobody is 0.
type model struct {
	flowTTL time.Duration
	now     time.Duration // since the beginning; it never goes back
	pushes  map[pushstore.Reference]*pushed
	steps   map[pushstore.Reference]*step
	marks   map[string]time.Duration // until when
}

type pushed struct {
	party    pushstore.Party
	request  pushstore.Request
	ends     time.Duration
	browser  int
	response string
	steps    map[string]bool // the differences of its continuations
}

type step struct {
	of         pushstore.Reference
	party      pushstore.Party
	difference string
	ends       time.Duration
}

func newModel(flowTTL time.Duration) *model {
	m := &model{flowTTL: flowTTL}
	m.forget()
	return m
}

// forget is what a restart does to memory, and a failover to a server that has nothing.
func (m *model) forget() {
	m.pushes, m.steps, m.marks = map[pushstore.Reference]*pushed{}, map[pushstore.Reference]*step{}, map[string]time.Duration{}
}

func (m *model) pass(d time.Duration) { m.now += d }

// setBack is a clock that is set back by d: what has ended stays so, and everything else has that much longer.
func (m *model) setBack(d time.Duration) {
	for _, p := range m.pushes {
		if m.now < p.ends {
			p.ends += d
		}
	}
	for _, s := range m.steps {
		if m.now < s.ends {
			s.ends += d
		}
	}
	for id, ends := range m.marks {
		if m.now < ends {
			m.marks[id] += d
		}
	}
}

func (m *model) put(ref pushstore.Reference, p pushstore.Party, r pushstore.Request, window time.Duration) {
	m.pushes[ref] = &pushed{party: p, request: r, ends: m.now + window, steps: map[string]bool{}}
}

// live returns the push that p means by ref; nil when there is none, or its time is over.
func (m *model) live(p pushstore.Party, ref pushstore.Reference) *pushed {
	if found := m.pushes[ref]; found != nil && found.party == p && m.now < found.ends {
		return found
	}
	return nil
}

func (m *model) liveStep(p pushstore.Party, ref pushstore.Reference) *step {
	if found := m.steps[ref]; found != nil && found.party == p && m.now < found.ends {
		return found
	}
	return nil
}

func (m *model) look(p pushstore.Party, ref pushstore.Reference) pushstore.State {
	switch found := m.live(p, ref); {
	case found == nil && m.liveStep(p, ref) != nil:
		return pushstore.Continuation
	case found == nil:
		return pushstore.Absent
	case found.response != "":
		return pushstore.Finished
	case found.browser != 0:
		return pushstore.Taken
	}
	return pushstore.Pending
}

func (m *model) open(p pushstore.Party, ref pushstore.Reference, browser int) (pushstore.Flow, error) {
	if found := m.live(p, ref); found != nil && found.browser == 0 {
		found.browser, found.ends = browser, m.now+m.flowTTL
	}
	return m.flow(p, ref, browser)
}

func (m *model) flow(p pushstore.Party, ref pushstore.Reference, browser int) (pushstore.Flow, error) {
	f := pushstore.Flow{Reference: ref, Party: p, Owner: pushstore.OwnerOf(secretOf(browser))}
	if s := m.liveStep(p, ref); s != nil {
		f.Reference, f.Difference = s.of, s.difference
	}
	found := m.live(p, f.Reference)
	if err := belongs(found, browser); err != nil {
		return pushstore.Flow{}, err
	}
	f.Request = found.request
	if f.Finished = found.response != ""; f.Finished {
		f.Difference = ""
		f.Request = pushstore.Request{RedirectURI: found.request.RedirectURI, State: found.request.State}
	}
	return f, nil
}

// mayContinue says what Continue answers beside the reference, which only a store can derive.
func (m *model) mayContinue(p pushstore.Party, ref pushstore.Reference, browser int, difference string) error {
	found := m.live(p, ref)
	switch err := belongs(found, browser); {
	case err != nil:
		return err
	case found.response != "":
		return pushstore.ErrNotFound
	case !found.steps[difference] && len(found.steps) == pushstore.MaxContinuations:
		return pushstore.ErrFull
	}
	return nil
}

func (m *model) continued(p pushstore.Party, ref, stepRef pushstore.Reference, difference string) {
	found := m.pushes[ref]
	found.steps[difference] = true
	m.steps[stepRef] = &step{of: ref, party: p, difference: difference, ends: found.ends}
}

func (m *model) finish(p pushstore.Party, ref pushstore.Reference, browser int, response string) (won bool, err error) {
	found := m.live(p, ref)
	if err := belongs(found, browser); err != nil {
		return false, err
	}
	if found.response == "" {
		found.response, found.ends = response, m.now+m.flowTTL
	}
	return found.response == response, nil
}

func (m *model) mark(id string, life time.Duration) (first bool) {
	if ends, ok := m.marks[id]; ok && m.now < ends {
		return false
	}
	m.marks[id] = m.now + life
	return true
}

// belongs says whether found is a flow of the browser's.
func belongs(found *pushed, browser int) error {
	switch {
	case found == nil || found.browser == 0:
		return pushstore.ErrNotFound
	case found.browser != browser:
		return pushstore.ErrTaken
	}
	return nil
}

func secretOf(browser int) []byte { return []byte{'b', byte(browser)} }
