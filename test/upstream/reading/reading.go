// Package reading says how servers of four kinds read the path and the parameters of a request, each as generously as
// servers of its kind do: what one of them takes for an authorization request, the gateway must have judged as one.
package reading

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"

	"pargate/test/upstream"
)

// Endpoint and Alias are the paths at which each of the servers begins an authorization. Alias is one of which the
// gateway has not been told; it can but know an authorization request by its query there, as it stands in the request.
const (
	Endpoint = "/authorize"
	Alias    = "/oauth2/v1/authorize"
)

// Server is one kind of server.
type Server struct {
	Name string

	// paths returns what the server may take the request's path for, and a query that it finds in there.
	paths func(r upstream.Request) []target
	// params returns the readings of what stands in a query or form.
	params func(encoded string, charset string) []Params
	// body reports whether the server reads the body of a request with that method and media type as a form.
	body func(method, mediaType string) bool
	// json reports whether it takes parameters from a JSON object.
	json bool
}

// Params are parameters by name, as a server has read them: all values of a name.
type Params map[string][]string

type target struct {
	path, query string
	handedOn    bool // by a server in front, which has decoded the path
}

// Servers are the four kinds.
func Servers() []Server { return []Server{Strict(), Script(), Servlet(), Rack()} }

// Takes reports whether the server would begin an authorization, and returns what it takes for client_id: every value,
// because servers differ in which one they use.
func (s Server) Takes(r upstream.Request) (clients []string, yes bool) {
	if r.Method == http.MethodHead {
		return nil, false // the gateway's own
	}
	body := s.readBody(r)
	for _, t := range s.paths(r) {
		where, charset, forms := placeOf(t.path), charsetOf(r.Header), append([]Params{nil}, body...)
		if where == atAlias {
			if t.handedOn {
				continue
			}
			charset, forms = "", forms[:1]
		}
		for _, query := range s.params(t.query, charset) {
			for _, form := range forms {
				if begins(where, query, form) {
					clients, yes = append(clients, append(query["client_id"], form["client_id"]...)...), true
				}
			}
		}
	}
	return clients, yes
}

type place int

const (
	elsewhere place = iota
	atEndpoint
	belowEndpoint
	atAlias
)

func placeOf(path string) place {
	switch {
	case path == Endpoint:
		return atEndpoint
	case path == Alias:
		return atAlias
	case strings.HasPrefix(path, Endpoint+"/"), strings.HasPrefix(path, Endpoint+"."):
		return belowEndpoint
	}
	return elsewhere
}

// begins reports whether the parameters begin an authorization there: at the endpoint those of a client or a request
// object do, below it those of a client with anything else of a request.
func begins(where place, query, form Params) bool {
	has := func(names ...string) bool {
		for _, name := range names {
			if query[name] != nil || form[name] != nil {
				return true
			}
		}
		return false
	}
	switch where {
	case atEndpoint:
		return has("client_id", "request", "request_uri", "response_type")
	case belowEndpoint:
		return has("client_id") && has("response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge", "request", "request_uri")
	case atAlias:
		return query["client_id"] != nil && (query["response_type"] != nil || query["redirect_uri"] != nil)
	}
	return false
}

// readBody returns the readings of the body; none when the server reads none.
func (s Server) readBody(r upstream.Request) []Params {
	text := inflate(r.Header.Get("Content-Encoding"), r.Body)
	mediaType, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mediaType == "" { // a parameter cannot be read, which few servers mind
		mediaType, _, _ = strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";")
		mediaType = strings.TrimSpace(mediaType)
	}
	switch {
	case text == "":
		return nil
	case s.json && strings.Contains(mediaType, "json"):
		return readJSON(text)
	case !s.body(r.Method, mediaType):
		return nil
	case strings.HasPrefix(mediaType, "multipart/"):
		return s.readMultipart(text, params["boundary"])
	}
	return s.params(text, charsetOf(r.Header))
}

func inflate(encoding, text string) string {
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(strings.NewReader(text))
	case "deflate":
		r, err = zlib.NewReader(strings.NewReader(text))
	default:
		return text
	}
	if err != nil {
		return ""
	}
	plain, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	return string(plain)
}

func readJSON(text string) []Params {
	var members map[string]any
	if json.NewDecoder(strings.NewReader(text)).Decode(&members) != nil {
		return nil
	}
	p := Params{}
	for name, value := range members {
		p[name] = []string{fmt.Sprint(value)}
	}
	return []Params{p}
}

// readMultipart reads the names of the parts as the server reads those of a form.
func (s Server) readMultipart(text, boundary string) []Params {
	p := Params{}
	form := multipart.NewReader(strings.NewReader(text), boundary)
	for {
		part, err := form.NextRawPart()
		if err != nil {
			break
		}
		value, _ := io.ReadAll(part)
		p[part.FormName()] = append(p[part.FormName()], string(bytes.TrimSpace(value)))
	}
	return []Params{p}
}

// charsetOf returns the charset that a request says its text is in.
func charsetOf(h http.Header) string {
	_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err == nil {
		return strings.ToLower(params["charset"])
	}
	if _, charset, found := strings.Cut(strings.ToLower(h.Get("Content-Type")), "charset="); found {
		return strings.Trim(charset, `"' `)
	}
	return ""
}

// header returns the value of a header in the spelling that CGI makes of it, where "_" is as good as "-".
func header(h http.Header, name string) string {
	for spelled, values := range h {
		if textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(spelled, "_", "-")) == name {
			return values[0]
		}
	}
	return ""
}
