package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pargate/test/harness"
	"pargate/test/upstream"
)

// traffic sends requests all the time: on connections that are kept and on new ones, and pushes.
type traffic struct {
	cancel  context.CancelFunc
	senders sync.WaitGroup
	sent    [3]atomic.Int64
	failure atomic.Value // the first one
}

func steadyLoad(t *testing.T, public string, config *tls.Config) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &traffic{cancel: cancel}
	t.Cleanup(func() { cancel(); l.senders.Wait() })
	push := func(ctx context.Context) (*http.Request, int) {
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, public+"/par", strings.NewReader(harness.Form().Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("web", "s3cret")
		return r, http.StatusCreated
	}
	page := func(ctx context.Context) (*http.Request, int) {
		// A body that the transport does not know how to send again, so that each loss is seen.
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, public+"/page", io.MultiReader(strings.NewReader("hello")))
		return r, http.StatusOK
	}
	for i, kind := range []struct {
		request func(context.Context) (*http.Request, int)
		keep    bool
	}{{page, true}, {page, false}, {push, true}} {
		for range 2 {
			l.senders.Go(func() {
				transport := &http.Transport{TLSClientConfig: config.Clone(), DisableKeepAlives: !kind.keep}
				defer transport.CloseIdleConnections()
				for ctx.Err() == nil {
					r, want := kind.request(ctx)
					res, err := transport.RoundTrip(r)
					if ctx.Err() != nil {
						return
					}
					if err == nil {
						_, err = io.Copy(io.Discard, res.Body)
						res.Body.Close()
						if err == nil && res.StatusCode != want {
							err = fmt.Errorf("%s %s: %s", r.Method, r.URL.Path, res.Status)
						}
					}
					if err != nil && ctx.Err() == nil {
						l.failure.CompareAndSwap(nil, err.Error())
						return
					}
					l.sent[i].Add(1)
					time.Sleep(2 * time.Millisecond) // two cores are shared with the program
				}
			})
		}
	}
	harness.WaitFor(t, "the load", func() bool {
		return l.failure.Load() != nil || l.sent[0].Load() > 3 && l.sent[1].Load() > 3 && l.sent[2].Load() > 3
	})
	return l
}

// end ends the load, and fails the test if anything has failed.
func (l *traffic) end(t *testing.T) {
	t.Helper()
	l.cancel()
	l.senders.Wait()
	if failure := l.failure.Load(); failure != nil {
		t.Errorf("after %d pages, %d on new connections and %d pushes: %v", l.sent[0].Load(), l.sent[1].Load(), l.sent[2].Load(), failure)
	}
}

// replaceFile writes a file as programs do: at once, by renaming another one, or bit by bit.
func replaceFile(t *testing.T, file, text string, atOnce bool) {
	t.Helper()
	if atOnce {
		next := file + ".next"
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := 0; i < len(text); i += 400 {
		if _, err := io.WriteString(f, text[i:min(i+400, len(text))]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// chain is a certificate for 127.0.0.1 with the intermediate that has signed it, without which nobody trusts it.
type chain struct {
	root           *x509.Certificate
	pem, key, leaf string
}

func newChain(t *testing.T) chain {
	t.Helper()
	template := func(serial int64, name string, isCA bool) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IsCA: isCA, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	}
	root, middle, leaf := template(1, "root", true), template(2, "middle", true), template(3, "leaf", false)
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	rootKey, middleKey, leafKey := newKey(t), newKey(t), newKey(t)
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	parsed, err := x509.ParseCertificate(sign(t, root, root, rootKey, rootKey))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	end := encode("CERTIFICATE", sign(t, leaf, middle, leafKey, middleKey))
	return chain{parsed, end + encode("CERTIFICATE", sign(t, middle, root, middleKey, rootKey)), encode("PRIVATE KEY", der), end}
}

// Certificate, key and client file change again and again, at once and bit by bit, and are read all the time meanwhile.
// Nobody notices.
func TestFilesAreReplacedWithoutADroppedRequest(t *testing.T) {
	t.Parallel()
	chains := []chain{newChain(t), newChain(t)}
	roots := x509.NewCertPool()
	for _, c := range chains {
		roots.AddCert(c.root)
	}
	cert, key, clients := writeFile(t, chains[0].pem), writeFile(t, chains[0].key), writeFile(t, harness.Clients)
	up := upstream.New(t)
	up.SetIssuer("https://127.0.0.1:1")
	s := serveInside(t, "UPSTREAM_URL="+up.URL, "PUBLIC_URL=https://127.0.0.1:1", "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key, "CLIENTS_FILE="+clients, "RATE_LIMIT=off")
	harness.WaitFor(t, "readiness", func() bool { return s.gateway.server.Ready(t.Context()) == nil })
	address := s.listeners[0].Addr().String()
	l := steadyLoad(t, "https://"+address, &tls.Config{RootCAs: roots})

	reading, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for reading.Err() == nil {
			s.gateway.reload(zap.NewNop())
		}
	})
	for i := range 40 {
		next := chains[(i+1)%2]
		atOnce := i%4 < 2
		replaceFile(t, cert, next.pem, atOnce)
		replaceFile(t, key, next.key, atOnce)
		replaceFile(t, clients, harness.Clients+strings.Repeat(" ", i), atOnce)
		if i%10 == 9 {
			harness.WaitFor(t, "the certificate that was written last", func() bool { return presents(t, address, roots, next) })
		}
	}
	stop()
	readers.Wait()
	l.end(t)
}

// presents reports whether a new connection is shown that certificate.
func presents(t *testing.T, address string, roots *x509.CertPool, want chain) bool {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	shown := c.ConnectionState().PeerCertificates
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown[0].Raw})) == want.leaf && len(shown) == 2
}

// Kubernetes does not write files: it swaps a link to the directory in which they lie.
func TestACertificateBehindALinkIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chains := []chain{newChain(t), newChain(t)}
	roots := x509.NewCertPool()
	for i, c := range chains {
		roots.AddCert(c.root)
		sub := filepath.Join(dir, fmt.Sprintf("version-%d", i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"tls.crt": c.pem, "tls.key": c.key} {
			if err := os.WriteFile(filepath.Join(sub, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := filepath.Join(dir, "data")
	swap := func(version string) {
		if err := os.Symlink(version, link+".next"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".next", link); err != nil {
			t.Fatal(err)
		}
	}
	swap("version-0")
	up := upstream.New(t)
	s := serveInside(t, "UPSTREAM_URL="+up.URL, "TLS_CERT_FILE="+filepath.Join(link, "tls.crt"), "TLS_KEY_FILE="+filepath.Join(link, "tls.key"))
	address := s.listeners[0].Addr().String()
	if !presents(t, address, roots, chains[0]) {
		t.Fatal("the first one is not shown")
	}
	swap("version-1")
	harness.WaitFor(t, "the other one", func() bool { return presents(t, address, roots, chains[1]) })
	// A file that is gone for a while changes nothing.
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	s.gateway.reload(zap.NewNop())
	if !presents(t, address, roots, chains[1]) {
		t.Error("without its file the certificate is gone")
	}
}
