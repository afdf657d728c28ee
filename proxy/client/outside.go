package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// newOutsideTransport returns a transport for addresses that come with a client's registration. Unless private is set
// it reaches public addresses alone: what is behind a name is looked at when the connection is made, so that it cannot
// be another one then (RFC 9126 has no such fetch; RFC 9101 §10.4 says what one can do).
func newOutsideTransport(roots *x509.CertPool, private bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if private {
			return nil
		}
		return checkPublic(address)
	}}
	return &http.Transport{
		// No proxy: the environment's would be asked for addresses that it may reach and we must not.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    3 * time.Second,
		DisableKeepAlives:      true, // one request a minute
		DisableCompression:     true, // what is counted is what arrives
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// notPublic are the networks of IANA's special-purpose registries that netip has no word for. Several carry addresses
// of the Internet's older half, and lead wherever those do.
var notPublic = func() (all []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
		"2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// checkPublic refuses an address, with its port, that is not one of the public Internet.
func checkPublic(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := parsed.Addr().Unmap().WithZone("")
	public := ip.IsGlobalUnicast() && !ip.IsPrivate()
	for _, network := range notPublic {
		public = public && !network.Contains(ip)
	}
	if !public {
		return fmt.Errorf("%s is not a public address", ip)
	}
	return nil
}
