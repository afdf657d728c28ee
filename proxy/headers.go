package proxy

import (
	"net/http"
	"slices"
	"strings"
)

// forwarding are the headers with which proxies speak of a request's origin or of its client's certificate. From
// the outside they are hearsay; in any spelling they are dropped, and those that we vouch for are set anew.
var forwarding = map[string]bool{
	"forwarded": true, "x-forwarded": true, "x-real-ip": true, "x-client-ip": true, "x-cluster-client-ip": true, "client-ip": true,
	"true-client-ip": true, "cf-connecting-ip": true, "x-original-forwarded-for": true, "x-original-host": true,
	"x-host": true, "x-scheme": true, "x-url-scheme": true, "front-end-https": true, "x-request-id": true,
	"client-cert": true, "client-cert-chain": true, "x-client-cert": true, "x-client-certificate": true,
	"x-arr-clientcert": true, "x-tls-client-cert": true, "x-client-dn": true, "x-ssl": true,
	"fastly-client-ip": true, "wl-proxy-client-ip": true, "proxy-client-ip": true, "x-proxyuser-ip": true,
	"x-envoy-external-address": true, "x-originating-ip": true, "proxy": true,
	"x-remote-ip": true, "x-remote-addr": true, "x-azure-clientip": true, "x-azure-socketip": true, "x-appengine-user-ip": true,
	"cf-connecting-ipv6": true, "cf-pseudo-ipv4": true,
	"pargate-hop": true, "x-original-proto": true, "x-original-scheme": true, "x-original-for": true, "x-arr-ssl": true,
}

var forwardingPrefixes = []string{"x-forwarded-", "x-ssl-client-", "ssl-client-", "x-ssl-cert", "x-amzn-mtls-", "cf-client-cert-", "x-forward-", "x-client-cert-", "x-client-verify"}

// identity are the headers with which a proxy that has signed a user in says who it is. A server that is used to such a
// proxy believes them; so they are a trusted proxy's alone.
var identity = map[string]bool{"remote-user": true, "x-remote-user": true, "x-authenticated-user": true, "x-authenticated-userid": true, "x-webauth-user": true}

var identityPrefixes = []string{"x-auth-request-", "x-remote-user-"}

// With these a request asks to be taken for one of another method, or for another path.
var (
	overridingMethod = map[string]bool{"x-http-method-override": true, "x-http-method": true, "x-method-override": true}
	overridingPath   = map[string]bool{"x-original-url": true, "x-rewrite-url": true, "x-original-uri": true, "x-rewrite-uri": true, "x-script-name": true, "x-envoy-original-path": true}
)

// framing are the fields that frame a message, when they are not called what they are called: net/http has read those and
// takes them away, a server behind a lenient parser might read the others.
var framing = map[string]string{"content-length": "Content-Length", "transfer-encoding": "Transfer-Encoding", "host": "Host"}

// dropForwardingHeaders removes what only the gateway may say, and the header called certificate, with the client's; from
// who is not trusted also what only a trusted proxy may say; on protected paths also what would make another method or path of the request, and the latter on every path where requests
// must be pushed, because it leads from there to the authorization endpoint.
func dropForwardingHeaders(h http.Header, trusted, protected, mustPush bool, certificate string) {
	certificate = foldHeader(certificate)
	for name := range h {
		folded := foldHeader(name)
		if folded == certificate || forwarding[folded] || hasPrefixOf(folded, forwardingPrefixes) ||
			!trusted && (identity[folded] || hasPrefixOf(folded, identityPrefixes)) || protected && overridingMethod[folded] ||
			(protected || mustPush) && overridingPath[folded] || framing[folded] != "" && framing[folded] != name {
			delete(h, name)
		}
	}
}

// foldHeader returns what a name is to servers that make variables of headers: those of CGI make one name of "-" and "_",
// and some of every character that is neither a letter nor a digit.
func foldHeader(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, name)
}

// hasPrefixOf reports whether s begins with one of the prefixes.
func hasPrefixOf(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(s, prefix) })
}
