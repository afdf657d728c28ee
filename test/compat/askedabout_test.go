//go:build compat

package compat

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A question is what the gateway asked the server about a client, and the answer.
type question struct {
	path, authorization, form string
	status                    int
	answer                    string
}

func (q question) String() string {
	return fmt.Sprintf("POST %s, Authorization: %s, %s = %d %.200s", q.path, q.authorization, q.form, q.status, q.answer)
}

// probe names what the server was asked to do.
func (q question) probe() string {
	form, _ := url.ParseQuery(q.form)
	switch {
	case form.Get("grant_type") == "authorization_code":
		return "made-up code"
	case form.Get("grant_type") == "refresh_token":
		return "made-up refresh token"
	case strings.Contains(q.path, "revo"):
		return "revocation"
	}
	return "introspection"
}

// listener passes everything on between a gateway and its server, and remembers the questions about clients.
type listener struct {
	mu    sync.Mutex
	asked []question
}

// listenTo starts a listener in front of the server at addr, and returns the address at which it passes things on.
func listenTo(t testing.TB, addr string) (l *listener, at string) {
	l = &listener{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.RawQuery = "http", addr, r.In.URL.RawQuery
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				r.Out.Header[name] = r.In.Header[name]
			}
		},
		ModifyResponse: l.hear,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.UserAgent() == "pargate" {
			form, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(form))
			r.Header.Set("X-Asked", string(form))
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return l, strings.TrimPrefix(server.URL, "http://")
}

func (l *listener) hear(res *http.Response) error {
	form := res.Request.Header.Get("X-Asked")
	if form == "" {
		return nil
	}
	answer, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(answer))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, question{res.Request.URL.Path, res.Request.Header.Get("Authorization"), form, res.StatusCode, string(answer)})
	return err
}

// take returns what was asked since it was called last.
func (l *listener) take() []question {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = nil
	return asked
}
