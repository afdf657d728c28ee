package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pargate/pushstore"
)

// faulty is an attack where something does what it must not.
type faulty struct {
	fault, key, server string // the server is the first one where it is empty
	setup              setup
	bad                []string // the checks that show it
	got                *result
}

// A verdict that cannot be bad says nothing. Each check of each attack is made to fail by a fault in what it is about: a gateway, a
// store or a server that does what it must not.
func TestEveryCheckOfEveryAttackCanFail(t *testing.T) {
	leavesNothing(t)
	const heard, later = "Requests that the server got", "The right client's browser, afterwards"
	once := func(s pushstore.Store) pushstore.Store {
		return &opensOnce{Store: s, opened: map[pushstore.Reference]bool{}}
	}
	forAnyClients := func(s pushstore.Store) pushstore.Store { return forAnyClient{s} }
	forEvers := func(s pushstore.Store) pushstore.Store { return forEver{s} }
	twice := func(opened int, _ pushstore.Party, _ error) bool { return opened == 2 }
	taken := func(_ int, _ pushstore.Party, err error) bool { return errors.Is(err, pushstore.ErrTaken) }
	another := func(_ int, p pushstore.Party, _ error) bool { return p.ClientID == otherClientID }
	moreIsAsked := func(query string) string {
		return strings.Replace(query, "scope=openid%20", "scope=openid%20admin%20", 1)
	}
	tests := []faulty{
		{fault: "a reload is a second use", key: "reload", setup: keeping(once), bad: []string{"Reloaded during the login"}},
		{fault: "a reload ends the login", key: "reload", setup: keeping(burns(twice)), bad: []string{"The sign-in goes on"}},
		{fault: "nothing ends with its response", key: "reload", setup: inFront(afterwards, pastPargate), bad: []string{"Reloaded after the code", heard}},

		{fault: "whoever has the address goes on", key: "another-browser", setup: inFront(again, pastPargate), bad: []string{"The second browser", heard}},
		{fault: "a second browser spoils it for the first", key: "another-browser", setup: keeping(burns(taken)), bad: []string{"The first browser goes on"}},

		{fault: "the client does not matter", key: "another-client", setup: keeping(forAnyClients), bad: []string{"With the other client_id", heard, later}},
		{fault: "another client spoils it", key: "another-client", setup: keeping(burns(another)), bad: []string{later}},

		{fault: "nothing expires", key: "expire", setup: keeping(forEvers), bad: []string{"After five seconds", heard}},

		{fault: "what is added counts", key: "scope", setup: setup{meddle: editAuthorize(moreIsAsked)}, bad: []string{"The scope that the server received"}},
		{fault: "what is added spoils it", key: "scope", setup: inFront(named("scope"), refuse("")), bad: []string{"The sign-in", "The scope that the server received"}},

		{fault: "the form is not bound", key: "consent", server: "doorkeeper", setup: inFront(consented, pastPargate),
			bad: []string{"The sign-in", "The state in the response", "The scope that the code is worth"}},
		{fault: "the form is not bound", key: "consent", server: "django", setup: inFront(consented, pastPargate),
			bad: []string{"The sign-in", "The state in the response", "The scope that the code is worth"}},

		{fault: "PAR is not required", key: "next", server: "django", setup: setup{optional: true},
			bad: []string{"The answer to what next= led to", "A code for it", "Authorization requests with that scope that the server got"}},
		{fault: "PAR is not required", key: "skip", setup: setup{optional: true}, bad: []string{"The request as before", heard}},

		{fault: "any signature will do in a push", key: "forged", setup: inFront(inForm("request"), take201), bad: []string{"The answer to the push"}},
		{fault: "any signature will do in the address bar", key: "forged", setup: inFront(named("request"), pastPargate), bad: []string{"The answer in the address bar", heard}},
		{fault: "what is refused is kept", key: "forged", setup: inFront(inForm("request"), keepRefused), bad: []string{"Requests that the store has kept"}},
		{fault: "no object is taken in a push", key: "forged", setup: inFront(inForm("request"), refuse("invalid_request_object")),
			bad: []string{"The push, signed with the right key"}},
		{fault: "no object is taken in the address bar", key: "forged", setup: inFront(named("request"), refuse("")),
			bad: []string{"The address bar, with the right key"}},
	}
	var work sync.WaitGroup
	for i := range tests {
		test := &tests[i]
		test.setup.request, test.setup.server = smallRequest, serverKinds[0]
		if test.server != "" {
			test.setup.server = serverNamed(test.server)
		}
		work.Go(func() { test.got = attackNamed(test.key).try(t.Context(), test.setup) })
	}
	work.Wait()
	made, failed := map[string]bool{}, map[string]bool{}
	for _, test := range tests {
		var bad []string
		for _, c := range test.got.Checks {
			made[test.key+": "+c.What] = true
			if !c.OK {
				bad = append(bad, c.What)
				failed[test.key+": "+c.What] = true
			}
		}
		if test.got.OK() || test.got.Problem != "" || !slices.Equal(bad, test.bad) {
			t.Errorf("%s, %s: %q is bad, want %q; %s\n%+v", test.key, test.fault, bad, test.bad, test.got.Problem, test.got.Checks)
		}
		if text := new(picture).text("result", test.got); !strings.Contains(text, "This is not what is expected") || !strings.Contains(text, "✗") {
			t.Errorf("%s, %s: the page says %.300s", test.key, test.fault, text)
		}
	}
	if !maps.Equal(made, failed) {
		t.Errorf("made are %v\nand failed have %v", made, failed)
	}
	for _, a := range attacks {
		if !slices.ContainsFunc(tests, func(test faulty) bool { return test.key == a.Key }) {
			t.Errorf("%s was not made to fail", a.Key)
		}
	}
}
