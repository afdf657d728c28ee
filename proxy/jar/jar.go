package jar

import (
	"errors"
	"fmt"
	"time"

	"pargate/proxy/jwt"
	"pargate/proxy/oauth"
)

// maxLife is how far exp may lie ahead; for FAPI 2.0 Message Signing §5.3.1 also behind nbf, and nbf this far back.
const maxLife = time.Hour

// kind: a type is not required, since most clients do not set it; other kinds of JWT have types of their own (RFC 9101
// §10.8).
var kind = jwt.Kind{Types: []string{"", "jwt", "oauth-authz-req+jwt"}, Use: "oauth-authz-req+jwt, JWT or none", Most: 1000}

// Read reads a request object, and refuses what no client may send. Nothing in it is proven. The error is one to tell
// (*oauth.Error).
func Read(text string) (*jwt.Token, error) {
	token, err := jwt.Parse(text, kind)
	if err != nil {
		return nil, refused(err)
	}
	return token, nil
}

// Rules say which request objects are taken.
type Rules struct {
	Issuer   string // the authorization server's identifier, which must be in aud
	ClientID string // of the client that has signed
	FAPI     bool   // iss and nbf are required, and the times of FAPI 2.0 Message Signing §5.3.1 hold
	Now      time.Time
}

// Request is the authorization request in a request object.
type Request struct {
	Params  oauth.Params // by name; only resource may occur twice
	Expires time.Time    // when the request object, and whatever is made of it, is over
}

// Open returns the request in a request object that the client has signed (RFC 9101 §6.3). The error is one to tell
// (*oauth.Error), and repeats nothing of the object.
func Open(token *jwt.Token, rules Rules) (Request, error) {
	if err := rules.checkEnvelope(token); err != nil {
		return Request{}, refused(err)
	}
	expires, err := rules.checkTimes(token)
	if err != nil {
		return Request{}, refused(err)
	}
	params, err := paramsOf(token.Claims)
	if err != nil {
		return Request{}, refused(err)
	}
	return Request{Params: params, Expires: expires}, nil
}

// refused tells the client's developer what is wrong (RFC 9101 §7).
func refused(cause error) error {
	return oauth.InvalidRequestObject("the request object " + cause.Error())
}

// checkEnvelope looks at whom the request object is from and for (RFC 9101 §4, §10.8).
func (r Rules) checkEnvelope(token *jwt.Token) error {
	claims := token.Claims
	var id, issuer, subject string
	switch {
	case !claims.Text(oauth.ParamClientID, &id) || id != r.ClientID:
		return errors.New("must have the client_id of the client that sends it")
	case claims["iss"] == nil && r.FAPI:
		return errors.New("has no iss; it must be the client_id")
	case claims["iss"] != nil && (!claims.Text("iss", &issuer) || issuer != r.ClientID):
		return errors.New("has an iss that is not the client_id")
	case claims.Text("sub", &subject) && subject == r.ClientID:
		return errors.New("must not have the client_id as sub; it could be taken for a client assertion")
	}
	audience, err := token.Audience()
	switch {
	case err != nil:
		return err
	case !audience.Has(r.Issuer):
		return errors.New("has another aud; use the issuer, alone or among others")
	}
	for _, name := range []string{oauth.ParamRequest, oauth.ParamRequestURI} {
		if _, there := claims[name]; there {
			return fmt.Errorf("must not have %s in it", name)
		}
	}
	return nil
}

// checkTimes returns when the request object is over. It is not taken beyond its exp, not even by the seconds that
// clocks differ: what is made of it lives at least a second.
func (r Rules) checkTimes(token *jwt.Token) (expires time.Time, err error) {
	times, err := token.Times()
	if err != nil {
		return expires, err
	}
	if times.Expires == nil {
		return expires, errors.New("has no exp")
	}
	expires = time.UnixMilli(int64(*times.Expires * 1000))
	switch {
	case expires.Before(r.Now.Add(time.Second)):
		return expires, errors.New("has expired")
	case *times.Expires > jwt.Seconds(r.Now.Add(jwt.MaxAhead+maxLife)):
		return expires, fmt.Errorf("has an exp that is more than %d minutes ahead", maxLife/time.Minute)
	}
	if err := times.CheckNotAhead(r.Now); err != nil {
		return expires, err
	}
	switch {
	case !r.FAPI:
	case times.NotBefore == nil:
		err = errors.New("has no nbf")
	case *times.Expires > *times.NotBefore+maxLife.Seconds(): // so that the nbf of one that has not expired is no older than that
		err = fmt.Errorf("has an exp that is more than %d minutes after its nbf", maxLife/time.Minute)
	}
	return expires, err
}
