package faults

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pargate/test/harness"
)

// balancer is HAProxy in front of gateways. It asks for their readiness, and repeats nothing.
type balancer struct {
	addr, stats string
}

const haproxyConfig = `
global
	maxconn 4000
	nbthread 1
defaults
	mode http
	retries 0
	timeout connect 2s
	timeout client 60s
	timeout server 60s
frontend public
	bind %s
	default_backend gateways
frontend stats
	bind %s
	stats enable
	stats uri /stats
backend gateways
	balance roundrobin
	option httpchk GET /readyz
	http-check expect status 200
	timeout check 10s
	default-server check inter %dms fall 1 rise 1
%s`

// startBalancer starts HAProxy, which asks each gateway that often and ends with the test.
func startBalancer(t *testing.T, gateways []*gateway, every time.Duration) *balancer {
	t.Helper()
	program := harness.Program(t, "haproxy")
	b := &balancer{addr: fixedAddr(t), stats: fixedAddr(t)}
	servers := ""
	for i, g := range gateways {
		servers += fmt.Sprintf("\tserver g%d %s port %s\n", i, g.addr, g.admin[strings.LastIndexByte(g.admin, ':')+1:])
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, fmt.Appendf(nil, haproxyConfig, b.addr, b.stats, every.Milliseconds(), servers), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, out := exec.Command(program, "-db", "-f", file), &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(out)
		}
	})
	for i := range gateways {
		b.awaitState(t, i, "UP")
	}
	return b
}

// awaitState waits until the balancer takes gateway i for that.
func (b *balancer) awaitState(t *testing.T, i int, state string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	within(t, fmt.Sprintf("gateway %d to be %s", i, state), func() bool {
		res, err := client.Get("http://" + b.stats + "/stats;csv")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		for line := range strings.Lines(string(text)) {
			if fields := strings.Split(line, ","); len(fields) > 17 && fields[0] == "gateways" && fields[1] == fmt.Sprintf("g%d", i) {
				return err == nil && fields[17] == state
			}
		}
		return false
	})
}
