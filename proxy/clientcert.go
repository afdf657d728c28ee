package proxy

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
)

// clientCertificate returns the certificate with which the client has opened its connection (RFC 8705 §2); nil when with
// none. Where TLS ends at a trusted proxy, the proxy hands it on in the configured header; from everybody else that
// header is hearsay.
func (s *Server) clientCertificate(r *http.Request) (*client.Certificate, error) {
	var chain []*x509.Certificate
	var err error
	switch x := exchangeOf(r); {
	case isFromAnotherSite(r, x): // a browser shows its certificate to whoever makes it send a request
		return nil, nil
	case s.ClientCertHeader != "" && x.origin.trusted:
		chain, err = certificatesIn(r.Header, s.ClientCertHeader)
	case r.TLS != nil:
		chain = r.TLS.PeerCertificates
	}
	if err != nil || len(chain) == 0 {
		return nil, err
	}
	return &client.Certificate{Leaf: chain[0], Intermediates: chain[1:]}, nil
}

// isFromAnotherSite reports whether a page of another origin has made a browser send the request.
func isFromAnotherSite(r *http.Request, x *exchange) bool {
	origin := r.Header.Get("Origin")
	site := r.Header.Get("Sec-Fetch-Site")
	foreign := origin != "" && (x.endpoints == nil || origin != x.endpoints.public.Scheme+"://"+x.endpoints.public.Host)
	return foreign || site == "cross-site" || site == "same-site"
}

// certificatesIn reads the client's certificate out of a header, and those that lead from it to its authority: as RFC 9440
// has them, or as PEM that is percent-encoded, as nginx has it in $ssl_client_escaped_cert.
func certificatesIn(h http.Header, name string) ([]*x509.Certificate, error) {
	values := h.Values(name)
	switch {
	case len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "":
		return nil, nil
	case len(values) > 1:
		return nil, unreadableCertificate(errors.New(name + " occurs more than once"))
	}
	value := strings.TrimSpace(values[0])
	if !strings.HasPrefix(value, ":") {
		return certificatesInPEM(value)
	}
	chain := []string{value}
	if strings.EqualFold(name, "Client-Cert") {
		for _, line := range h.Values("Client-Cert-Chain") {
			chain = append(chain, strings.Split(line, ",")...)
		}
	}
	var certificates []*x509.Certificate
	for _, item := range chain {
		item = strings.TrimSpace(item)
		if len(item) < 2 || item[0] != ':' || item[len(item)-1] != ':' {
			return nil, unreadableCertificate(errors.New("not a byte sequence of RFC 8941"))
		}
		der, err := base64.StdEncoding.DecodeString(item[1 : len(item)-1])
		if err != nil {
			return nil, unreadableCertificate(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, unreadableCertificate(err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

func certificatesInPEM(value string) (certificates []*x509.Certificate, err error) {
	text, err := url.PathUnescape(value) // "+" is a digit of base64 here
	if err != nil {
		return nil, unreadableCertificate(errors.New("neither a byte sequence of RFC 9440 nor percent-encoded PEM"))
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, unreadableCertificate(err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, unreadableCertificate(errors.New("neither a byte sequence of RFC 9440 nor percent-encoded PEM"))
	}
	return certificates, nil
}

// unreadableCertificate: the proxy has handed something on that is no certificate.
func unreadableCertificate(cause error) error {
	return oauth.InvalidClient("client authentication failed", false).Because(cause).ChangedBy("CLIENT_CERT_HEADER")
}
