package proxy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pargate/proxy/client"
	"pargate/proxy/metrics"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/rewrite"
)

const (
	dryRunTimeout  = 2 * time.Second // for the whole answer
	maxDryRuns     = 16              // at once; a push that finds no room goes without
	maxDryRunQuery = 8 << 10         // in bytes, where requests go upstream in a form and a query may be too long
	maxDryRunBody  = 64 << 10        // of the answer, in bytes
)

// dryRun asks the upstream at push time whether it would take a request (RFC 9126 §2.1, step 3).
type dryRun struct {
	transport http.RoundTripper // which knows no cookies and follows no redirects
	room      chan struct{}
	off       atomic.Bool // the upstream has signed somebody in
}

func newDryRun(transport http.RoundTripper) *dryRun {
	return &dryRun{transport: transport, room: make(chan struct{}, maxDryRuns)}
}

// opinion is what an answer says about a request.
type opinion struct {
	verdict string
	why     string // for the log
	code    string // of a rejection, for the client
	status  int    // of the answer; zero: there was none
}

const (
	verdictAccepted = "accepted"   // what was missing was the user
	verdictRejected = "rejected"   // a browser would be told the same
	verdictNone     = "no opinion" // which is never proof
	verdictGranted  = "granted"    // to nobody
	verdictNotAsked = "not asked"
)

// opinions are the metrics' words for the verdicts.
var opinions = map[string]metrics.Opinion{verdictAccepted: metrics.OpinionAccepted, verdictRejected: metrics.OpinionRejected,
	verdictNone: metrics.OpinionNone, verdictGranted: metrics.OpinionGranted, verdictNotAsked: metrics.OpinionNotAsked}

// errWouldRefuse is in the error for a request that the upstream would refuse.
var errWouldRefuse = errors.New("dry run")

// tryOut returns the error with which the upstream would refuse the request; nil also when it cannot tell.
func (s *Server) tryOut(r *http.Request, c *client.Client, request pushstore.Request) (metrics.Opinion, error) {
	if s.dryRun == nil {
		return metrics.OpinionNotAsked, nil
	}
	o := s.opinionOn(r, c, request)
	counted := opinions[o.verdict]
	s.Metrics.DryRuns.Inc(counted)
	level := zap.InfoLevel
	switch o.verdict {
	case verdictNotAsked:
		level = zap.DebugLevel
	case verdictGranted:
		if !s.dryRun.off.Swap(true) {
			s.Log.Error("the authorization server signs a visitor in whom nobody has logged in; the dry run is off until the next start",
				zap.Inline(exchangeOf(r)), zap.String("reason", o.why))
		}
		o.verdict = verdictNone
	}
	s.Log.Log(level, "dry run", zap.Inline(exchangeOf(r)), zap.String("opinion", o.verdict), zap.Int("upstream_status", o.status),
		zap.String("reason", o.why))
	if o.verdict != verdictRejected {
		return counted, nil
	}
	refused := &oauth.Error{Status: http.StatusBadRequest, Code: o.code, Description: "the authorization server would refuse this request at its authorization endpoint"}
	return counted, fmt.Errorf("%w: %w", errWouldRefuse, refused.Because(errors.New(o.why)))
}

// opinionOn asks, if this client's request is one to ask about. A public client has not proved who it is: anybody could
// have the upstream asked in its name.
func (s *Server) opinionOn(r *http.Request, c *client.Client, request pushstore.Request) opinion {
	e := exchangeOf(r).endpoints
	query, _ := rewrite.Expand(e.authorizeQuery[e.authorize[0]], request.Query, "", func(string) bool { return false })
	address := s.atUpstream(e, e.public.String()+e.authorize[0])
	switch {
	case s.dryRun.off.Load():
		return opinion{verdict: verdictNotAsked, why: "it is off since the authorization server has signed somebody in"}
	case c.Public():
		return opinion{verdict: verdictNotAsked, why: "the client is public"}
	case address == "":
		return opinion{verdict: verdictNotAsked, why: "the authorization endpoint has no address"}
	case s.AuthorizeByPOST && len(query) > maxDryRunQuery:
		return opinion{verdict: verdictNone, why: "the request is too long for a query"}
	}
	select {
	case s.dryRun.room <- struct{}{}:
		defer func() { <-s.dryRun.room }()
	default:
		return opinion{verdict: verdictNone, why: "too many at once"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), dryRunTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+query, nil)
	if err != nil {
		return opinion{verdict: verdictNone, why: "the request cannot be made"}
	}
	s.prepareProbe(req)
	res, err := s.dryRun.transport.RoundTrip(req)
	if errors.Is(err, context.Canceled) {
		return opinion{verdict: verdictNone, why: "the client went away"}
	}
	if err != nil {
		return opinion{verdict: verdictNone, why: kindOf(err).Error()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDryRunBody))
	a := &dryAnswer{Response: res, server: s, known: e, request: request, body: body, whole: err == nil}
	o := a.opinion()
	o.status = res.StatusCode
	return o
}

// dryAnswer is what the upstream has answered to a dry run.
type dryAnswer struct {
	*http.Response
	server  *Server
	known   *endpoints
	request pushstore.Request
	body    []byte // its beginning
	whole   bool   // the body did not break off
}

// opinion reads the answer. A Location counts whatever the status: one server sends errors to clients with 400.
func (a *dryAnswer) opinion() opinion {
	for _, sent := range a.sent() {
		if !sent.LeadsTo(a.request.RedirectURI) {
			continue
		}
		params := a.paramsOf(sent)
		codes, isError := params["error"]
		switch {
		case sent.Grants && !sent.Signed || sent.Signed && !isError:
			return opinion{verdict: verdictGranted, why: "an authorization response with a code or a token, which was thrown away"}
		case sent.form != nil || sent.refresh:
			return opinion{verdict: verdictNone, why: "an error on a page"}
		case isError:
			return a.judge(codes, params.Get("error_description"))
		}
	}
	if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusNotFound {
		return opinion{verdict: verdictNone, why: "neither a refusal nor a redirect to the client"}
	}
	if !a.whole {
		return opinion{verdict: verdictNone, why: "the answer broke off"}
	}
	var told struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(a.body, &told) == nil && told.Error != "" {
		return a.judge([]string{told.Error}, told.Description)
	}
	if params, _ := url.ParseQuery(a.request.Query); slices.Contains(strings.Fields(params.Get(oauth.ParamPrompt)), "none") {
		return opinion{verdict: verdictNone, why: "a refusal without a code, which may mean that the user has to log in"}
	}
	return opinion{verdict: verdictRejected, code: oauth.CodeInvalidRequest, why: "a refusal without a code" + a.inItsWords(a.plainText())}
}

// sent finds the authorization responses in the answer, as Server.respond does in one for a browser.
func (a *dryAnswer) sent() []sentResponse {
	r := &reply{Response: a.Response, server: a.server, x: &exchange{endpoints: a.known, path: a.known.authorize[0]}}
	if isPage(a.Header) && !isUTF16(a.body) {
		r.page = &htmlPage{forms: rewrite.Forms(a.body), refreshes: rewrite.Refreshes(a.body)}
	}
	return r.parse()
}

// paramsOf returns the parameters of an authorization response, those in a signed one too. The signature is nobody's
// business here: nothing is granted for it.
func (a *dryAnswer) paramsOf(sent sentResponse) url.Values {
	params := url.Values{}
	switch {
	case sent.form != nil:
		for _, field := range sent.form.Fields {
			params.Add(field.Name, field.Value)
		}
	case !sent.refresh:
		before, fragment, _ := strings.Cut(a.Header.Get("Location"), "#")
		_, query, _ := strings.Cut(before, "?")
		for _, part := range []string{query, fragment} {
			for pair := range rewrite.StrictPairs(part) {
				params.Add(pair.Name, pair.Value)
			}
		}
	}
	if sent.Signed {
		return signedParams(params.Get("response"))
	}
	return params
}

// signedParams reads the error of a signed authorization response (JARM §2.1); empty when it has a code as well, or cannot be
// read.
func signedParams(token string) url.Values {
	params := url.Values{}
	parts := strings.Split(token, ".")
	var claims map[string]any
	if len(parts) != 3 {
		return params
	}
	if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(raw, &claims) != nil {
		return params
	}
	for _, grant := range []string{"code", "id_token", "access_token"} {
		if claims[grant] != nil {
			return params
		}
	}
	for _, name := range []string{"error", "error_description"} {
		if text, ok := claims[name].(string); ok {
			params.Set(name, text)
		}
	}
	return params
}

// needsUser are the errors that say that the request was taken so far, and that there is no user (OpenID Connect Core
// §3.1.2.6, and OpenID Connect Core Error Code unmet_authentication_requirements). They never answer a push (RFC 9126 §2.3).
var needsUser = []string{"login_required", "consent_required", "interaction_required", "account_selection_required", "unmet_authentication_requirements"}

// ofTheMoment are the errors that say nothing about the request.
var ofTheMoment = []string{"access_denied", oauth.CodeTemporarilyUnavailable, oauth.CodeServerError}

// codePattern is an error code as RFC 6749 §4.1.2.1 has it, of a length that codes have.
var codePattern = regexp.MustCompile(`^[\x20\x21\x23-\x5B\x5D-\x7E]{1,64}$`)

// judge says what an error means. Of several, the harmless ones count: a push that should be refused is refused later.
func (a *dryAnswer) judge(codes []string, description string) opinion {
	has := func(list []string) bool {
		return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(list, strings.ToLower(code)) })
	}
	code, shown := codes[0], codes[0]
	if !codePattern.MatchString(code) || a.repeatsPushed(code) {
		code, shown = oauth.CodeInvalidRequest, "of an odd form, "+clip(a.withoutPushed(shown), 64)
	}
	why := "error " + shown + a.inItsWords(description)
	switch {
	case has(needsUser):
		return opinion{verdict: verdictAccepted, why: why}
	case has(ofTheMoment):
		return opinion{verdict: verdictNone, why: why}
	}
	return opinion{verdict: verdictRejected, code: code, why: why}
}

// plainText is the body of an answer that is meant to be read; empty for a page.
func (a *dryAnswer) plainText() string {
	if mediaType, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); mediaType != "text/plain" {
		return ""
	}
	return string(a.body)
}

// inItsWords is what the upstream says itself, for the log alone.
func (a *dryAnswer) inItsWords(words string) string {
	if words = strings.TrimSpace(words); words == "" {
		return ""
	}
	return ": " + clip(a.withoutPushed(words), 256)
}

// loggable are the parameters whose values may stand in the log.
var loggable = []string{oauth.ParamClientID, oauth.ParamResponseType, oauth.ParamScope, oauth.ParamPrompt, oauth.ParamMaxAge, oauth.ParamCodeChallengeMethod,
	"response_mode", "display", "ui_locales", "acr_values"}

// secret yields the pushed parameters that may not.
func (a *dryAnswer) secret() iter.Seq[rewrite.Pair] {
	return func(yield func(rewrite.Pair) bool) {
		for pair := range rewrite.StrictPairs(a.request.Query) {
			if !slices.Contains(loggable, pair.Name) && !yield(pair) {
				return
			}
		}
	}
}

// repeatsPushed reports whether a code is not the upstream's own: it would be logged.
func (a *dryAnswer) repeatsPushed(code string) bool {
	for pair := range a.secret() {
		if len(pair.Value) >= 8 && strings.Contains(code, pair.Value) {
			return true
		}
	}
	return false
}

// withoutPushed takes what was pushed out of the upstream's words, which like to repeat it: values, and the longer words
// in them however they are encoded.
func (a *dryAnswer) withoutPushed(text string) string {
	var replacements []string
	for pair := range a.secret() {
		substitute := "[...]"
		if namePattern.MatchString(pair.Name) {
			substitute = "[" + pair.Name + "]"
		}
		if len(pair.Value) >= 4 {
			replacements = append(replacements, pair.Value, substitute, url.QueryEscape(pair.Value), substitute, html.EscapeString(pair.Value), substitute)
		}
		for _, word := range strings.FieldsFunc(pair.Value, dividesWords) {
			if len(word) >= 6 {
				replacements = append(replacements, word, substitute)
			}
		}
	}
	return strings.NewReplacer(replacements...).Replace(text)
}

// dividesWords reports whether a character is written differently in different encodings.
func dividesWords(r rune) bool {
	return !strings.ContainsRune("-._~", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
