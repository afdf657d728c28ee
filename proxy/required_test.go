package proxy

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"pargate/proxy/oauth"
	recorded "pargate/test/upstream"
	"pargate/test/upstream/reading"
)

// FuzzUnpushed: what one of four kinds of servers takes for an authorization request is found to start one, or cannot be
// judged and is refused.
func FuzzUnpushed(f *testing.F) {
	for _, seed := range [][3]string{
		{"/authorize", "client_id=web&response_type=code", ""},
		{"/authorize", "", "client_id=web&response_type=code"},
		{"/x/%2e%2e/Authorize;x", "[client_id]=web;scope=a", ""},
		{"/index.php/authorize%3fclient%5fid=web", "", ""},
		{"/%uff41uthorize.json", "client.id=web", ""},
		{"/authorize/connector", "state=1", "client_id=web"},
		{"/oauth2/v1/authorize", "client_id=web&redirect_uri=x", ""},
		{"/authorize", "%83%93%89%85%95%A3%6D%89%84=%A6", ""},
	} {
		for _, contentType := range []string{"", formType, formType + "; charset=ibm037", "application/json"} {
			f.Add(seed[0], seed[1], contentType, seed[2])
		}
	}
	f.Fuzz(func(t *testing.T, path, query, contentType, body string) {
		if strings.ContainsAny(path, "?#") || !strings.HasPrefix(path, "/") || strings.ContainsAny(query, "#") || len(path) > 200 {
			return // not what a request line has there
		}
		where := testPaths.classify(path)
		h := http.Header{}
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		x := &exchange{place: where, path: path, formState: formAbsent}
		if body != "" {
			x.formState, x.form = formNotJudged, ""
			if isForm(h) {
				x.formState, x.form = formRead, body
			}
		}
		if where.protected() {
			if x.checkForm(h) != nil {
				return // refused
			}
			query, body = query+hiddenQuery(path), x.form
		}
		reason := startsAuthorization(where, query, body)
		target := path
		if query != "" {
			target += "?" + query
		}
		r := recorded.Request{Method: http.MethodPost, Target: target, Header: h, Body: x.form}
		for _, s := range reading.Servers() {
			if _, taken := s.Takes(r); taken && reason == nil && where != atExempt && where != atPush {
				t.Errorf("a %s server takes %s %q %q, which is %d", s.Name, target, contentType, body, where)
			}
		}
	})
}

// FuzzPeekNames: every name that Go's reader of multipart forms finds in one is found, and the body goes on as it came.
func FuzzPeekNames(f *testing.F) {
	part := func(name string) string {
		return "--b\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\nx\r\n"
	}
	for _, seed := range []string{"", part(`"client_id"`) + "--b--", part("redirect_uri") + part(`"scope[]"`), part(`"a"; filename="x"`), "--b\r\ncontent-disposition: form-data;\r\n name=\"state\"\r\n\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := &http.Request{Body: io.NopCloser(strings.NewReader(body))}
		names, err := peekNames(r)
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := io.ReadAll(r.Body); !bytes.Equal(after, []byte(body)) {
			t.Errorf("%q becomes %q", body, after)
		}
		form := multipart.NewReader(strings.NewReader(body), "b")
		for range 100 {
			p, err := form.NextRawPart()
			if err != nil {
				return
			}
			if name := oauth.Fold(p.FormName()); oauth.IsAuthorizationRequestName(name) && !names[name] {
				t.Errorf("%s is in %q and is not found", name, body)
			}
		}
	})
}
