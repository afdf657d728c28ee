package pattern

import (
	"cmp"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// The one user. The password has what forms and charsets spoil.
const (
	User     = "anna"
	Password = "grün & 100 %+x"
)

// Pattern is a kind of authorization server.
type Pattern struct {
	Name       string
	Authorize  string   // path of the authorization endpoint
	Modes      []string // values of response_mode that are obeyed; others are ignored
	POST       bool     // the authorization endpoint takes the request in a body too
	Session    bool     // who is logged in is not asked for a password again
	Single     bool     // a session holds one request at a time, so that two tabs disturb each other
	Consent    bool     // there is a page with Allow and Deny, and Deny is told to the client
	Hidden     []string // names whose values stand in hidden fields of the consent form
	Shown      []string // names that the login application needs in its own address
	Loses      []string // names that get lost on the way
	Reencodes  bool     // a plus sign becomes a blank on the way
	NoPassword bool     // a password is never asked for
	Login      bool     // prompt=login is obeyed

	lastWins     bool   // of two values of a name, the last is taken
	status       int    // of redirects; zero means 302
	repeats      string // body of a redirect, with %s for where it leads; empty: none
	iss          bool   // responses name the issuer (RFC 9207)
	errorsAre400 bool   // an error has a Location, status 400 and a JSON body
	untyped      bool   // the form_post page has no Content-Type
	charset      string // of pages; empty: UTF-8
	handlers     map[string]handler
	application  handler // the login application on another origin; nil: there is none
}

// All returns every pattern.
func All() []Pattern {
	return []Pattern{
		opaqueID(), connectorHop(), connectorPage(), foreignLogin(), interaction(), rememberedURL(), carriedURL(), nextField(),
		absoluteAddress(), sameAddress(), bodyOnlyConsent(), returnTo(), callbackApp(), sessionForm(), negotiate(), inPlaceForm(),
	}
}

// Server is a stand-in. It is an http.Handler.
type Server struct {
	Pattern
	Cookie      string // name of the session's; empty means sid
	URL         string
	Application string // origin of the foreign login application; empty: there is none

	mu           sync.Mutex // held while a request is answered
	issuer       string
	redirectURIs map[string][]string // by client_id
	sessions     map[string]*session // by cookie
	kept         map[string]any      // whatever an id in an address stands for
	codes        map[string]Asked
	told         map[string]Asked // of codes that were redeemed too
}

// session is what the server knows of a browser.
type session struct {
	user     string
	returnTo string // an address, or what else a pattern goes back to
	asked    Asked
	csrf     string
}

// handler answers a request to one path, or to any path below one that ends in a slash.
type handler func(*exchange)

// New makes a stand-in; Listening says where it is. Clients are registered redirect_uris by client_id.
func (p Pattern) New(clients map[string][]string) *Server {
	return &Server{Pattern: p, redirectURIs: clients, sessions: map[string]*session{}, kept: map[string]any{}, codes: map[string]Asked{}, told: map[string]Asked{}}
}

// ServesApplication reports whether there is a login application, which wants an origin of its own.
func (p Pattern) ServesApplication() bool { return p.application != nil }

// Listening says where the server answers, which is its issuer until SetIssuer says otherwise, and where its login application
// does; empty: there is none.
func (s *Server) Listening(url, application string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.URL, s.issuer, s.Application = url, url, application
}

// SetIssuer says under which URL browsers know the server: the gateway's.
func (s *Server) SetIssuer(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer = issuer
}

// Believed returns the request that a code stands for, whether or not it has been redeemed.
func (s *Server) Believed(code string) (Asked, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, ok := s.told[code]
	return asked, ok
}

// ServeHTTP implements http.Handler. One request is answered at a time.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(x *exchange) {
		if x.path == "/.well-known/openid-configuration" {
			x.metadata()
			return
		}
		s.route(x.path)(x)
	})
}

// ServeApplication is the login application on another origin.
func (s *Server) ServeApplication(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, s.application)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, h handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h(newExchange(s, w, r, string(body)))
}

// route finds the handler of a path, or of all below one that ends in a slash.
func (s *Server) route(path string) handler {
	if path == "/token" {
		return (*exchange).token
	}
	if h := s.handlers[path]; h != nil {
		return h
	}
	if h := s.handlers[path[:strings.LastIndex(path, "/")+1]]; h != nil {
		return h
	}
	return (*exchange).lost
}

func (x *exchange) metadata() {
	x.json(http.StatusOK, map[string]any{"issuer": x.issuer, "authorization_endpoint": x.issuer + x.Authorize, "token_endpoint": x.issuer + "/token"})
}

// keep makes an id for something.
func (s *Server) keep(value any) string {
	id := rand.Text()
	s.kept[id] = value
	return id
}

// exchange is a request and the response to it.
type exchange struct {
	*Server
	w           http.ResponseWriter
	r           *http.Request
	path        string // without a doubled slash
	text        string // the body
	query, body url.Values
}

func newExchange(s *Server, w http.ResponseWriter, r *http.Request, body string) *exchange {
	path := "/" + strings.TrimLeft(r.URL.Path, "/")
	x := &exchange{Server: s, w: w, r: r, path: path, text: body, query: r.URL.Query(), body: url.Values{}}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		x.body, _ = url.ParseQuery(body)
	}
	return x
}

// lost is what a server says that does not know what this is about.
func (x *exchange) lost() { http.Error(x.w, "not found, or not any more", http.StatusNotFound) }

func (x *exchange) post() bool { return x.r.Method == http.MethodPost }

// origin is what the server takes for its own, from what the proxy in front of it says.
func (x *exchange) origin() string {
	scheme := x.r.Header.Get("X-Forwarded-Proto")
	if scheme == "" {
		scheme = "http"
	}
	return scheme + "://" + x.r.Host
}

// session returns the browser's session, which begins with its first use.
func (x *exchange) session() *session {
	name := cmp.Or(x.Cookie, "sid")
	if c, err := x.r.Cookie(name); err == nil && x.sessions[c.Value] != nil {
		return x.sessions[c.Value]
	}
	id, s := rand.Text(), &session{csrf: rand.Text()}
	x.sessions[id] = s
	http.SetCookie(x.w, &http.Cookie{Name: name, Value: id, Path: "/", HttpOnly: true})
	x.r.AddCookie(&http.Cookie{Name: name, Value: id}) // for the next call
	return s
}
