package proxy

import (
	"net"
	"net/url"
	"strings"

	"pargate/rewrite"
)

// pathOf returns the path of an endpoint's URL as it stands in a request line.
func pathOf(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

func originURL(u *url.URL) *url.URL { return &url.URL{Scheme: u.Scheme, Host: u.Host} }

// sameOrigin compares scheme, host and port (RFC 6454 §5).
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && rewrite.HostPort(a) == rewrite.HostPort(b)
}

// sameServer reports whether two URLs lead to one server although their origins are spelled differently: with a final
// dot, by another name of the loopback address, or by the other scheme at its own port.
func sameServer(a, b *url.URL) bool {
	return serverOf(a) == serverOf(b)
}

func serverOf(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if isLoopback(host) {
		host = "loopback"
	}
	port := u.Port()
	if port == rewrite.DefaultPort(u.Scheme) {
		port = ""
	}
	return net.JoinHostPort(host, port)
}

// isSecureOrigin reports whether u is https, or plain http that does not leave this machine.
func isSecureOrigin(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// publicOf returns the origin of the issuer that the documents name, or nil.
func publicOf(oidc, oauth *document) *url.URL {
	for _, doc := range []*document{oidc, oauth} {
		if doc == nil {
			continue
		}
		if u, err := url.Parse(doc.Issuer); err == nil && u.Host != "" {
			return originURL(u)
		}
	}
	return nil
}
