package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// serviceLink is the shape of the variables with which Kubernetes announces the services of a namespace to every pod
// in it. A service named pargate makes PARGATE_SERVICE_HOST, PARGATE_PORT=tcp://… and more.
var serviceLink = regexp.MustCompile(`^[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// shared begin the names that other programs in the same environment may use: a near miss is worth a warning there,
// and an error elsewhere, because a setting that is not read leaves a door open.
var shared = []string{"REDIS_", "LOG_", "OTEL_", "CORS_", "RATE_", "PROFILE", "SHUTDOWN_"}

// names looks for variables that were meant to be settings.
func (c *checker) names(settings []Setting) {
	known := map[string]string{} // spelling → setting
	for _, s := range settings {
		for _, name := range s.spellings() {
			known[name] = s.Name
		}
	}
	candidates := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(c.env.all)) {
		if known[name] != "" || isServiceLink(name, c.env.all[name]) {
			continue
		}
		if strings.HasPrefix(name, prefix) {
			c.unknown(name, candidates)
			continue
		}
		meant := nearest(name, candidates)
		if meant == "" {
			continue
		}
		text := fmt.Sprintf("is not a setting; did you mean %s ?", meant)
		switch {
		case !hasPrefix(known[meant], shared) || strings.HasPrefix(meant, prefix):
			c.problems = append(c.problems, Problem{printable(name), text})
		case !c.env.isSet(known[meant]):
			c.warnings = append(c.warnings, Warning{printable(name), text})
		}
	}
}

// unknown is about a name that can only be meant for us.
func (c *checker) unknown(name string, candidates []string) {
	text := "is not a setting"
	if meant := nearest(strings.TrimPrefix(name, prefix), candidates); meant != "" {
		text += fmt.Sprintf("; did you mean %s ?", prefix+strings.TrimPrefix(meant, prefix))
	}
	c.problems = append(c.problems, Problem{printable(name), text})
}

// printable returns the name of a variable, quoted when a terminal could not show it as it is.
func printable(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

func isServiceLink(name, value string) bool {
	// X_PORT alone could be anybody's idea of a setting; the link has a URL there.
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// nearest returns the candidate that name is most likely a misspelling of, or nothing.
func nearest(name string, candidates []string) string {
	if setting, ok := strings.CutSuffix(name, "_FILE"); ok && slices.Contains(candidates, setting) {
		return setting // only secrets are read from files
	}
	best, least := "", -1
	for _, candidate := range candidates {
		if d, ok := slip(strings.ToUpper(name), candidate); ok && (least < 0 || d < least) {
			best, least = candidate, d
		}
	}
	return best
}

// slip reports whether got may be a misspelling of want, and by how many edits. Distance alone is not enough:
// TOKEN_HASH is two letters from TOKEN_PATH, and SSL_CERT_FILE is Go's own. So the first letter must be right, and
// no word may differ by more than a slip of its length.
func slip(got, want string) (edits int, ok bool) {
	if got == "" || got[0] != want[0] || len(got) > len(want)+3 {
		return 0, false
	}
	g, w := strings.Split(got, "_"), strings.Split(want, "_")
	if len(g) != len(w) {
		// An underscore too few or too many.
		d := distance(strings.Join(g, ""), strings.Join(w, ""))
		return d + 1, d == 0 || d == 1 && len(want) >= 10
	}
	for i := range w {
		d := distance(g[i], w[i])
		if d > len(w[i])/3 && (d != 1 || len(w[i]) < 3) && (d != 3 || len(w[i]) < 7) {
			return 0, false
		}
		edits += d
	}
	most := 2
	if len(want) >= 15 { // TRUSTED_PROXY is three from TRUSTED_PROXIES
		most = 3
	}
	return edits, edits <= most
}

// distance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
