package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"pargate/config"
)

// healthcheck asks the admin listener of a pargate with the same settings on this machine: for containers, which
// have no shell to ask with.
func healthcheck(ctx context.Context, args []string, p program) int {
	var ready bool
	if !parseFlags("healthcheck", args, p, func(f *flag.FlagSet) { f.BoolVar(&ready, "ready", false, "ask for /readyz instead of /livez") }) {
		return exitConfig
	}
	cfg, _, ok := loadConfig(p)
	if !ok {
		return exitConfig
	}
	if cfg.AdminAddr == "" {
		fmt.Fprintln(p.stderr, "pargate healthcheck: ADMIN_ADDR is off, so there is nobody to ask")
		return exitConfig
	}
	path := "/livez"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	status, body, err := askAdmin(ctx, cfg.AdminAddr, path)
	switch {
	case err != nil:
		fmt.Fprintf(p.stderr, "pargate healthcheck: %v\n", err)
		return exitFailure
	case status != http.StatusOK:
		fmt.Fprintf(p.stderr, "pargate healthcheck: %s\n", body)
		return exitFailure
	}
	fmt.Fprint(p.stdout, body)
	return exitOK
}

// loopback replaces an address that means every interface by one that can be dialled. A listener on [::] takes IPv4
// too, and in many containers 127.0.0.1 is the only loopback address that there is.
func loopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// askAdmin asks for a path of the admin listener.
func askAdmin(ctx context.Context, addr config.Addr, path string) (status int, body string, err error) {
	socket := addr.Socket()
	if socket == "" {
		return get(ctx, "http://"+loopback(string(addr))+path)
	}
	return getThrough(ctx, "http://localhost"+path, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	})
}

func get(ctx context.Context, address string) (status int, body string, err error) {
	return getThrough(ctx, address, nil)
}

// getThrough connects as dial does; nil is as everybody does.
func getThrough(ctx context.Context, address string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{Proxy: nil, DialContext: dial}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, string(text), err
}
