package proxy

import (
	"net/http"
	"strings"
)

// forwarding are the headers with which proxies speak of a request's origin or of its client's certificate. From
// the outside they are hearsay; in any spelling they are dropped, and those that we vouch for are set anew.
var forwarding = map[string]bool{
	"forwarded": true, "x-forwarded": true, "x-real-ip": true, "x-client-ip": true, "x-cluster-client-ip": true, "client-ip": true,
	"true-client-ip": true, "cf-connecting-ip": true, "x-original-forwarded-for": true, "x-original-host": true,
	"x-host": true, "x-scheme": true, "x-url-scheme": true, "front-end-https": true, "x-request-id": true,
	"client-cert": true, "client-cert-chain": true, "x-client-cert": true, "x-client-certificate": true,
	"x-ssl-cert": true, "x-arr-clientcert": true, "x-tls-client-cert": true,
}

var forwardingPrefixes = []string{"x-forwarded-", "x-ssl-client-", "ssl-client-", "x-client-cert-", "x-client-verify"}

// overriding are the headers with which a request asks to be taken for another one.
var overriding = map[string]bool{
	"x-http-method-override": true, "x-http-method": true, "x-method-override": true,
	"x-original-url": true, "x-rewrite-url": true, "x-original-uri": true, "x-rewrite-uri": true,
}

// dropForwardingHeaders removes what only the gateway may say; on protected paths also what could make the upstream
// take the request for another one. Servers that hand headers on as CGI variables make one name of "-" and "_".
func dropForwardingHeaders(h http.Header, protected bool) {
	for name := range h {
		folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if forwarding[folded] || protected && overriding[folded] || hasForwardingPrefix(folded) {
			delete(h, name)
		}
	}
}

func hasForwardingPrefix(name string) bool {
	for _, prefix := range forwardingPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
