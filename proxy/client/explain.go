package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"
)

// Finding is how the upstream answers a client that does not exist, to one probe and one client authentication
// method. It says which probes cannot be used. Which of the others can, the first push of a real client shows.
type Finding struct {
	Probe  string
	Method string
	Answer string // in short: status and error code
	Usable bool   // the client was turned away
	Note   string // what that means, as a sentence without its end
}

// Explain tries every probe with every method for a client that does not exist, and changes nothing.
func (d *Delegate) Explain(ctx context.Context) []Finding {
	var list []Finding
	endpoints := d.Endpoints()
	for _, p := range probes {
		s := site{p, endpoints.of(p)}
		if s.url == "" {
			continue
		}
		for _, name := range []string{MethodBasic, MethodPost, "private_key_jwt", MethodNone} {
			q := question{method: name}
			if name == "private_key_jwt" {
				q.assertion = hide(madeUp(endpoints.Token, d.Now()))
			}
			list = append(list, d.explain(ctx, s, q))
		}
	}
	return list
}

func (d *Delegate) explain(ctx context.Context, s site, q question) Finding {
	f := d.judgeStranger(d.send(ctx, s, q.stranger()), s)
	e := Finding{Probe: s.probe.String(), Method: q.method, Answer: f.answer.String(), Usable: f.soundness == sound}
	switch {
	case e.Usable:
		e.Note = "turns away a client that does not exist, so it can be used if it answers real ones otherwise"
	case f.soundness == undecided:
		e.Note = "the upstream is in trouble, so nobody is authenticated with it now"
	case d.taken(s, f):
		e.Note = "answers a client that does not exist as it answers real ones, so it is not used"
	default:
		e.Note = "does not say that a client does not exist, so it is not used"
	}
	return e
}

// madeUp returns an assertion in a usual form that nobody has made.
func madeUp(audience string, now time.Time) unverified {
	header, _ := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": rand.Text()})
	claims := statement{"aud": quote(audience)}
	for name, at := range map[string]time.Time{"iat": now, "exp": now.Add(time.Minute)} {
		claims[name], _ = json.Marshal(at.Unix())
	}
	return unverified{header: base64.RawURLEncoding.EncodeToString(header), stated: claims, signature: 256}
}
