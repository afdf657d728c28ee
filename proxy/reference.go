package proxy

import (
	"errors"
	"net/http"
	"strings"

	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

// presented is a request_uri with our prefix as a request has it, well-formed or not.
type presented struct {
	query, body bool   // where it stands
	ticket      bool   // it is a ticket's, in the query
	value       string // of the first one
}

func (p presented) found() bool { return p.query || p.body }

// findReference looks for a request_uri of ours in the query of any request, and in a form that is sent to a
// protected path, and for a ticket in the query of one. It looks as generously as any server behind us might, so that
// none gets to see one.
func (s *Server) findReference(r *http.Request) (presented, error) {
	var p presented
	look := func(encoded string) bool {
		for pair := range rewrite.Pairs(encoded) {
			if oauth.Fold(pair.Name) != oauth.ParamRequestURI || !hasURIPrefix(pair.Value) {
				continue
			}
			if !p.found() {
				p.value = pair.Value
			}
			return true
		}
		return false
	}
	p.query = look(r.URL.RawQuery)
	if exchangeOf(r).place.protected() {
		if err := readForm(r); err != nil {
			return p, err
		}
		p.body = look(exchangeOf(r).form)
		if !p.found() && s.AuthorizeByPOST {
			p.value, p.ticket = findTicket(r.URL.RawQuery)
			p.query = p.ticket
		}
	}
	return p, nil
}

func hasURIPrefix(value string) bool {
	value = strings.TrimSpace(value)
	return len(value) >= len(oauth.RequestURIPrefix) && strings.EqualFold(value[:len(oauth.RequestURIPrefix)], oauth.RequestURIPrefix)
}

// parseRequestURI returns the reference in a request_uri of ours (RFC 9126 §2.2).
func parseRequestURI(uri string) (pushstore.Reference, bool) {
	ref, ok := strings.CutPrefix(uri, oauth.RequestURIPrefix)
	if !ok {
		return "", false
	}
	return pushstore.ParseReference(ref)
}

// passesNatively reports whether p is a reference of the upstream's own push endpoint, which cannot be one of ours.
func (x *exchange) passesNatively(p presented) bool {
	if x.endpoints == nil || x.endpoints.native == "" {
		return false
	}
	_, ours := parseRequestURI(p.value)
	return !ours && !p.ticket
}

// shortRequest is an authorization request by reference: client_id and request_uri (RFC 9126 §4).
type shortRequest struct {
	clientID string
	ref      pushstore.Reference
}

// readShort reads the two parameters of an authorization request by reference, each exactly once, from the query or
// from the form but not from both (RFC 6749 §3.1, RFC 9101 §5). Nothing else beside them is read.
func readShort(r *http.Request, p presented) (shortRequest, error) {
	query, body := r.URL.RawQuery, exchangeOf(r).form
	var clientID, reference string
	referenceName := oauth.ParamRequestURI
	if p.ticket {
		referenceName = ticketParam
	}
	for _, want := range []struct {
		name string
		into *string
	}{{oauth.ParamClientID, &clientID}, {referenceName, &reference}} {
		inQuery, inBody := occurrences(query, want.name), 0
		// A login form that was posted to the address with the reference is looked at elsewhere; but a second
		// request_uri in it is one too many here.
		if p.body || want.name == referenceName {
			inBody = occurrences(body, want.name)
		}
		encoded := query
		if p.body {
			encoded = body
		}
		value, ok := strictValue(encoded, want.name)
		if inQuery+inBody != 1 || !ok {
			return shortRequest{}, malformed(oauth.InvalidRequest(want.name + " must be there exactly once"))
		}
		*want.into = value
	}
	ref, ok := parseRequestURI(reference)
	if p.ticket {
		ref, ok = pushstore.ParseReference(reference)
	}
	if !ok {
		return shortRequest{}, deadLink(errors.New("the request_uri is misspelt"))
	}
	return shortRequest{clientID: clientID, ref: ref}, nil
}

// occurrences counts name in any spelling and behind any separator.
func occurrences(encoded, name string) (n int) {
	for pair := range rewrite.Pairs(encoded) {
		if oauth.Fold(pair.Name) == name {
			n++
		}
	}
	return n
}

// strictValue returns the value of name in its own spelling, if it is there and properly encoded.
func strictValue(encoded, name string) (string, bool) {
	for raw := range strings.SplitSeq(encoded, "&") {
		if rawName, rawValue, _ := strings.Cut(raw, "="); rawName == name {
			value, err := oauth.Unescape(rawValue)
			return value, err == nil && value != "" && !strings.Contains(rawValue, ";")
		}
	}
	return "", false
}
