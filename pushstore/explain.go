package pushstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// explained puts what an operator can do behind an error of the connection, for the mistakes that everybody makes.
func explained(err error) error {
	if advice := adviceFor(err); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// adviceFor returns a sentence; empty when nothing is known that would help.
func adviceFor(err error) string {
	for _, kind := range []func(error) string{adviceOnTLS, adviceOnKind, adviceOnAccount, adviceOnAddress} {
		if text := kind(err); text != "" {
			return text
		}
	}
	return ""
}

// adviceOnTLS is about one side speaking TLS and the other not, and about certificates.
func adviceOnTLS(err error) string {
	var (
		notTLS      tls.RecordHeaderError
		unknown     x509.UnknownAuthorityError
		otherName   x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		fromTheirs  = strings.Contains(err.Error(), "remote error: tls: ")
		closedEarly = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	)
	switch {
	case errors.As(err, &notTLS):
		return "that port does not speak TLS: write redis:// instead of rediss://, or the TLS port"
	case errors.As(err, &unknown):
		return "its certificate is from an authority that is not trusted here: name that authority's file in REDIS_CA_FILE"
	case errors.As(err, &otherName):
		return "its certificate is for another name than the host in REDIS_URL: write the name that the certificate has"
	case errors.As(err, &invalid):
		return "its certificate is not valid (expired, or not for servers): renew it"
	case errors.As(err, &alert), fromTheirs:
		return "it refused our side of TLS: it may ask for a client certificate, which REDIS_CERT_FILE and REDIS_KEY_FILE name"
	case closedEarly:
		return "it closed the connection without an answer: that port may speak TLS only, for which the URL is rediss://"
	}
	return ""
}

// adviceOnKind is about another kind of server than the one that was expected.
func adviceOnKind(err error) string {
	text := err.Error()
	switch {
	case replied(err, "MOVED ", "ASK ", "CLUSTERDOWN ", "CROSSSLOT "):
		if replied(err, "CLUSTERDOWN ") {
			return "the cluster does not serve every slot now"
		}
		return "it is a node of a cluster: set REDIS_MODE=cluster"
	case strings.Contains(text, "cluster support disabled"):
		return "it is no cluster: set REDIS_MODE=standalone, or take addr out of REDIS_URL"
	case replied(err, "READONLY "), errors.Is(err, errNotMaster):
		return "it is a replica: name the master, or the Sentinels that know it"
	case errors.Is(err, errNoMaster):
		return "the Sentinels answer and do not know that master_name; what they know is told by SENTINEL MASTERS"
	case strings.Contains(strings.ToLower(text), "unknown command"):
		return "it does not know Redis' commands: a Sentinel is named with ?master_name= behind its address, and is no Redis itself"
	}
	return ""
}

// adviceOnAccount is about passwords and permissions.
func adviceOnAccount(err error) string {
	switch {
	case replied(err, "NOAUTH ") && strings.Contains(err.Error(), "asking the Sentinels: "):
		return "the Sentinels want a password: it stands in REDIS_URL before their address"
	case replied(err, "NOAUTH "):
		return "it wants a password: set REDIS_PASSWORD, which is for the data in every mode; what stands before the address of a Sentinel is for the Sentinel alone"
	case replied(err, "WRONGPASS ", "invalid password", "AUTH "), strings.Contains(err.Error(), "without any password configured"):
		return "it refuses the account: compare REDIS_USERNAME and REDIS_PASSWORD with its users (ACL LIST)"
	case replied(err, "NOPERM "):
		return "its user may not do that: the rule it needs is in docs/redis.md, with the keys of REDIS_KEY_PREFIX"
	}
	return ""
}

// adviceOnAddress is about nobody being there.
func adviceOnAddress(err error) string {
	var (
		dns  *net.DNSError
		late net.Error
	)
	switch {
	case errors.As(err, &dns):
		return "the host in REDIS_URL has no address here: compare its name"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at that address: compare host and port in REDIS_URL, and the address that Redis binds"
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EACCES):
		return "the socket is not there or not for this user: compare the path in REDIS_URL and the socket's owner"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &late) && late.Timeout():
		return "it does not answer in time: a firewall may swallow the packets, or it speaks another protocol (TLS or not) than REDIS_URL says"
	}
	return ""
}

// replied reports whether the server answered with an error that begins with one of prefixes.
func replied(err error, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}
