// Package upstream has a stand-in for a legacy authorization server. It has no PAR, keeps the request behind an
// opaque id while the user logs in, and records everything that reaches it.
package upstream

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Request is one request as it arrived.
type Request struct {
	Method string
	Target string // the request line's
	Host   string
	Header http.Header
	Body   string
}

// Query returns the query, decoded.
func (r Request) Query() url.Values {
	_, query, _ := strings.Cut(r.Target, "?")
	values, _ := url.ParseQuery(query)
	return values
}

// Path returns the path as it arrived.
func (r Request) Path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// Recorder is the stand-in. Its fields may be changed before the first request.
type Recorder struct {
	URL       string
	Issuer    string            // what the metadata says
	Authorize string            // path of the authorization endpoint, which may have a query
	Metadata  map[string]string // documents by path; nil: an OpenID Connect one for Issuer
	Instant   bool              // answer the authorization request at once, as for a user with a session

	// Handlers answer paths in place of the stand-in's own behaviour.
	Handlers map[string]http.HandlerFunc

	mu       sync.Mutex
	requests []Request
	raw      bytes.Buffer
	sessions []url.Values
}

// New starts a stand-in that ends with the test.
func New(t testing.TB, change ...func(*Recorder)) *Recorder {
	r := &Recorder{Authorize: "/authorize", Handlers: map[string]http.HandlerFunc{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: tee{listener, r}, Config: &http.Server{Handler: r, MaxHeaderBytes: 1 << 20, DisableGeneralOptionsHandler: true}}
	server.Start()
	t.Cleanup(server.Close)
	r.URL = server.URL
	for _, f := range change {
		f(r)
	}
	return r
}

// Requests returns what has arrived so far, without requests for metadata.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Last returns what arrived last; the zero Request when nothing has.
func (r *Recorder) Last() Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) == 0 {
		return Request{}
	}
	return r.requests[len(r.requests)-1]
}

// Raw returns every byte that has arrived, metadata requests included.
func (r *Recorder) Raw() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.String()
}

// ServeHTTP implements http.Handler.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	path, _, _ := strings.Cut(req.RequestURI, "?")
	if strings.Contains(path, "/.well-known/") && r.Handlers[path] == nil {
		r.serveMetadata(w, path)
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, Request{req.Method, req.RequestURI, req.Host, req.Header.Clone(), string(body)})
	r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	endpoint, _, _ := strings.Cut(r.Authorize, "?")
	switch handler := r.Handlers[path]; {
	case handler != nil:
		handler(w, req)
	case path == endpoint:
		r.serveAuthorize(w, req)
	case path == "/login":
		r.serveLogin(w, req)
	case path == "/login/done":
		r.respond(w, req, r.session(req.FormValue("id")))
	default:
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s", req.Method, req.RequestURI)
	}
}

func (r *Recorder) serveMetadata(w http.ResponseWriter, path string) {
	doc, ok := r.Metadata[path]
	if r.Metadata == nil && path == "/.well-known/openid-configuration" {
		doc, ok = r.Document(), true
	}
	if !ok {
		http.NotFound(w, nil)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, doc)
}

// SetIssuer changes what the metadata says, also while the stand-in is being asked.
func (r *Recorder) SetIssuer(issuer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Issuer = issuer
}

// Document is the OpenID Connect metadata document of the stand-in, with further members at its end.
func (r *Recorder) Document(more ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	origin := originOf(r.Issuer)
	return fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"end_session_endpoint":%q%s}`,
		r.Issuer, origin+r.Authorize, origin+"/token", origin+"/logout", strings.Join(more, ""))
}

func originOf(issuer string) string {
	u, _ := url.Parse(issuer)
	return u.Scheme + "://" + u.Host
}

func (r *Recorder) serveAuthorize(w http.ResponseWriter, req *http.Request) {
	req.ParseForm()
	switch {
	case req.Form.Get("redirect_uri") == "" || req.Form.Get("response_type") == "":
		http.Error(w, "response_type or redirect_uri is missing", http.StatusBadRequest)
	case r.Instant:
		r.respond(w, req, req.Form)
	default:
		r.mu.Lock()
		r.sessions = append(r.sessions, req.Form)
		id := len(r.sessions)
		r.mu.Unlock()
		http.Redirect(w, req, "/login?id="+strconv.Itoa(id), http.StatusFound)
	}
}

func (r *Recorder) session(id string) url.Values {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, _ := strconv.Atoi(id)
	if n < 1 || n > len(r.sessions) {
		return nil
	}
	return r.sessions[n-1]
}

// serveLogin is a page with a form, and what the form is sent to.
func (r *Recorder) serveLogin(w http.ResponseWriter, req *http.Request) {
	id := req.URL.Query().Get("id")
	if req.Method == http.MethodPost {
		http.Redirect(w, req, "/login/done?id="+url.QueryEscape(id), http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<form method="post" action="/login?id=%s"><input name="username"><input name="password" type="password"></form>`, html.EscapeString(id))
}

// respond sends the authorization response.
func (r *Recorder) respond(w http.ResponseWriter, req *http.Request, asked url.Values) {
	if asked == nil {
		http.Error(w, "no such login", http.StatusBadRequest)
		return
	}
	params := url.Values{"code": {"c0de"}}
	if state := asked.Get("state"); state != "" {
		params.Set("state", state)
	}
	separator := "?"
	switch {
	case asked.Get("response_mode") == "fragment":
		separator = "#"
	case strings.Contains(asked.Get("redirect_uri"), "?"):
		separator = "&"
	}
	w.Header().Set("Location", asked.Get("redirect_uri")+separator+params.Encode())
	w.WriteHeader(http.StatusFound)
}

// tee records what the connections of a listener receive.
type tee struct {
	net.Listener
	r *Recorder
}

func (l tee) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return teeConn{c, l.r}, nil
}

type teeConn struct {
	net.Conn
	r *Recorder
}

func (c teeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.raw.Write(b[:n])
	return n, err
}
