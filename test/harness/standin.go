package harness

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"pargate/test/upstream/pattern"
)

// StandIn starts a stand-in that ends with the test. Its issuer is its own URL; clients are registered redirect_uris by
// client_id.
func StandIn(t testing.TB, p pattern.Pattern, clients map[string][]string) *pattern.Server {
	t.Helper()
	s := p.New(clients)
	application := ""
	if p.ServesApplication() {
		application = serve(t, http.HandlerFunc(s.ServeApplication))
	}
	s.Listening(serve(t, s), application)
	return s
}

func serve(t testing.TB, h http.Handler) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h, DisableGeneralOptionsHandler: true}}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}
