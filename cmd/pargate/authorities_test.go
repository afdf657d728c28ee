package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// rewriteFile puts another text into a file.
func rewriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherAuthorityOfTheUpstreamNeedsNoRestart(t *testing.T) {
	t.Parallel()
	own, other := newAuthority(t), newAuthority(t)
	up, address := upstreamWithTLS(t, own)
	file := writeFile(t, other.pem)
	s := start(t, "UPSTREAM_URL="+address, "UPSTREAM_CA_FILE="+file)
	up.SetIssuer(s.public)
	harness.WaitFor(t, "the refusal", func() bool {
		status, body := getText(t, s.admin+"/readyz")
		return status == 503 && strings.Contains(body, "certificate")
	})
	rewriteFile(t, file, own.pem)
	s.waitReady(t)
	if status, _ := getText(t, s.public+"/page"); status != 200 {
		t.Errorf("with the new authority: %d", status)
	}
	if got := s.logs.field("UPSTREAM_CA_FILE read again", "certificates"); got != "1" {
		t.Errorf("the log says %q", got)
	}
	rewriteFile(t, file, "no PEM")
	harness.WaitFor(t, "the log line about the broken file", func() bool {
		return strings.Contains(s.logs.field("UPSTREAM_CA_FILE refused; the one read before stays", "error"), "has no certificate in PEM form")
	})
	if status, _ := getText(t, s.public+"/page"); status != 200 {
		t.Errorf("after a broken file: %d", status)
	}
	// The one that is no longer in the file is no longer trusted.
	rewriteFile(t, file, other.pem)
	harness.WaitFor(t, "the other authority", func() bool { return strings.Count(s.logs.String(), "UPSTREAM_CA_FILE read again") == 2 })
	if code, stdout, _ := call(t, s.environ, "check", "-connect"); code != exitFailure || !matchLines(stdout, "^fail  upstream: .*certificate") {
		t.Errorf("%d %s", code, stdout)
	}
}

func TestAnotherAuthorityOfClientsNeedsNoRestart(t *testing.T) {
	t.Parallel()
	server := newAuthority(t)
	chain, other := issue(t, "chain", false), issue(t, "chain", false)
	environ, replace := keyFiles(t)
	replace(server.server)
	up, file := upstream.New(t), writeFile(t, other.authority)
	s := start(t, append(environ, "UPSTREAM_URL="+up.URL, "TLS_CLIENT_CA_FILE="+file, "RATE_LIMIT=off", "CLIENTS_FILE="+clientsWithCertificates(t, issue(t, "own", true)))...)
	public := strings.Replace(s.public, "http://", "https://", 1)
	up.SetIssuer(public)
	s.waitReady(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(server.pem))
	push := func(certificate issued) int {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate.Certificate, nil }}}
		res, err := (&http.Client{Transport: transport}).PostForm(public+"/par", harness.Form("client_id", "chain"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := []int{push(chain), push(other)}; got[0] != 401 || got[1] != 201 {
		t.Fatalf("at first: %v", got)
	}
	rewriteFile(t, file, chain.authority)
	harness.WaitFor(t, "the new authority", func() bool { return push(chain) == 201 })
	if got := push(other); got != 401 {
		t.Errorf("of the one before: %d", got)
	}
	rewriteFile(t, file, "no PEM")
	harness.WaitFor(t, "the log line about the broken file", func() bool {
		return s.logs.field("TLS_CLIENT_CA_FILE refused; the one read before stays", "error") != ""
	})
	if got := push(chain); got != 201 {
		t.Errorf("after a broken file: %d", got)
	}
}

// Of TLS 1.2 only what encrypts with authentication is spoken, whatever a client prefers (RFC 9325 §4.2).
func TestOldCiphersAreNotSpoken(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	s := start(t, append(environ, "UPSTREAM_URL=http://127.0.0.1:1")...)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	for cipher, want := range map[uint16]bool{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: false, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: false, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: false,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: true, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: true, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: true,
	} {
		c, err := tls.Dial("tcp", strings.TrimPrefix(s.public, "http://"), &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{cipher}})
		if err == nil {
			c.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.CipherSuiteName(cipher), err)
		}
	}
}

// An upstream that takes the connection and never opens TLS on it is given up, long before UPSTREAM_TIMEOUT.
func TestAnUpstreamThatNeverOpensTLSIsGivenUp(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	s := start(t, "UPSTREAM_URL=https://"+silent.Addr().String(), "UPSTREAM_TIMEOUT=5m")
	began := time.Now()
	if status, _ := getText(t, s.public+"/page"); status != 504 || time.Since(began) > 20*time.Second {
		t.Errorf("%d after %v", status, time.Since(began))
	}
}
