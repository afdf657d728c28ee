package main

import (
	"crypto/x509"
	"fmt"
)

// files looks at the certificates in the files that the settings name.
func (c *checking) files() {
	g := c.gateway
	if g.keys != nil {
		c.dated(aboutListener, "TLS_CERT_FILE", g.keys.chain(), "renew it; it is read again when it changes")
		if c.cfg.PublicURL != nil {
			c.listenerName(c.cfg.PublicURL.Hostname())
		}
	}
	c.authorities("UPSTREAM_CA_FILE", g.upstreamRoots)
	c.authorities("TLS_CLIENT_CA_FILE", g.clientRoots)
	c.authorities("REDIS_CA_FILE", g.redisRoots)
	if g.redisKeys != nil {
		c.dated(aboutRedisClient, "REDIS_CERT_FILE", g.redisKeys.chain(), "renew it; it is read again for every new connection")
	}
}

// dated says how long certificates last that are shown together: as long as the first of them that ends.
func (c *checking) dated(name findingName, subject string, chain []*x509.Certificate, fix string) {
	first := firstToEnd(chain)
	if first == nil {
		return
	}
	for _, one := range chain {
		if one.NotBefore.After(c.now()) {
			first = one
		}
	}
	text := fmt.Sprintf("%s: the certificate of %s %s", subject, nameOf(first), remaining(first, c.now()))
	switch {
	case !isValid(first, c.now()):
		c.fail(name, subject, text, fix)
	case endsSoon(first, c.now()):
		c.warn(name, subject, text, fix)
	default:
		c.ok(name, subject, "%s", text)
	}
}

// authorities says how long the authorities of a file last. One that has ended beside others may be left from a change.
func (c *checking) authorities(setting string, a *authorities) {
	if a == nil {
		return
	}
	var good, ended []*x509.Certificate
	for _, one := range a.current.Load().file {
		if isValid(one, c.now()) {
			good = append(good, one)
		} else {
			ended = append(ended, one)
		}
	}
	switch first := firstToEnd(good); {
	case first == nil:
		c.fail(aboutAuthorities, setting, fmt.Sprintf("%s: no authority in it is valid now; that of %s %s", setting, nameOf(ended[0]), remaining(ended[0], c.now())),
			"put in those that issue now")
	case len(ended) > 0:
		c.warn(aboutAuthorities, setting, fmt.Sprintf("%s: the authority %s %s", setting, nameOf(ended[0]), remaining(ended[0], c.now())), "take it out if nothing of it is left")
	case endsSoon(first, c.now()):
		c.warn(aboutAuthorities, setting, fmt.Sprintf("%s: the authority %s %s", setting, nameOf(first), remaining(first, c.now())), "put its successor in too")
	default:
		c.ok(aboutAuthorities, setting, "%s: %d in it, the first %s", setting, len(good), remaining(first, c.now()))
	}
}

// listenerName looks whether the listener's certificate is good for the public name.
func (c *checking) listenerName(host string) {
	chain := c.gateway.keys.chain()
	if err := chain[0].VerifyHostname(host); err != nil {
		c.warn(aboutListenerName, host, fmt.Sprintf("TLS_CERT_FILE: the certificate of %s is not for %q, the public name", nameOf(chain[0]), host),
			"browsers refuse it, unless what stands in front ends their TLS and connects under another name")
		return
	}
	c.ok(aboutListenerName, host, "TLS_CERT_FILE: the certificate is for %s, the public name", host)
}

// nameOf is what a certificate is called. It is printed on a terminal, and another server's.
func nameOf(cert *x509.Certificate) string {
	name := cert.Subject.String()
	if name == "" && len(cert.DNSNames) > 0 {
		name = cert.DNSNames[0]
	}
	return fmt.Sprintf("%+q", name)
}
