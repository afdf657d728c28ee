package docs

import (
	"regexp"
	"strings"
	"testing"
)

// serverPages are the pages about the servers of docs/compatibility.md, by what those are called there.
var serverPages = map[string]string{
	"oidc-provider 9":                                           "oidc-provider",
	"oidc-provider 6":                                           "oidc-provider",
	"oauth2orize with connect-ensure-login":                     "oauth2orize",
	"@node-oauth/express-oauth-server":                          "node-oauth2-server",
	"zitadel/oidc's example, Provider router":                   "zitadel-oidc",
	"zitadel/oidc's example, LegacyServer router":               "zitadel-oidc",
	"go-oauth2, wired as in its example":                        "go-oauth2",
	"django-oauth-toolkit":                                      "django-oauth-toolkit",
	"LemonLDAP::NG":                                             "lemonldap-ng",
	"Glewlwyd":                                                  "glewlwyd",
	"Authlib, a Flask application":                              "authlib",
	"Doorkeeper, a login that keeps the request in the session": "doorkeeper",
	"Doorkeeper, a login that keeps the request in its address": "doorkeeper",
}

// A page has the version that was tried, the settings that were needed, and those of the server.
func TestServerPagesSayWhatWasTried(t *testing.T) {
	t.Parallel()
	compatibility := readPage(t, "docs/compatibility.md").text
	tried, settings := table(compatibility, "What was tried"), table(compatibility, "Settings")
	if len(tried) != len(serverPages) || len(settings) != len(serverPages) {
		t.Fatalf("%d servers were tried, %d have settings, and %d have a page", len(tried), len(settings), len(serverPages))
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, row := range tried {
		name, version, byPOST := row[0], row[1], row[len(row)-1]
		p := readPage(t, "docs/servers/"+serverPages[name]+".md")
		if !strings.Contains(p.text, version) {
			t.Errorf("%s does not have the version %s", p.name, version)
		}
		if byPOST != "ok" && strings.Contains(settingsOfPage(p), "UPSTREAM_AUTHORIZE_METHOD=POST") {
			t.Errorf("%s says POST, which was not tried", p.name)
		}
	}
	for _, row := range settings {
		p := readPage(t, "docs/servers/"+serverPages[row[0]]+".md")
		for _, match := range quoted.FindAllStringSubmatch(row[1], -1) {
			if setting := match[1]; !strings.HasPrefix(setting, "/") && !strings.Contains("\n"+settingsOfPage(p), "\n"+setting) {
				t.Errorf("%s does not set %s", p.name, setting)
			} else if strings.HasPrefix(setting, "/") && !regexp.MustCompile(`(?m)^UPSTREAM_URL=\S+`+setting+`$`).MatchString(settingsOfPage(p)) {
				t.Errorf("the UPSTREAM_URL of %s does not have the path %s", p.name, setting)
			}
		}
		for _, match := range quoted.FindAllStringSubmatch(row[2], -1) {
			if name, _, _ := strings.Cut(match[1], " "); !strings.Contains(p.text, name) {
				t.Errorf("%s says nothing of %s", p.name, name)
			}
		}
	}
}

// table returns the rows of the first table under a heading, each as its cells.
func table(text, heading string) (rows [][]string) {
	_, rest, _ := strings.Cut(text, "\n## "+heading+"\n")
	inside := false
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|---"):
			inside = true
		case inside && strings.HasPrefix(line, "|"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		case inside:
			return rows
		}
	}
	return rows
}

// settingsOfPage returns the lines of all its blocks of settings.
func settingsOfPage(p page) string {
	var all strings.Builder
	for _, b := range p.blocks {
		if b.language == "env" {
			all.WriteString(b.text)
		}
	}
	return all.String()
}
