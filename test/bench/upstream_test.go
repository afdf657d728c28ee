package bench

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// legacy is the authorization server behind all that is measured. It runs in the test's process, which is not.
type legacy struct {
	URL     string
	login   string // a page with a form, of 8 KiB
	archive []byte // 1 MiB
}

// carried is a parameter by which a request asks that the address of the login page carry all of it, as many servers have it.
const carried = "display=page"

// loginFields stand in the login page, behind what a page has besides.
const loginFields = `<form method="post" action="/login?step=1"><input type="hidden" name="csrf" value="c2Vzc2lvbg">
<label>Name <input name="username"></label><label>Password <input name="password" type="password"></label><button>Sign in</button></form>`

func startLegacy(t *testing.T) *legacy {
	l := &legacy{archive: make([]byte, 1<<20)}
	var page strings.Builder
	page.WriteString("<!doctype html><html lang=en><head><title>Sign in</title><link rel=stylesheet href=/style.css></head><body>\n")
	for i := 0; page.Len() < 8<<10-len(loginFields); i++ {
		fmt.Fprintf(&page, "<p class=\"note\"><a href=\"/help/%d?lang=en\">Help</a> with what stands here &amp; there</p>\n", i)
	}
	page.WriteString(loginFields + "</body></html>\n")
	l.login = page.String()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: l}}
	server.Start()
	t.Cleanup(server.Close)
	l.URL = server.URL
	return l
}

// ServeHTTP answers as a legacy server does: a request for authorization leads to its login page.
func (l *legacy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch r.URL.Path {
	case "/authorize":
		h["Set-Cookie"] = []string{"session=c2Vzc2lvbi1vZi1hLWJyb3dzZXI; Path=/; HttpOnly"}
		h["Location"] = []string{"/login?step=1"} // the session keeps the request
		if strings.Contains(r.URL.RawQuery, carried) {
			h["Location"] = []string{"/login?next=" + url.QueryEscape(r.URL.RequestURI())}
		}
		w.WriteHeader(http.StatusFound)
	case "/login":
		h["Content-Type"] = []string{"text/html; charset=utf-8"}
		fmt.Fprint(w, l.login)
	case "/archive":
		h["Content-Type"] = []string{"application/octet-stream"}
		w.Write(l.archive)
	case "/userinfo":
		h["Content-Type"] = []string{"application/json"}
		fmt.Fprint(w, `{"sub":"248289761001","name":"A Person","email":"person@app.example","email_verified":true,"locale":"en"}`)
	case "/token":
		l.token(w, r)
	case "/.well-known/openid-configuration":
		h["Content-Type"] = []string{"application/json"}
		fmt.Fprint(w, metadata("http://"+r.Host))
	default:
		http.NotFound(w, r)
	}
}

// token has one client that the gateway does not know, and no codes.
func (l *legacy) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if id, secret, _ := r.BasicAuth(); id != "legacy" || secret != "l3gacy" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
		return
	}
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(w, `{"error":"invalid_grant"}`)
}

// metadata is of the size that servers publish.
func metadata(issuer string) string {
	return `{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/authorize","token_endpoint":"` + issuer + `/token",
"userinfo_endpoint":"` + issuer + `/userinfo","jwks_uri":"` + issuer + `/keys","end_session_endpoint":"` + issuer + `/logout",
"introspection_endpoint":"` + issuer + `/introspect","revocation_endpoint":"` + issuer + `/revoke",
"scopes_supported":["openid","profile","email","address","phone","offline_access"],"response_types_supported":["code","id_token","code id_token"],
"response_modes_supported":["query","fragment","form_post"],"grant_types_supported":["authorization_code","refresh_token","client_credentials"],
"subject_types_supported":["public","pairwise"],"id_token_signing_alg_values_supported":["RS256","ES256"],
"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt"],
"claims_supported":["sub","iss","aud","exp","iat","name","given_name","family_name","email","email_verified","locale","picture"],
"code_challenge_methods_supported":["S256"],"claims_parameter_supported":true,"request_parameter_supported":true,"request_uri_parameter_supported":false}`
}
