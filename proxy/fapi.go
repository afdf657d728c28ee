package proxy

import (
	"errors"
	"net/netip"
	"net/url"

	"pargate/proxy/client"
	"pargate/proxy/jwt"
	"pargate/proxy/oauth"
)

// signingAlgorithms are those with which clients may sign; nil: all that are known.
func (s *Server) signingAlgorithms() []string {
	if s.FAPI {
		return jwt.FAPI()
	}
	return nil
}

// openedAlgorithms are those of the request objects that are opened here; nil: none are, as no client has keys here.
func (s *Server) openedAlgorithms() []string {
	switch {
	case !s.Clients.AnySigns():
		return nil
	case s.FAPI:
		return jwt.FAPI()
	}
	return jwt.Asymmetric()
}

// checkMethod refuses, before anybody is asked, credentials with which FAPI 2.0 lets no client authenticate (FAPI 2.0
// Security Profile §5.3.2.1); c is the client of the file that they name, or nil. A certificate counts for such a client
// alone: the upstream cannot be asked about one.
func (s *Server) checkMethod(cred client.Credentials, c *client.Client) error {
	certified := cred.Method == client.MethodNone && cred.Certificate != nil
	checkedHere := s.Delegation == DelegateNone || s.Delegation == DelegateOthers && c != nil
	switch {
	case !s.FAPI || cred.Method == client.MethodPrivateKeyJWT || certified && checkedHere:
		return nil
	case certified:
		return oauth.InvalidClient("client authentication failed", false).Because(errors.New("a certificate of a client that only the upstream knows"))
	}
	return oauth.InvalidClient("clients authenticate by private_key_jwt or by a certificate here, and by nothing else", cred.Challenged()).Because(itIs(cred.Method)).ChangedBy("PROFILE")
}

// isSecureRedirect reports whether a response may be sent there: by https, or to an application on the user's own machine
// (FAPI 2.0 Security Profile §5.3.2.2, RFC 8252 §7.3).
func isSecureRedirect(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	// The name localhost may lead elsewhere (RFC 8252 §8.3). Of an address there is one spelling: no zone, and an address
	// of IPv4 as such.
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && err == nil && address.IsLoopback() && address.Zone() == "" && !address.Is4In6()
}
