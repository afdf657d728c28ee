package config

import (
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checker collects what is to be said about one environment.
type checker struct {
	cfg      *Config
	env      environment
	problems Problems
	warnings []Warning
	failed   map[string]bool // by setting
}

// fail adds a problem. One a setting is enough: what follows from the first would only hide it.
func (c *checker) fail(setting, format string, args ...any) {
	if c.failed[setting] {
		return
	}
	if c.failed == nil {
		c.failed = map[string]bool{}
	}
	c.failed[setting] = true
	c.problems = append(c.problems, Problem{c.env.name(setting), fmt.Sprintf(format, args...)})
}

func (c *checker) warn(setting, text string) {
	c.warnings = append(c.warnings, Warning{c.env.name(setting), text})
}

// sort puts problems and warnings into the order of the settings; what names no setting comes last.
func (c *checker) sort(settings []Setting) {
	rank := map[string]int{}
	for i, s := range settings {
		for _, name := range s.spellings() {
			rank[name] = i - len(settings)
		}
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return rank[a.Name] - rank[b.Name] })
	slices.SortStableFunc(c.warnings, func(a, b Warning) int { return rank[a.Name] - rank[b.Name] })
}

// dependentDefaults fills in what is unset and depends on another setting.
func (c *checker) dependentDefaults() {
	c.profile()
	if c.cfg.UpstreamAuthorizeMethod == MethodPost && !c.env.isSet("UPSTREAM_MAX_REQUEST") {
		c.cfg.UpstreamMaxRequest = c.cfg.PARMaxBytes
	}
}

// settings checks every value, and what must fit together.
func (c *checker) settings() {
	c.urls()
	c.listeners()
	c.certificates()
	c.clientCertificates()
	c.paths()
	c.resumeParams()
	c.responses()
	c.origins()
	c.probes()
	c.bounds()
	c.proxies()
	c.clients()
	c.redis()
	c.traces()
}

func (c *checker) listeners() {
	listen, admin := c.cfg.ListenAddr, c.cfg.AdminAddr
	if err := checkAddr(string(listen)); err != nil {
		c.fail("LISTEN_ADDR", "%v", err)
	}
	if admin == "" {
		return
	}
	if err := checkAddr(string(admin)); err != nil {
		c.fail("ADMIN_ADDR", "%v; off serves it nowhere", err)
		return
	}
	switch {
	case c.failed["LISTEN_ADDR"]:
	case admin.Socket() != "" && path.Clean(admin.Socket()) == path.Clean(listen.Socket()):
		c.fail("ADMIN_ADDR", "%s is the socket of %s too; the admin endpoints need their own", quote(string(admin)), c.env.name("LISTEN_ADDR"))
	case admin.Socket() == "" && listen.Socket() == "" && sameListener(string(listen), string(admin)):
		c.fail("ADMIN_ADDR", "%s is the same port as %s; the admin endpoints need their own", quote(string(admin)), c.env.name("LISTEN_ADDR"))
	}
}

func checkAddr(addr string) error {
	if addr == "" {
		return errors.New("cannot be off")
	}
	if path, isSocket := strings.CutPrefix(addr, socketPrefix); isSocket {
		return checkSocket(path)
	}
	host, port, err := net.SplitHostPort(addr)
	switch {
	case strings.HasPrefix(addr, "/"):
		return fmt.Errorf("%s is a path; for a socket write %s", quote(addr), quote(socketPrefix+addr))
	case len(addr) > len(socketPrefix) && strings.EqualFold(addr[:len(socketPrefix)], socketPrefix):
		return fmt.Errorf("%s is neither host:port nor a socket; write %s", quote(addr), quote(socketPrefix+addr[len(socketPrefix):]))
	case strings.Contains(addr, "://"):
		return fmt.Errorf("%s is a URL; write host:port, for example :8080", quote(addr))
	case validPort(addr, 0):
		return fmt.Errorf("%s has no colon; did you mean :%s ?", quote(addr), addr)
	case err != nil || strings.ContainsAny(host, "/@ \t"):
		return fmt.Errorf("%s is not host:port, for example :8080", quote(addr))
	case !validPort(port, 0):
		return fmt.Errorf("%s has a port that is not from 0 to 65535", quote(addr))
	}
	return nil
}

// maxSocketPath is what the address of a socket has room for (sun_path, less its end).
const maxSocketPath = 107

// checkSocket reports why a path cannot be a socket's, as far as that can be told without touching it.
func checkSocket(path string) error {
	switch {
	case strings.HasPrefix(path, "//"):
		return fmt.Errorf("%s has slashes to spare; write %s", quote(socketPrefix+path), quote(socketPrefix+"/"+strings.TrimLeft(path, "/")))
	case !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/"):
		return fmt.Errorf("%s is not unix: and the path of a file, for example unix:/run/pargate/public.sock", quote(socketPrefix+path))
	case len(path) > maxSocketPath:
		return fmt.Errorf("has a path of %d bytes, and a socket's has %d at most; put it into a directory with a shorter name", len(path), maxSocketPath)
	}
	return nil
}

// sameListener reports whether two addresses cannot be listened on at once. Port 0 is whichever port is free.
func sameListener(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	everywhere := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return portA == portB && strings.Trim(portA, "0") != "" && (hostA == hostB || everywhere(hostA) || everywhere(hostB))
}

func (c *checker) bounds() {
	c.between("PAR_TTL", c.cfg.PARTTL, 5*time.Second, 599*time.Second)
	c.between("FLOW_TTL", c.cfg.FlowTTL, time.Minute, 24*time.Hour)
	// expires_in (RFC 9126 §2.2) and a cookie's Max-Age count whole seconds.
	c.whole("PAR_TTL", c.cfg.PARTTL)
	c.whole("FLOW_TTL", c.cfg.FlowTTL)
	c.between("UPSTREAM_TIMEOUT", c.cfg.UpstreamTimeout, time.Second, 10*time.Minute)
	c.between("SHUTDOWN_DELAY", c.cfg.ShutdownDelay, 0, 5*time.Minute)
	c.between("SHUTDOWN_TIMEOUT", c.cfg.ShutdownTimeout, time.Second, 10*time.Minute)
	c.size("UPSTREAM_MAX_REQUEST", c.cfg.UpstreamMaxRequest)
	c.size("PAR_MAX_BYTES", c.cfg.PARMaxBytes)
}

func (c *checker) between(setting string, d, least, most time.Duration) {
	if d < least || d > most {
		c.fail(setting, "%s is outside %s to %s", brief(d), brief(least), brief(most))
	}
}

func (c *checker) whole(setting string, d time.Duration) {
	if d%time.Second != 0 {
		c.fail(setting, "%v is not a whole number of seconds", d)
	}
}

func (c *checker) size(setting string, b Bytes) {
	const least, most = 1 << 10, 1 << 20
	if b < least || b > most {
		c.fail(setting, "%v is outside %v to %v", b, Bytes(least), Bytes(most))
	}
}

// brief prints a duration as people write it: 599s for 9m59s, 24h for 24h0m0s.
func brief(d time.Duration) string {
	switch {
	case d == 0 || d%time.Second != 0:
		return d.String()
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

func (c *checker) proxies() {
	if c.cfg.TrustedProxies.Sockets != (c.cfg.ListenAddr.Socket() != "") && !c.failed["LISTEN_ADDR"] {
		if c.cfg.TrustedProxies.Sockets {
			c.fail("TRUSTED_PROXIES", "has unix in it, but %s is no socket; take it out", c.env.name("LISTEN_ADDR"))
		} else {
			c.warn("TRUSTED_PROXIES", "has no unix in it: nobody is believed about addresses, so that all clients and browsers look alike. Add it if a proxy connects to the socket of LISTEN_ADDR.")
		}
	}
	for _, p := range c.cfg.TrustedProxies.Networks {
		if p.Bits() == 0 {
			c.warn("TRUSTED_PROXIES", fmt.Sprintf("%v trusts every address: anybody can then say where a request came from.", p))
			return
		}
	}
}

func (c *checker) clients() {
	for setting, path := range map[string]string{"CLIENTS_FILE": c.cfg.ClientsFile, "UPSTREAM_CA_FILE": c.cfg.UpstreamCAFile,
		"TLS_CERT_FILE": c.cfg.TLSCertFile, "TLS_KEY_FILE": c.cfg.TLSKeyFile, "TLS_CLIENT_CA_FILE": c.cfg.TLSClientCAFile} {
		if path == "" {
			continue
		}
		if err := checkFile(path); err != nil {
			c.fail(setting, "%v", err)
		}
	}
	if c.cfg.ClientsFile != "" {
		return
	}
	if c.cfg.ClientAuth == AuthFile {
		c.fail("CLIENTS_FILE", "is not set, and %s=file needs it", c.env.name("CLIENT_AUTH"))
	}
}

// probes checks the error codes that are believed.
func (c *checker) probes() {
	for _, code := range c.cfg.ProbeAccept {
		switch {
		case code == "invalid_client":
			c.fail("PROBE_ACCEPT", "invalid_client says that a client is not authenticated")
		case !codePattern.MatchString(code):
			c.fail("PROBE_ACCEPT", "%s is not an error code, as invalid_code is", quote(code))
		}
	}
	if len(c.cfg.ProbeAccept) > 0 && c.cfg.ClientAuth == AuthFile {
		c.fail("PROBE_ACCEPT", "has no effect with %s=file; unset one of them", c.env.name("CLIENT_AUTH"))
	}
}

var codePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// certificates checks that a certificate has its key.
func (c *checker) certificates() {
	c.pair("TLS_CERT_FILE", c.cfg.TLSCertFile, "TLS_KEY_FILE", c.cfg.TLSKeyFile)
}

// pair checks that both settings are set, or neither.
func (c *checker) pair(one, oneValue, other, otherValue string) {
	if oneValue != "" && otherValue == "" {
		c.fail(one, "is set, but %s is not; set both or neither", c.env.name(other))
	}
	if otherValue != "" && oneValue == "" {
		c.fail(other, "is set, but %s is not; set both or neither", c.env.name(one))
	}
}

// clientCertificates checks that somebody shows them, and that who hands them on is believed.
func (c *checker) clientCertificates() {
	name := c.cfg.ClientCertHeader
	switch {
	case name == "":
		if c.cfg.TLSClientCAFile != "" && c.cfg.TLSCertFile == "" {
			c.fail("TLS_CLIENT_CA_FILE", "is set, but nothing shows a client's certificate; set %s, or %s behind a proxy that ends TLS",
				c.env.name("TLS_CERT_FILE"), c.env.name("CLIENT_CERT_HEADER"))
		}
	case !headerPattern.MatchString(name):
		c.fail("CLIENT_CERT_HEADER", "%s is not the name of a header", quote(name))
	case slices.Contains([]string{"authorization", "cookie", "host", "content-type", "content-length", "origin", "referer"}, strings.ToLower(name)):
		c.fail("CLIENT_CERT_HEADER", "%s has another meaning", quote(name))
	case !c.cfg.TrustedProxies.Any():
		c.fail("CLIENT_CERT_HEADER", "is believed from nobody; set %s", c.env.name("TRUSTED_PROXIES"))
	}
}

var headerPattern = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// responses warns where the metadata would promise more than is done.
func (c *checker) responses() {
	if c.cfg.ResponseISS == ISSAdvertise && !c.cfg.PARRequired {
		c.warn("RESPONSE_ISS", "advertise promises iss in every response, but only those to pushed requests get it. Set PAR_REQUIRED too.")
	}
	if c.cfg.ResponseISS == ISSAdvertise && !c.cfg.MetadataPatch {
		c.warn("RESPONSE_ISS", "advertise has no effect beyond add while METADATA_PATCH is false.")
	}
}
