package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// TestThePagesOfLibrariesLogIn runs docs/clients/openid-client.md and docs/clients/oauth4webapi.md: the lines as they stand
// there, as the client that stands there.
func TestThePagesOfLibrariesLogIn(t *testing.T) {
	t.Parallel()
	dir := scripts(t)
	for _, name := range []string{"openid-client", "oauth4webapi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../docs/clients/" + name + ".md")
			if err != nil {
				t.Fatal(err)
			}
			js, file := blocks(string(text), "js"), blocks(string(text), "json")
			if len(js) != 2 || len(file) != 1 {
				t.Fatalf("there are %d blocks of lines and %d client files", len(js), len(file))
			}
			ca := newAuthority(t)
			listener, issuer := ca.listen(t)
			up := upstream.New(t, withTokens, func(r *upstream.Recorder) { r.Issuer = issuer })
			harness.InFrontOf(t, listener, up.URL, harness.Setup{Clients: file[0], Options: options()})
			trusted := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(trusted, []byte(ca.pem), 0o600); err != nil {
				t.Fatal(err)
			}
			program := strings.ReplaceAll(around(js[0], js[1]), "https://login.example", issuer)
			if err := os.WriteFile(filepath.Join(dir, "page-of-"+name+".mjs"), []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}
			library := run(t, dir, "page-of-"+name, "NODE_EXTRA_CA_CERTS="+trusted)
			begun := library.ask(t, struct{}{})
			browser := ca.browser(issuer)
			res := browser.LogIn(t, browser.Get(t, begun.URL))
			if !strings.HasPrefix(res.Location, redirectURI+"?") {
				t.Fatalf("the login ended with %d %s %s", res.Status, res.Location, res.Body)
			}
			if done := library.ask(t, map[string]string{"response": res.Location}); done.AccessToken != "t0ken" {
				t.Errorf("the token is %+v", done)
			}
		})
	}
}
