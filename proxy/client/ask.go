package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pargate/proxy/oauth"
)

// ask puts q to the probes, one after the other, until one of them tells.
func (d *Delegate) ask(ctx context.Context, q question) (*Client, error) {
	endpoints := d.Endpoints()
	if endpoints.Token == "" {
		return nil, unavailable(errors.New("the token endpoint is not known"))
	}
	var reasons []string
	for _, p := range d.order(q.method) {
		s := site{p, endpoints.of(p)}
		if s.url == "" {
			continue
		}
		t, err := d.askAt(ctx, s, q)
		if t.client != nil || err != nil {
			return t.client, err
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s", p, t.why))
		if q.asserts() && t.asked {
			break // the assertion is spent
		}
	}
	return nil, unavailable(errors.New("no probe tells: " + strings.Join(reasons, "; ")))
}

// order returns the probes for a method, with the one first that has worked.
func (d *Delegate) order(method string) []probe {
	list := slices.Clone(probes)
	if method == MethodNone { // Only who can authenticate introspects (RFC 7662 §2.1).
		list = slices.DeleteFunc(list, func(p probe) bool { return p == introspectionProbe })
	}
	if first, ok := d.preferred.get(method, d.Now()); ok {
		list = append([]probe{first}, slices.DeleteFunc(list, func(p probe) bool { return p == first })...)
	}
	return list
}

// told is what one probe has told.
type told struct {
	client *Client // nil: it does not tell
	why    string  // the reason, for the log
	asked  bool    // the credentials were sent
}

// askAt puts q to one probe. An error ends the asking.
func (d *Delegate) askAt(ctx context.Context, s site, q question) (told, error) {
	// 1. What is known of this probe. An assertion can be asked about once, so the stranger goes before it; a secret
	// goes first, so that wrong ones cause no more than one question.
	f := d.known(s, q)
	if q.asserts() && f.soundness == unknown {
		f = d.calibrateStranger(ctx, s, q)
	}
	switch f.soundness {
	case unsound:
		return told{why: f.why}, nil
	case posing, undecided:
		return told{}, verdictOn(s, q, f)
	}
	if q.asserts() {
		if err := d.markOnce(ctx, q, "assertion", q.assertion.value().text); err != nil {
			return told{}, err
		}
	}

	// 2. The question itself.
	a := d.send(ctx, s, q)
	v := a.verdict(s.probe, d.Accept)
	switch {
	case v == refused || v == cannotTell && d.likeStranger(s, q, a):
		return told{}, q.failed(fmt.Errorf("%s: %s", s.probe, a))
	case v == cannotTell && a.trouble():
		return told{}, inTrouble(s, a)
	case v == cannotTell:
		return told{why: a.String(), asked: true}, nil
	}

	// 3. Whether only a client is answered so.
	switch f, own := d.calibrate(ctx, s, q); f.soundness {
	case sound:
		if !own {
			if why := d.alsoForOthers(ctx, s, q); why != "" {
				return told{why: why, asked: true}, nil
			}
		}
		return told{client: q.client(), asked: true}, nil
	case unsound:
		return told{why: f.why, asked: true}, nil
	default:
		return told{}, verdictOn(s, q, f)
	}
}

// alsoForOthers says who else is answered as q was just now; empty when nobody is. What was found of a client once holds
// for credentials that were right lately; others get a control of their own, with the redirect_uri that the push has
// chosen, which some upstreams look at before they look at the client.
func (d *Delegate) alsoForOthers(ctx context.Context, s site, q question) string {
	var control question
	switch {
	case q.trusted || q.method == MethodNone:
		return ""
	case q.asserts():
		control = q.wrongSignature()
	default:
		control = q.wrongSecret()
	}
	if f := d.judge(d.send(ctx, s, control), s, "somebody else with this redirect_uri"); f.soundness != sound {
		return f.why
	}
	return ""
}

// verdictOn is the error for a finding that leaves nothing to ask.
func verdictOn(s site, q question, f finding) error {
	if f.soundness == posing {
		return q.failed(fmt.Errorf("%s: %s", s.probe, f.why))
	}
	return inTrouble(s, f.answer)
}

// inTrouble is the error for an upstream that does not answer, or does not want to be asked now.
func inTrouble(s site, a answer) error {
	cause := fmt.Errorf("%s: %s", s.probe, a)
	if a.status == http.StatusTooManyRequests {
		return slowDown(max(a.retryAfter, time.Second), cause)
	}
	return unavailable(cause)
}

func unavailable(cause error) *oauth.Error {
	return oauth.TemporarilyUnavailable("the authorization server could not be asked about this client; try again later").Because(cause)
}

func slowDown(wait time.Duration, cause error) *oauth.Error {
	e := oauth.TooManyRequests(wait).Because(cause)
	e.Description = "too many attempts to authenticate; try again later"
	return e
}
