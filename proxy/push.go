package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/client"
	"pargate/proxy/dpop"
	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
)

// countedPush is push, and counts what has come of it.
func (s *Server) countedPush(w http.ResponseWriter, r *http.Request) error {
	err := s.push(w, r)
	s.Metrics.Pushes.Inc(pushOutcome(r, err))
	return err
}

// push is the pushed authorization request endpoint (RFC 9126 §2).
func (s *Server) push(w http.ResponseWriter, r *http.Request) error {
	// 1. Decode the form, and take the credentials out of it.
	cred, params, err := s.decodePush(r)
	if err != nil {
		return err
	}

	exchangeOf(r).redirectURI = params.Get(oauth.ParamRedirectURI)

	// 2. Authenticate the client (RFC 9126 §2.1, step 1), not faster than it may push.
	c, err := s.authenticate(r, cred)
	if err != nil {
		return challenging(r, err)
	}
	exchangeOf(r).clientID = c.ID

	// 3. Read what it asks for: what its request object says, when there is one (RFC 9126 §3).
	e := exchangeOf(r).endpoints
	request, err := s.readRequest(r.Context(), e, c, params)
	if err != nil {
		return err
	}

	// 4. Verify the DPoP proof, if there is one, and bind the request to its key (RFC 9449 §10.1).
	proof, bound, err := s.bindToKey(r, request.params)
	if err != nil {
		return err
	}

	// 5. Validate as the authorization endpoint would (RFC 9126 §2.1, step 3).
	kept, err := s.validate(e, c, bound)
	if err != nil {
		return err
	}
	kept.Signed = request.signed

	// 6. Ask the authorization server, where that is wanted, whether it would take the request.
	tried, err := s.tryOut(r, c, kept)
	if err != nil {
		return err
	}

	// 7. Use the proof up. Last, so that what is refused for another reason uses nothing up.
	if err := s.useUp(r, c, proof); err != nil {
		return err
	}

	// 8. Store. From here on the request exists, also when the client does not hear of it.
	ref, err := s.Store.Put(r.Context(), pushstore.Party{Issuer: e.issuer, ClientID: c.ID}, kept, request.lifetime)
	if err != nil {
		return oauth.TemporarilyUnavailable("the request could not be stored; push it again" + anew(cred, proof)).Because(err)
	}

	exchangeOf(r).joins(ref)
	s.Log.Info("pushed", zap.Inline(exchangeOf(r)), zap.String("client_id", clip(c.ID, 128)),
		zap.String("method", cred.Method), zap.Bool("listed", kept.Listed), zap.Bool("public", c.Public()),
		zap.Strings("checked_by_registry", c.Described()), zap.Bool("dry_run", s.DryRun), zap.Bool("signed", request.signed), zap.Bool("dpop", proof != nil))

	s.Metrics.RedirectChecks.Inc(checkedBy(c, tried))

	// 9. Answer (RFC 9126 §2.2).
	return writeCreated(w, ref, request.lifetime)
}

// checkedBy is what has said that the redirect_uri of a push is the client's.
func checkedBy(c *client.Client, tried metrics.Opinion) metrics.Checked {
	switch {
	case c.RedirectURIs != nil:
		return metrics.CheckedByRegistry
	case tried == metrics.OpinionAccepted:
		return metrics.CheckedByDryRun
	}
	return metrics.CheckedByNobody
}

// anew says what a push needs anew when it is repeated: assertions and proofs are taken once.
func anew(cred client.Credentials, proof *dpop.Proof) string {
	asserted := cred.Method == client.MethodSecretJWT || cred.Method == client.MethodPrivateKeyJWT
	switch {
	case asserted && proof != nil:
		return ", with a new client_assertion and a new DPoP proof"
	case asserted:
		return ", with a new client_assertion"
	case proof != nil:
		return ", with a new DPoP proof"
	}
	return ""
}

// decodePush reads the form. Nothing is ever read from the query: it would stand in logs.
func (s *Server) decodePush(r *http.Request) (client.Credentials, oauth.Params, error) {
	none := client.Credentials{}
	switch mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case exchangeOf(r).endpoints == nil:
		return none, nil, oauth.TemporarilyUnavailable("the authorization server is not known yet")
	case r.Method != http.MethodPost:
		return none, nil, oauth.MethodNotAllowed()
	case err != nil || mediaType != formType || len(r.Header["Content-Type"]) > 1:
		return none, nil, oauth.UnsupportedMediaType("push a form: " + formType).Because(itIsOfType(r.Header))
	case len(r.Header["Content-Encoding"]) > 0:
		return none, nil, oauth.UnsupportedMediaType("push the form without Content-Encoding")
	case hasCredentials(r.URL.RawQuery):
		return none, nil, oauth.InvalidRequest("credentials do not belong in the query; change them, they are in logs now")
	}
	body, err := readAtMost(r, s.MaxPushBytes)
	if err != nil {
		return none, nil, err
	}
	form, err := oauth.ParseForm(string(body))
	if err != nil {
		return none, nil, err
	}
	cred, params, err := client.Read(r.Header, form)
	return cred, params, challenging(r, err)
}

// challenging names the scheme in a 401 to a client that has used the Authorization header (RFC 6749 §5.2). Others do not
// get one, though RFC 9110 §15.5.2 asks for it in every 401: browsers would ask their users for a password, and client
// libraries in use read it before the error, which their developers then never see.
func challenging(r *http.Request, err error) error {
	var told *oauth.Error
	if errors.As(err, &told) && told.Status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		told.Challenging()
	}
	return err
}

// readAtMost returns a body of at most limit bytes; of a longer one it keeps nothing.
func readAtMost(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit).ChangedBy("PAR_MAX_BYTES")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, bodyIncomplete(err)
	case int64(len(body)) > limit:
		return nil, bodyTooLarge(limit).ChangedBy("PAR_MAX_BYTES")
	}
	exchangeOf(r).bodyArrived = true
	return body, nil
}

// authenticator decides whether a push comes from its client.
type authenticator interface {
	// Authenticate returns the client that cred proves to the server at; the error is one to tell (*oauth.Error).
	Authenticate(ctx context.Context, cred client.Credentials, at client.Server) (*client.Client, error)
}

// authenticate returns the client that pushes. Only clients that exist have a bucket of their own, so that made-up
// names take nobody's place.
func (s *Server) authenticate(r *http.Request, cred client.Credentials) (*client.Client, error) {
	name := ""
	listed := s.Clients.Identify(cred)
	if listed != nil {
		name = listed.ID
	}
	if ok, wait := s.limiter.allow(name, exchangeOf(r).origin.network()); !ok {
		s.Metrics.RateLimited.Inc(metrics.LimitedPushes)
		return nil, oauth.TooManyRequests(wait).ChangedBy("RATE_LIMIT")
	}
	certificate, err := s.clientCertificate(r)
	if err != nil { // which matters to clients that have nothing else
		s.Log.Info("a client's certificate is unreadable", zap.Inline(exchangeOf(r)), zap.Error(err))
	}
	cred.Certificate = certificate
	if err := s.checkMethod(cred, listed); err != nil {
		return nil, err
	}
	e := exchangeOf(r).endpoints
	return s.clientAuth.Authenticate(r.Context(), cred, e.asServer())
}

// withClientID puts the client_id into a request whose client has named itself in the Authorization header alone.
func withClientID(params oauth.Params, id string) oauth.Params {
	if params.Get(oauth.ParamClientID) != "" {
		return params
	}
	return append(oauth.Params{{Name: oauth.ParamClientID, Value: id}}, params...)
}

func writeCreated(w http.ResponseWriter, ref pushstore.Reference, lifetime time.Duration) error {
	body, err := json.Marshal(struct {
		RequestURI string `json:"request_uri"`
		ExpiresIn  int    `json:"expires_in"`
	}{oauth.RequestURIPrefix + string(ref), int(lifetime / time.Second)})
	if err != nil {
		return errors.Join(errors.New("encoding the answer"), err)
	}
	oauth.NoStore(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	w.Write(body)
	return nil
}
