package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pargate/test/harness"
)

// TestTheDocumentedLinesLogIn runs docs/request-objects.md: what makes the key, the client file, and the lines for each
// library, in front of oidc-provider.
func TestTheDocumentedLinesLogIn(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/request-objects.md")
	if err != nil {
		t.Fatal(err)
	}
	js := blocks(string(text), "js")
	if len(js) != 4 {
		t.Fatalf("there are %d blocks for two libraries", len(js))
	}
	dir := scripts(t)
	clients := documentedClients(t, dir, string(text))
	ca := newAuthority(t)
	trusted := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(trusted, []byte(ca.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, issuer := ca.listen(t)
	_, address := runProvider(t, dir, issuer, clients)
	harness.InFrontOf(t, listener, address, harness.Setup{Clients: clients, Options: options()})
	for i, name := range []string{"openid-client", "oauth4webapi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := strings.ReplaceAll(around(js[2*i], js[2*i+1]), "https://login.example", issuer)
			if err := os.WriteFile(filepath.Join(dir, "documented-"+name+".mjs"), []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}
			library := run(t, dir, "documented-"+name, "NODE_EXTRA_CA_CERTS="+trusted)
			begun := library.ask(t, struct{}{})
			person := harness.Login{Browser: ca.browser(issuer)}
			end := person.From(t, begun.URL)
			if end.Code() == "" {
				t.Fatalf("the login ended with %v:\n%s", end.Params, person.Trace)
			}
			done := library.ask(t, map[string]string{"response": end.URI})
			if done.AccessToken == "" || !strings.EqualFold(done.TokenType, "DPoP") {
				t.Errorf("the token is %+v", done)
			}
		})
	}
}

// blocks returns the blocks of a language in a Markdown text.
func blocks(text, language string) (all []string) {
	for _, part := range strings.Split(text, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```\n")
		all = append(all, block)
	}
	return all
}

// around makes a program of the lines before and after a login, for script.ask.
func around(before, after string) string {
	return `import { createInterface } from 'node:readline';
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');
await read();
` + before + `
say({ url });
const response = new URL((await read()).response);
` + after + `
say({ access_token: tokens.access_token, token_type: tokens.token_type });
await lines.next();
process.exit();
`
}

// documentedClients makes a key as it is documented, and puts it into the client file.
func documentedClients(t *testing.T, dir, text string) string {
	t.Helper()
	sh, file := blocks(text, "sh"), blocks(text, "json")
	if len(sh) != 1 || len(file) != 1 {
		t.Fatalf("there are %d commands and %d client files", len(sh), len(file))
	}
	cmd := exec.Command("sh", "-c", sh[0])
	cmd.Dir = dir
	keySet, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", sh[0], err)
	}
	var clients []map[string]any
	if err := json.Unmarshal([]byte(file[0]), &clients); err != nil {
		t.Fatal(err)
	}
	clients[0]["jwks"] = json.RawMessage(keySet)
	changed, err := json.Marshal(clients)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}
