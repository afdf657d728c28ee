package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"pargate/proxy/oauth"
)

// question is what the upstream is asked: are these this client's credentials? It names one client and one method.
type question struct {
	method    string
	id        string
	secret    hidden[string]     // as it stood on the wire
	assertion hidden[unverified] // nil: the method is another
	trusted   bool               // the same was right lately

	redirectURI string // of the push; empty: none
}

func (q question) asserts() bool { return q.assertion != nil }

// questionOf returns the question that a client's credentials pose. An error depends on their form alone, so it says
// nothing about which clients there are.
func questionOf(cred Credentials) (question, error) {
	proof := cred.proof.value()
	q := question{method: cred.Method, id: cred.ClientID}
	switch {
	case proof.assertion != nil:
		if _, err := cred.clientIDs(); err != nil {
			return q, err
		}
		a := unverifiedOf(proof.assertion)
		if q.id, q.assertion = a.claims.issuer, hide(a); a.signature == 0 {
			return q, q.failed(errors.New("the assertion is not signed"))
		}
	case cred.Method == MethodBasic:
		if err := q.readBasic(proof); err != nil {
			return q, err
		}
	case cred.Method == MethodPost:
		q.secret = hide(proof.secrets[0])
	case cred.Method != MethodNone:
		return q, oauth.InvalidClient(cred.Method+" cannot be used here by a client that only the authorization server knows", false).ChangedBy("CLIENTS_FILE")
	}
	switch {
	case q.id == "":
		return q, oauth.InvalidClient("client_id is missing", false)
	case len(q.id) > maxIDLength || strings.ContainsFunc(q.id, unicode.IsControl):
		return q, q.failed(errors.New("the client_id is too long or has a control character"))
	}
	return q, nil
}

// readBasic reads the credentials of a Basic header, whose two encodings are two texts of the id and of the secret.
// Which of the two the upstream reads is not known. The secret is sent on as it came, and is then right or wrong in
// the same way as at the token endpoint. The id must say who was authenticated: it is what RFC 6749 §2.3.1 makes of
// the header, written so that both readings of it are the same one. Where that is impossible, nobody is asked: at an
// upstream that does not decode, the client a%2Bb could otherwise push as a+b.
func (q *question) readBasic(proof proof) error {
	switch q.id {
	case "", proof.ids[0]:
	case proof.ids[len(proof.ids)-1]:
		return ambiguousID()
	default:
		return oauth.InvalidRequest("client_id in the form is not the client of the Authorization header")
	}
	q.id = proof.ids[0]
	if strings.ContainsFunc(q.id, func(r rune) bool { return r > unicode.MaxASCII || strings.ContainsRune("%+:", r) }) {
		return ambiguousID()
	}
	secret := proof.secrets[len(proof.secrets)-1]
	if secret == "" {
		return q.failed(errors.New("an empty secret; a public client sends its client_id alone"))
	}
	q.secret = hide(secret)
	return nil
}

func ambiguousID() error {
	return oauth.InvalidClient("a client_id with one of % + : or beyond ASCII is ambiguous in Basic credentials; send the secret in the form", true)
}

// failed is the one answer to everybody who is not authenticated.
func (q question) failed(cause error) *oauth.Error {
	return oauth.InvalidClient("client authentication failed", q.method == MethodBasic).Because(cause)
}

// client returns the client that q has proven to be, or whose public id it is.
func (q question) client() *Client { return &Client{ID: q.id, AuthMethods: []string{q.method}} }

// Negative controls: who asks like this must not be taken for the client.

// wrongSecret is q with a secret that is not the client's. A public client has none, and may have any ignored.
func (q question) wrongSecret() question {
	q.secret = hide(madeUpSecret(len(q.secret.value())))
	if q.method == MethodNone {
		q.method = MethodPost
	}
	return q
}

// madeUpSecret returns a secret that is nobody's, as long as the one that it stands for: some upstreams treat others
// in another way.
func madeUpSecret(length int) string {
	text := rand.Text()
	for len(text) < length {
		text += rand.Text()
	}
	return text[:max(length, 16)]
}

// withoutSecret is q without any proof.
func (q question) withoutSecret() question {
	return question{method: MethodNone, id: q.id, redirectURI: q.redirectURI}
}

// wrongSignature is q with an assertion that has a jti of its own and was signed by nobody.
func (q question) wrongSignature() question {
	q.assertion = hide(q.assertion.value().forged(nil))
	return q
}

// stranger is q from a client that does not exist.
func (q question) stranger() question {
	q.id = strangeID(q.id)
	switch {
	case q.asserts():
		q.assertion = hide(q.assertion.value().forged(&q.id))
	case q.method != MethodNone:
		q.secret = hide(rand.Text())
	}
	return q
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// strangeID returns the id of a client that does not exist, and a UUID where ids are such: some upstreams fail on
// what is none, and that would say nothing.
func strangeID(id string) string {
	if !uuid.MatchString(id) {
		return "pargate-" + strings.ToLower(rand.Text())
	}
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
