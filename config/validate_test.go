package config_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pargate/config"
)

func TestTextOfAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load([]string{
		"UPSTREAM_URL=localhost:9998", "TRUSTED_PROXYS=10.0.0.0/8", "REDIS_URL=redis://r:6379", "REDIS_PASSWORD=hunter2",
		"REDIS_PASSWORD_FILE=/run/secrets/redis", "PAR_TTL=10m", "PARGATE_PROFILE=fapi1", "TRUSTED_PROXIES=nope",
	})
	const want = `  UPSTREAM_URL      "localhost:9998" has no scheme; did you mean http://localhost:9998 ?
  PAR_TTL           10m is outside 5s to 599s
  TRUSTED_PROXIES   "nope" is neither an IP address nor a CIDR range such as 10.0.0.0/8
  PARGATE_PROFILE   "fapi1" is not fapi2
  REDIS_PASSWORD    and REDIS_PASSWORD_FILE are both set; keep one
  TRUSTED_PROXYS    is not a setting; did you mean TRUSTED_PROXIES ?`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestTextWithoutUpstream(t *testing.T) {
	t.Parallel()
	const want = `  UPSTREAM_URL   is not set. It is the address of your authorization server, for example
                 UPSTREAM_URL=https://login.example.com pargate`
	for _, environ := range [][]string{nil, {"UPSTREAM_URL="}, {"PARGATE_UPSTREAM_URL= "}} {
		if _, _, err := config.Load(environ); err == nil || err.Error() != want {
			t.Errorf("%q: got\n%v\nwant\n%s", environ, err, want)
		}
	}
}

func TestUpstreamURL(t *testing.T) {
	t.Parallel()
	const hidden = "the value (not shown: it may hold a password)"
	for value, want := range map[string]string{
		"https://login.example.com":            "",
		"HTTP://as:9998/realms/a/":             "",
		"http://[fd00::1]:9998":                "",
		"127.0.0.1:9998":                       `"127.0.0.1:9998" has no scheme; did you mean http://127.0.0.1:9998 ?`,
		"as":                                   `"as" has no scheme; did you mean http://as ?`,
		"login.example.com":                    `"login.example.com" has no scheme; did you mean https://login.example.com ?`,
		"login.example.com:443/x":              `"login.example.com:443/x" has no scheme; did you mean https://login.example.com:443/x ?`,
		"http:/as":                             `"http:/as" is not a URL such as https://login.example.com`,
		"ftp://as":                             `"ftp://as" starts with neither http:// nor https://`,
		"http://":                              `"http://" has no host or no port after the colon`,
		"http://:9998":                         `"http://:9998" has no host or no port after the colon`,
		"http://as:":                           `"http://as:" has no host or no port after the colon`,
		"http://as:99999":                      `"http://as:99999" has a port that is not from 1 to 65535`,
		"http://as:port":                       `"http://as:port" is not a URL such as https://login.example.com`,
		"http://as?x":                          `"http://as?x" has a query; take it out`,
		"http://as/?":                          `"http://as/?" has a query; take it out`,
		"http://as/#":                          `"http://as/#" has a fragment; take it out`,
		"http://as//x":                         `"http://as//x": its path has // in it`,
		"http://as/a/../b":                     `"http://as/a/../b": its path has a dot segment`,
		"http://as/a%2fb":                      `"http://as/a%2fb": its path has one of ; % \ in it, which is not supported`,
		"http://me:hunter2@as":                 "has a user or password in it (not shown); take it out",
		"http://me:hun/ter2@as":                hidden + " is not a URL such as https://login.example.com",
		"http://me:hunter2%40as":               hidden + " is not a URL such as https://login.example.com",
		"me:hunter2@as":                        hidden + " is not a URL such as https://login.example.com",
		"redis://:hunter2@as":                  hidden + " starts with neither http:// nor https://",
		"http://as/" + strings.Repeat("/", 99): `"http://as/` + strings.Repeat("/", 70) + `"…: its path has // in it`,
	} {
		if want != "" {
			want = "UPSTREAM_URL " + want
		}
		expect(t, want, "UPSTREAM_URL="+value)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	expect(t, `PUBLIC_URL "http://login.example.com" must begin with https:// (http only on this machine, for example http://localhost:8080)`,
		"PUBLIC_URL=http://login.example.com")
	expect(t, "PUBLIC_URL has a user or password in it (not shown); take it out", "PUBLIC_URL=https://me@login.example.com")
	expect(t, `PUBLIC_URL "https://x/?a=b" has a query; take it out`, "PUBLIC_URL=https://x/?a=b")
	expect(t, "", "PUBLIC_URL=http://127.9.9.9:1")
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"PAR_TTL=4":                         "4s is outside 5s to 599s",
		"PAR_TTL=600s":                      "10m is outside 5s to 599s",
		"PAR_TTL=5500ms":                    "5.5s is not a whole number of seconds",
		"PAR_TTL=soon":                      `"soon" is not a duration such as 90s or 30m`,
		"PAR_TTL=1.5":                       `"1.5" is not a duration such as 90s or 30m`,
		"PAR_TTL=-60s":                      "-1m is outside 5s to 599s",
		"PAR_TTL=99999999999":               `"99999999999" is too long`,
		"PAR_TTL=9999999999999999999":       `"9999999999999999999" is too long`,
		"FLOW_TTL=59s":                      "59s is outside 1m to 24h",
		"FLOW_TTL=25h":                      "25h is outside 1m to 24h",
		"FLOW_TTL=61.5s":                    "1m1.5s is not a whole number of seconds",
		"UPSTREAM_TIMEOUT=0":                "0s is outside 1s to 10m",
		"SHUTDOWN_DELAY=6m":                 "6m is outside 0s to 5m",
		"SHUTDOWN_TIMEOUT=0":                "0s is outside 1s to 10m",
		"PAR_REQUIRED=maybe":                `"maybe" is neither true nor false`,
		"PAR_MAX_BYTES=1023":                "1023 is outside 1KiB to 1MiB",
		"PAR_MAX_BYTES=2MiB":                "2MiB is outside 1KiB to 1MiB",
		"PAR_MAX_BYTES=64k":                 `"64k" has an unclear unit; did you mean 64KiB ?`,
		"PAR_MAX_BYTES=64 KB":               `"64 KB" has an unclear unit; did you mean 64KiB ?`,
		"PAR_MAX_BYTES=-1":                  `"-1" is not a size such as 64KiB`,
		"PAR_MAX_BYTES=9999999999GiB":       `"9999999999GiB" is too large`,
		"UPSTREAM_MAX_REQUEST=lots":         `"lots" is not a size such as 64KiB`,
		"RATE_LIMIT=50":                     `"50" is not a rate such as 50/s or 600/m; off removes the limit`,
		"RATE_LIMIT=0/s":                    `"0/s" would refuse everything; off removes the limit`,
		"RATE_LIMIT=1e9/s":                  `"1e9/s" is not a rate such as 50/s or 600/m; off removes the limit`,
		"RATE_LIMIT=1000001/s":              `"1000001/s" is above 1000000; off removes the limit`,
		"LOG_LEVEL=verbose":                 `"verbose" is not one of debug, info, warn and error`,
		"LOG_FORMAT=xml":                    `"xml" is not one of auto, json and console`,
		"CLIENT_AUTH=none":                  `"none" is not one of auto, file and upstream`,
		"TRUSTED_PROXIES=10.0.0.0/33":       `"10.0.0.0/33" is neither an IP address nor a CIDR range such as 10.0.0.0/8`,
		"TRUSTED_PROXIES=fe80::1%eth0":      `"fe80::1%eth0" has a zone, which is not supported`,
		"TRUSTED_PROXIES=::ffff:0.0.0.0/90": `"::ffff:0.0.0.0/90" mixes IPv4 and IPv6; write two ranges`,
		"LISTEN_ADDR=off":                   "cannot be off",
		"LISTEN_ADDR=9000":                  `"9000" has no colon; did you mean :9000 ?`,
		"LISTEN_ADDR=http://:9000":          `"http://:9000" is a URL; write host:port, for example :8080`,
		"LISTEN_ADDR=localhost":             `"localhost" is not host:port, for example :8080`,
		"LISTEN_ADDR=:http":                 `":http" has a port that is not from 0 to 65535`,
		"LISTEN_ADDR=:70000":                `":70000" has a port that is not from 0 to 65535`,
		"ADMIN_ADDR=none":                   `"none" is not host:port, for example :8080; off serves it nowhere`,
		"ADMIN_ADDR=127.0.0.1:8080":         `"127.0.0.1:8080" is the same port as LISTEN_ADDR; the admin endpoints need their own`,
		"PAR_PATH=par":                      `"par" does not begin with /`,
		"PAR_PATH=/":                        `"/" would be every path`,
		"PAR_PATH=/a/./par":                 `"/a/./par" has a dot segment`,
		"PAR_PATH=/a/..":                    `"/a/.." has a dot segment`,
		"PAR_PATH=//par":                    `"//par" has // in it`,
		"PAR_PATH=/par;x":                   `"/par;x" has one of ; % \ in it, which is not supported`,
		"PAR_PATH=/p%61r":                   `"/p%61r" has one of ; % \ in it, which is not supported`,
		"PAR_PATH=/par?x":                   `"/par?x" has a query or a fragment`,
		"PAR_PATH=/pär":                     `"/pär" has a character that a URL must escape`,
		"PAR_PATH=https://x/par":            `"https://x/par" is a URL; write its path alone`,
		"TOKEN_PATH=/to#ken":                `"/to#ken" has a query or a fragment`,
		"AUTHORIZE_PATH=/a,b":               `"b" does not begin with /`,
		"RESUME_PARAMS=ok,Request_URI":      `"Request_URI" belongs to authorization requests; a browser must not add it`,
		"RESUME_PARAMS=scope[]":             `"scope[]" is not a parameter name`,
		"RESUME_PARAMS=client.id":           `"client.id" belongs to authorization requests; a browser must not add it`,
		"RESUME_PARAMS=pargate_x":           `"pargate_x" begins with pargate, which is ours`,
		"RESUME_PARAMS=a=b":                 `"a=b" is not a parameter name`,
		"CLIENT_AUTH=file":                  "CLIENTS_FILE is not set, and CLIENT_AUTH=file needs it",
		"REDIS_WAIT_REPLICAS=one":           `"one" is not a whole number`,
	} {
		name, _, _ := strings.Cut(set, "=")
		if !strings.HasPrefix(want, "CLIENTS_FILE") {
			want = name + " " + want
		}
		expect(t, want, set)
	}
}

func TestEndpointsAndListenersDiffer(t *testing.T) {
	t.Parallel()
	expect(t, `PAR_PATH "/x" is also in AUTHORIZE_PATH; each endpoint needs its own path`, "PAR_PATH=/x", "AUTHORIZE_PATH=/a /x")
	expect(t, `PAR_PATH "/x" is also in TOKEN_PATH; each endpoint needs its own path`, "PAR_PATH=/x", "TOKEN_PATH=/x")
	expect(t, `TOKEN_PATH "/x" is also in AUTHORIZE_PATH; each endpoint needs its own path`, "AUTHORIZE_PATH=/x", "TOKEN_PATH=/x")
	expect(t, "", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0")
	expect(t, "", "LISTEN_ADDR=127.0.0.1:9000", "ADMIN_ADDR=127.0.0.2:9000")
	expect(t, `ADMIN_ADDR "[::]:9000" is the same port as LISTEN_ADDR; the admin endpoints need their own`, "LISTEN_ADDR=127.0.0.1:9000", "ADMIN_ADDR=[::]:9000")
}

func TestAListenerMayBeASocket(t *testing.T) {
	t.Parallel()
	c := load(t, "LISTEN_ADDR=unix:/run/pargate/public.sock", "ADMIN_ADDR=unix:/run/pargate/admin.sock", "TRUSTED_PROXIES=Unix 10.0.0.1")
	if c.ListenAddr.Socket() != "/run/pargate/public.sock" || c.AdminAddr.Socket() != "/run/pargate/admin.sock" || show(t, c, "TRUSTED_PROXIES") != "10.0.0.1/32,unix" {
		t.Errorf("%+v", c)
	}
	if c := load(t); c.ListenAddr.Socket() != "" || c.TrustedProxies.Any() {
		t.Errorf("a port is a socket: %+v", c)
	}
	long := "unix:/" + strings.Repeat("x", 106)
	expect(t, "", "LISTEN_ADDR="+long, "TRUSTED_PROXIES=unix")
	expect(t, "LISTEN_ADDR has a path of 108 bytes, and a socket's has 107 at most; put it into a directory with a shorter name", "LISTEN_ADDR="+long+"x")
	expect(t, `ADMIN_ADDR "unix:run/x" is not unix: and the path of a file, for example unix:/run/pargate/public.sock; off serves it nowhere`, "ADMIN_ADDR=unix:run/x")
	expect(t, `LISTEN_ADDR the value (not shown: it may hold a password) is not unix: and the path of a file, for example unix:/run/pargate/public.sock`, "LISTEN_ADDR=unix:@x")
	expect(t, `LISTEN_ADDR "/run/x" is a path; for a socket write "unix:/run/x"`, "LISTEN_ADDR=/run/x")
	expect(t, `LISTEN_ADDR "Unix:/run/x" is neither host:port nor a socket; write "unix:/run/x"`, "LISTEN_ADDR=Unix:/run/x")
	expect(t, `LISTEN_ADDR "unix:/run/" is not unix: and the path of a file, for example unix:/run/pargate/public.sock`, "LISTEN_ADDR=unix:/run/")
	expect(t, `LISTEN_ADDR "unix:///run/x" has slashes to spare; write "unix:/run/x"`, "LISTEN_ADDR=unix:///run/x")
	expect(t, `ADMIN_ADDR "unix:/run//x" is the socket of LISTEN_ADDR too; the admin endpoints need their own`, "LISTEN_ADDR=unix:/run/x", "ADMIN_ADDR=unix:/run//x")
	expect(t, "TRUSTED_PROXIES has unix in it, but LISTEN_ADDR is no socket; take it out", "TRUSTED_PROXIES=unix", "ADMIN_ADDR=unix:/run/x")
}

func TestFilesMustBeRegular(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CLIENTS_FILE", "UPSTREAM_CA_FILE"} {
		expect(t, name+` "`+dir+`" is a directory, not a file`, name+"="+dir)
		expect(t, name+` "`+pipe+`" is not a regular file`, name+"="+pipe)
		expect(t, name+` "`+dir+`/x" cannot be read: no such file or directory`, name+"="+dir+"/x")
		expect(t, "", name+"="+file(t, "[]"))
	}
	expect(t, "", "CLIENT_AUTH=file", "CLIENTS_FILE="+file(t, "[]"))
}

func TestRedis(t *testing.T) {
	t.Parallel()
	const notURL = "REDIS_URL is not a URL (not shown: it may hold a password); in a password write / as %2F, @ as %40, : as %3A, # as %23, ? as %3F and % as %25"
	for value, want := range map[string]string{
		"redis://redis":                    "",
		"rediss://u:hunter2@r:6379/1":      "",
		"unix:///run/redis.sock?db=1":      "",
		"valkey://r":                       "",
		"valkeys://[::1]:6379":             "",
		"redis:6379":                       "REDIS_URL has no scheme; write redis:// in front, as in redis://redis:6379 (not shown: it may hold a password)",
		":hunter2@r:6379":                  "REDIS_URL has no scheme; write redis:// in front, as in redis://redis:6379 (not shown: it may hold a password)",
		"http://r":                         "REDIS_URL begins with none of redis:// rediss:// unix:// valkey:// valkeys://",
		"redis://:hunt/er2@r":              notURL,
		"redis://:hunt%er2@r":              notURL,
		"redis://:6379":                    "REDIS_URL has no host; it looks like redis://redis:6379",
		"unix://":                          "REDIS_URL has no path; a socket looks like unix:///run/redis.sock",
		"redis://r:99999":                  "REDIS_URL has a port that is not from 1 to 65535",
		"redis://r/#hunter2":               "REDIS_URL has a fragment; in a password write # as %23",
		"redis://s:26379?master_name=main": "",
		"redis://a?addr=b:6379":            "",
	} {
		expect(t, want, "REDIS_URL="+value)
	}
	for _, set := range []string{"REDIS_MODE=standalone", "REDIS_USERNAME=u", "REDIS_PASSWORD=p", "REDIS_KEY_PREFIX=p:", "REDIS_WAIT_REPLICAS=8"} {
		name, _, _ := strings.Cut(set, "=")
		expect(t, name+" is set, but REDIS_URL is not; set that too or unset this", set)
		expect(t, "", set, "REDIS_URL=redis://r")
	}
	pem := file(t, "PEM")
	for _, name := range []string{"REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE"} {
		expect(t, name+" is set, but REDIS_URL is not; set that too or unset this", name+"="+pem)
		expect(t, name+" is for TLS, and REDIS_URL does not begin with rediss://", name+"="+pem, "REDIS_URL=redis://r")
		expect(t, name+` "/nowhere" cannot be read: no such file or directory`, name+"=/nowhere", "REDIS_URL=rediss://r")
	}
	expect(t, "REDIS_CERT_FILE is set, but REDIS_KEY_FILE is not; set both or neither", "REDIS_CERT_FILE="+pem, "REDIS_URL=rediss://r")
	expect(t, "REDIS_KEY_FILE is set, but REDIS_CERT_FILE is not; set both or neither", "REDIS_KEY_FILE="+pem, "REDIS_URL=valkeys://r")
	expect(t, "", "REDIS_CA_FILE="+pem, "REDIS_CERT_FILE="+pem, "REDIS_KEY_FILE="+pem, "REDIS_URL=REDISS://r")
	for _, n := range []string{"-1", "9"} {
		expect(t, "REDIS_WAIT_REPLICAS "+n+" is outside 0 to 8", "REDIS_WAIT_REPLICAS="+n, "REDIS_URL=redis://r")
	}
	expect(t, "", "REDIS_WAIT_REPLICAS=0")
	expect(t, `REDIS_KEY_PREFIX "{p}:" has braces or blanks in it`, "REDIS_KEY_PREFIX={p}:", "REDIS_URL=redis://r")
	expect(t, `REDIS_KEY_PREFIX "p a:" has braces or blanks in it`, "REDIS_KEY_PREFIX=p a:", "REDIS_URL=redis://r")
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	const not = " is not an origin as browsers send it: https://, host and port alone, in lower case"
	for value, want := range map[string]string{
		"https://app.example": "", "http://127.0.0.1:3000 https://x": "", "*": `"*"`, "null": `"null"`, "https://app.example/": `"https://app.example/"`,
		"https://App.example": `"https://App.example"`, "app.example": `"app.example"`, "ftp://x": `"ftp://x"`, "https://": `"https://"`, "https://app.example:443": `"https://app.example:443"`,
	} {
		if want != "" {
			want = "CORS_ORIGINS " + want + not
		}
		expect(t, want, "CORS_ORIGINS="+value)
	}
}

func TestACertificateNeedsItsKey(t *testing.T) {
	t.Parallel()
	existing := file(t, "x")
	expect(t, "TLS_CERT_FILE is set, but TLS_KEY_FILE is not; set both or neither", "TLS_CERT_FILE="+existing)
	expect(t, "TLS_KEY_FILE is set, but TLS_CERT_FILE is not; set both or neither", "TLS_KEY_FILE="+existing)
	expect(t, "", "TLS_CERT_FILE="+existing, "TLS_KEY_FILE="+existing)
	expect(t, "TLS_CLIENT_CA_FILE is set, but nothing shows a client's certificate; set TLS_CERT_FILE, or CLIENT_CERT_HEADER behind a proxy that ends TLS", "TLS_CLIENT_CA_FILE="+existing)
	expect(t, "", "TLS_CLIENT_CA_FILE="+existing, "TLS_CERT_FILE="+existing, "TLS_KEY_FILE="+existing)
	expect(t, "", "TLS_CLIENT_CA_FILE="+existing, "CLIENT_CERT_HEADER=Client-Cert", "TRUSTED_PROXIES=10.0.0.1")
	expect(t, "CLIENT_CERT_HEADER is believed from nobody; set TRUSTED_PROXIES", "CLIENT_CERT_HEADER=Client-Cert")
	expect(t, `CLIENT_CERT_HEADER "Client Cert" is not the name of a header`, "CLIENT_CERT_HEADER=Client Cert", "TRUSTED_PROXIES=10.0.0.1")
	expect(t, `CLIENT_CERT_HEADER "Authorization" has another meaning`, "CLIENT_CERT_HEADER=Authorization", "TRUSTED_PROXIES=10.0.0.1")
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	const memory = "REDIS_URL is not set: pushed requests are kept in memory, are lost on restart and not shared. Run ONE replica, or set it."
	clients := "CLIENTS_FILE=" + file(t, "[]")
	for _, tt := range []struct {
		environ []string
		want    string
	}{
		{nil, memory},
		{[]string{"REDIS_URL=redis://r", clients}, ""},
		{[]string{"REDIS_URL=redis://r", clients, "TRUSTED_PROXIES=::/0"}, "TRUSTED_PROXIES ::/0 trusts every address: anybody can then say where a request came from."},
		{[]string{"REDIS_URL=redis://r", clients, "LISTEN_ADDR=unix:/run/x"}, "TRUSTED_PROXIES has no unix in it: nobody is believed about addresses, so that all clients and browsers look alike. Add it if a proxy connects to the socket of LISTEN_ADDR."},
		{[]string{"REDIS_URL=redis://r", clients, "LISTEN_ADDR=unix:/run/x", "TRUSTED_PROXIES=unix"}, ""},
		{[]string{"REDIS_URI=x", clients}, memory + "\nREDIS_URI is not a setting; did you mean REDIS_URL ?"},
	} {
		_, warnings, err := config.Load(append(tt.environ, upstream))
		var got []string
		for _, w := range warnings {
			got = append(got, w.String())
		}
		if err != nil || strings.Join(got, "\n") != tt.want {
			t.Errorf("%q: got %q %v, want %q", tt.environ, got, err, tt.want)
		}
	}
}
