package proxy

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"path"
	"slices"
)

// PostAnswer is what the upstream makes of an authorization request in a form, beside the same one in a query.
type PostAnswer struct {
	Path      string // the authorization endpoint that was asked
	Get, Post string // its answers, in short
	Taken     bool   // the form is answered as the query is
	Refused   bool   // the answer is one with which servers turn a POST away, and not the one to the query
}

// refusesForm are the statuses with which servers turn away a form that they do not expect: there is no such endpoint, or
// it misses the token of a form of its own.
var refusesForm = []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType,
	http.StatusUnprocessableEntity, http.StatusNotImplemented, 419}

// TakesPOST asks for an authorization by POST and by GET, for a client that does not exist.
func (i *Inspection) TakesPOST(ctx context.Context) (PostAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	endpoint := i.known.authorize[0]
	request := url.Values{"response_type": {"code"}, "client_id": {"pargate-check-" + rand.Text()[:12]}, "redirect_uri": {"https://client.invalid/cb"},
		"scope": {"openid"}, "state": {rand.Text()}, "nonce": {rand.Text()}}.Encode()
	own := i.known.authorizeQuery[endpoint]
	get, err := i.ask(ctx, endpoint, joinQueries(own, request), "")
	if err != nil {
		return PostAnswer{}, err
	}
	post, err := i.ask(ctx, endpoint, own, request)
	if err != nil {
		return PostAnswer{}, err
	}
	a := PostAnswer{Path: endpoint, Get: get.String(), Post: post.String()}
	a.Taken = isSameAnswer(get.answer, post.answer) && get.isTelling() && !slices.Contains(refusesForm, get.status)
	a.Refused = get.status != post.status && slices.Contains(refusesForm, post.status)
	return a, nil
}

// isSameAnswer reports whether two requests have come to the same: the same kind of page, or a redirect to one place. A
// login that has begun may have an id of its own at the end of its path, and a redirect has a body by GET alone (net/http).
func isSameAnswer(a, b answer) bool {
	one, other := a.marks[2], b.marks[2]
	if one == "" && other == "" {
		return a.status == b.status && a.marks[1] == b.marks[1]
	}
	dir := path.Dir(one)
	return a.status/100 == b.status/100 && (one == other || dir == path.Dir(other) && dir != "/" && dir != ".")
}

func joinQueries(one, other string) string {
	if one == "" {
		return other
	}
	return one + "&" + other
}
