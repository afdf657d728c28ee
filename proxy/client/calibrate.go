package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/oauth"
)

// An upstream that looks at the code before it looks at the client answers everybody as it answers a client. So no
// answer is believed before the same question was asked by those who must not be taken for the client: a stranger,
// once for each site and method, and somebody who has the client's name without its proof, once for each client too.

// soundness says what an answer as to a client is worth.
type soundness int

const (
	unknown   soundness = iota
	sound               // only the client gets it
	unsound             // others get it as well, or whether they do cannot be said
	posing              // the client has no secret and shows one, or has one and shows none
	undecided           // the upstream is in trouble
)

// finding is the outcome of a calibration.
type finding struct {
	soundness
	answer answer // to the control that decided
	why    string // for the log
}

// How long a finding is believed. A sound one is for Calibrated.
const (
	takenLife   = 5 * time.Minute // a stranger was taken for a client
	unsoundLife = time.Minute     // the client's own controls were
	vagueLife   = 5 * time.Second // nobody was, but they were not turned away either
)

// seenLife is how long it is remembered what a client's push has shown of it or of a site.
const seenLife = 24 * time.Hour

// way is a client authentication method at a site, with the redirect_uri that a push has chosen where the site is sent
// one: some look at it before they look at the client, so what is found with one says nothing of another, in either
// direction.
type way struct {
	site
	method      string
	redirectURI string
}

func wayOf(s site, q question) way {
	w := way{site: s, method: q.method}
	if s.probe == codeProbe {
		w.redirectURI = q.redirectURI
	}
	return w
}

// account is a client that goes that way.
type account struct {
	way
	id string
}

func (a account) key() string {
	return fmt.Sprintf("%d %q %q %q %q", a.probe, a.url, a.method, a.redirectURI, a.id)
}

// calibrations are what is known of the upstream's answers.
type calibrations struct {
	strangers *memory[way, finding]
	clients   *memory[account, finding]
	preferred *memory[string, probe]    // by method: the probe that has worked
	proven    *memory[site, string]     // by site: a client whose name was turned away there that came without its secret
	lenient   *memory[site, struct{}]   // sites that have not
	secretive *memory[string, struct{}] // clients that have shown a secret that counts
	controls  flights[finding]
}

func newCalibrations() calibrations {
	const few, many = 64, 1 << 14
	return calibrations{
		strangers: newMemory[way, finding](many), clients: newMemory[account, finding](many),
		preferred: newMemory[string, probe](few), proven: newMemory[site, string](few),
		lenient: newMemory[site, struct{}](few), secretive: newMemory[string, struct{}](many),
	}
}

// known returns what is known of q at s without asking.
func (d *Delegate) known(s site, q question) finding {
	now := d.Now()
	w := wayOf(s, q)
	if f, _ := d.strangers.get(w, now); f.soundness > sound {
		return f
	}
	f, _ := d.clients.get(account{w, q.id}, now)
	return f
}

// calibrate finds out what an answer as to a client is worth for q at s. own reports that q itself was controlled, and
// not what came before it.
func (d *Delegate) calibrate(ctx context.Context, s site, q question) (f finding, own bool) {
	if q.method == MethodNone && d.secretive.has(q.id, d.Now()) {
		return finding{soundness: posing, why: "the client has a secret"}, false
	}
	key := account{wayOf(s, q), q.id}
	if f := d.calibrateStranger(ctx, s, q); f.soundness != sound {
		if !d.taken(s, f) {
			d.clients.put(key, f, d.Now(), vagueLife)
		}
		return f, false
	}
	if f, ok := d.clients.get(key, d.Now()); ok {
		return f, false
	}
	f = d.controls.do(key.key(), func() finding {
		own = true
		f := d.calibrateClient(ctx, s, q)
		d.clients.put(key, f, d.Now(), d.lifeOf(s, f))
		d.report(s, q, f)
		return f
	})
	if f.soundness == sound && !d.preferred.has(q.method, d.Now()) {
		d.preferred.put(q.method, s.probe, d.Now(), seenLife)
	}
	return f, own
}

// calibrateStranger asks as a client that does not exist. What says nothing is not remembered: it may be the upstream's
// way with the one address from which the push came, and the finding is everybody's.
func (d *Delegate) calibrateStranger(ctx context.Context, s site, q question) finding {
	key := wayOf(s, q)
	if f, ok := d.strangers.get(key, d.Now()); ok {
		return f
	}
	return d.controls.do(account{way: key}.key(), func() finding {
		f := d.judgeStranger(d.send(ctx, s, q.stranger()), s)
		switch now := d.Now(); {
		case f.soundness == sound:
			d.strangers.put(key, f, now, d.Calibrated)
		case d.taken(s, f):
			d.strangers.put(key, f, now, takenLife)
			if p, _ := d.preferred.get(q.method, now); p == s.probe {
				d.preferred.forget(q.method)
			}
		}
		d.report(s, q, f)
		return f
	})
}

// judgeStranger is judge for a client that does not exist. One upstream answers that with an internal error of its own;
// the client's own controls must do better.
func (d *Delegate) judgeStranger(a answer, s site) finding {
	f := d.judge(a, s, "a client that does not exist")
	if f.soundness == undecided && a.status == http.StatusInternalServerError && a.isJSON && a.code != "" {
		f.soundness = sound
	}
	return f
}

// calibrateClient asks as somebody who knows the client's name only. There are two questions at least, whatever is known
// of strangers: of two servers that take turns, the one that takes everybody for the client is then among them.
func (d *Delegate) calibrateClient(ctx context.Context, s site, q question) finding {
	switch {
	case q.asserts():
		return d.calibrateSigner(ctx, s, q)
	case q.method == MethodNone:
		return d.calibratePublic(ctx, s, q)
	}
	return d.calibrateSecret(ctx, s, q)
}

// calibrateSigner finds out whether the signature counts of a client that signs assertions.
func (d *Delegate) calibrateSigner(ctx context.Context, s site, q question) finding {
	f := d.judge(d.send(ctx, s, q.wrongSignature()), s, "an assertion that nobody has signed")
	if f.soundness == sound {
		f = d.judgeStranger(d.send(ctx, s, q.stranger()), s)
	}
	if f.soundness == sound {
		d.secretive.put(q.id, struct{}{}, d.Now(), seenLife)
	}
	return f
}

// calibrateSecret finds out whether the secret counts of a client that has shown one.
func (d *Delegate) calibrateSecret(ctx context.Context, s site, q question) finding {
	wrong := d.judge(d.send(ctx, s, q.wrongSecret()), s, "a wrong secret")
	if wrong.soundness == undecided {
		return wrong
	}
	none := d.judge(d.send(ctx, s, q.withoutSecret()), s, "the client without its secret")
	now := d.Now()
	switch {
	case none.soundness == undecided:
		return none
	case d.taken(s, wrong) && d.taken(s, none) && d.proven.has(s, now):
		none.soundness, none.why = posing, "the client is public: any secret will do, and none"
		return none
	case wrong.soundness != sound:
		return wrong
	case d.taken(s, none):
		d.lenient.put(s, struct{}{}, now, seenLife)
		return none
	case none.soundness != sound:
		return none
	}
	d.proven.put(s, q.id, now, seenLife)
	d.secretive.put(q.id, struct{}{}, now, seenLife)
	return none
}

// calibratePublic finds out whether a client that shows no secret has none. That a secret is ignored there may mean
// that it has none, or that this site looks at secrets late; so a client with a secret must have shown before that
// this site looks.
func (d *Delegate) calibratePublic(ctx context.Context, s site, q question) finding {
	if d.lenient.has(s, d.Now()) {
		return finding{soundness: unsound, why: "clients with a secret pass here without it"}
	}
	wrong := d.judge(d.send(ctx, s, q.wrongSecret()), s, "a secret for a client that showed none")
	if confidential, ok := d.proven.get(s, d.Now()); ok && d.taken(s, wrong) {
		// Unless it is this push's redirect_uri that makes them alike.
		wrong = d.judge(d.send(ctx, s, question{method: MethodNone, id: confidential, redirectURI: q.redirectURI}), s, "a client with a secret that showed none")
	}
	if wrong.soundness != sound {
		return wrong
	}
	return d.judgeStranger(d.send(ctx, s, q.stranger()), s)
}

// judge says what an answer shows that went to somebody who must not be authenticated. Only an OAuth error shows
// that a control was turned away for what it is.
func (d *Delegate) judge(a answer, s site, who string) finding {
	f := finding{unsound, a, fmt.Sprintf("%s is answered %s", who, a)}
	switch v := a.verdict(s.probe, d.Accept); {
	case v == candidate || s.probe.atToken() && d.accepts(a.code):
	case v == refused || a.isRefusal():
		f.soundness = sound
	case a.trouble():
		f.soundness = undecided
	}
	return f
}

func (d *Delegate) taken(s site, f finding) bool {
	return f.answer.verdict(s.probe, d.Accept) == candidate
}

func (d *Delegate) accepts(code string) bool {
	return code == codeInvalidGrant || slices.Contains(d.Accept, code)
}

func (d *Delegate) lifeOf(s site, f finding) time.Duration {
	switch {
	case f.soundness == sound:
		return d.Calibrated
	case f.soundness == posing, d.taken(s, f):
		return unsoundLife
	}
	return vagueLife
}

// likeStranger reports whether a says in an upstream's own words that there is no such client: it is what a stranger
// was told where clients are told something else. An internal error says that only of who was not right lately.
func (d *Delegate) likeStranger(s site, q question, a answer) bool {
	f, _ := d.strangers.get(wayOf(s, q), d.Now())
	return f.soundness == sound && d.proven.has(s, d.Now()) &&
		a.isJSON && a.code != "" && a.code != oauth.CodeInvalidRequest && a.status == f.answer.status && a.code == f.answer.code &&
		(a.isRefusal() || a.status == http.StatusInternalServerError && !q.trusted)
}

// report logs what a calibration has found.
func (d *Delegate) report(s site, q question, f finding) {
	fields := []zap.Field{zap.Stringer("probe", s.probe), zap.String("method", q.method), zap.String("finding", f.why)}
	switch {
	case f.soundness == sound:
		d.Log.Debug("a probe tells clients from others", fields...)
	case d.taken(s, f):
		d.Log.Warn("a probe is not believed: it takes others for a client", fields...)
	default:
		d.Log.Info("a probe is not believed: it does not tell a client from others", fields...)
	}
}
