package client_test

import (
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
	"pargate/test/sample"
)

// BenchmarkRead divides a push that was decoded into credentials and request.
func BenchmarkRead(b *testing.B) {
	for _, request := range sample.Requests {
		for _, sent := range []struct {
			name, form string
			header     http.Header
		}{
			{"basic", request.Form, http.Header{"Authorization": {basic("web", url.QueryEscape(secret))}}},
			{"post", request.Form + "&client_secret=" + url.QueryEscape(secret), nil},
		} {
			b.Run(request.Name+"/"+sent.name, func(b *testing.B) {
				form, err := oauth.ParseForm(sent.form)
				if err != nil {
					b.Fatal(err)
				}
				cred, params, err := client.Read(sent.header, form)
				if err != nil || cred.Method != "client_secret_"+sent.name || len(params) < sample.Params {
					b.Fatal(cred.Method, params, err)
				}
				b.ReportAllocs()
				for b.Loop() {
					client.Read(sent.header, form)
				}
			})
		}
	}
}

// BenchmarkAuthenticate proves a client by its secret, of which the client file has the text or a hash. A hash that was
// computed before is remembered: that is what almost every push costs.
func BenchmarkAuthenticate(b *testing.B) {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		b.Fatal(err)
	}
	for _, kept := range []struct{ name, secret string }{{"text", secret}, {"hash", string(hash)}} {
		b.Run(kept.name, func(b *testing.B) {
			a := authenticator(b, load(b, `[{"client_id": "web", "client_secret": "`+kept.secret+`"}]`))
			cred, _, err := client.Read(http.Header{"Authorization": {basic("web", url.QueryEscape(secret))}}, nil)
			if err != nil {
				b.Fatal(err)
			}
			if c, err := a.Authenticate(b.Context(), cred, server); err != nil || c.ID != "web" {
				b.Fatal(c, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				a.Authenticate(b.Context(), cred, server)
			}
		})
	}
}
