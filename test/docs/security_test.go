package docs

import (
	"os/exec"
	"strings"
	"testing"

	"pargate/test/upstream"
)

// The command of SECURITY.md tells a server that answers around the gateway from one that does not.
func TestTheWayAroundIsSeen(t *testing.T) {
	t.Parallel()
	for _, b := range readPage(t, "SECURITY.md").blocks {
		if b.language != "sh" {
			continue
		}
		at := func(addr string) string {
			printed, _ := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(b.text, "ADDRESS-OF-THE-SERVER", addr)).CombinedOutput()
			return strings.TrimSpace(string(printed))
		}
		open := strings.TrimPrefix(upstream.New(t).URL, "http://")
		if got := at(open); got != "400" {
			t.Errorf("line %d, at a server that can be reached: %q", b.line, got)
		}
		if got := at(freeAddr(t)); !strings.HasSuffix(got, "000") {
			t.Errorf("line %d, where nobody listens: %q", b.line, got)
		}
	}
}
