package client

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// subject is the one name of a client's certificate that it is known by (RFC 8705 §2.1.2).
type subject struct {
	member string // that says so
	is     func(*x509.Certificate) bool
}

// subjectMembers read the members of which a client with tls_client_auth has one.
var subjectMembers = map[string]func(text string) (func(*x509.Certificate) bool, error){
	"tls_client_auth_subject_dn": func(text string) (func(*x509.Certificate) bool, error) {
		want, err := parseDN(text)
		return want.isSubjectOf, err
	},
	"tls_client_auth_san_dns": func(text string) (func(*x509.Certificate) bool, error) {
		return func(cert *x509.Certificate) bool {
			return slices.ContainsFunc(cert.DNSNames, func(name string) bool { return strings.EqualFold(name, text) })
		}, nil
	},
	"tls_client_auth_san_uri": func(text string) (func(*x509.Certificate) bool, error) {
		want, err := url.Parse(text)
		if err != nil || want.Scheme == "" {
			return nil, errors.New("is not an absolute URI")
		}
		return func(cert *x509.Certificate) bool {
			return slices.ContainsFunc(cert.URIs, func(uri *url.URL) bool { return uri.String() == want.String() })
		}, nil
	},
	"tls_client_auth_san_ip": func(text string) (func(*x509.Certificate) bool, error) {
		want, err := netip.ParseAddr(text)
		if err != nil || want.Zone() != "" {
			return nil, errors.New("is not an IP address")
		}
		return func(cert *x509.Certificate) bool {
			for _, raw := range cert.IPAddresses {
				if ip, ok := netip.AddrFromSlice(raw); ok && ip.Unmap() == want.Unmap() {
					return true
				}
			}
			return false
		}, nil
	},
	"tls_client_auth_san_email": func(text string) (func(*x509.Certificate) bool, error) {
		if !strings.Contains(text, "@") {
			return nil, errors.New("is not an e-mail address")
		}
		return func(cert *x509.Certificate) bool {
			return slices.ContainsFunc(cert.EmailAddresses, func(address string) bool { return foldDomain(address) == foldDomain(text) })
		}, nil
	},
}

// foldDomain folds the part of an e-mail address that has no case (RFC 5280 §7.5).
func foldDomain(address string) string {
	at := strings.LastIndexByte(address, '@')
	return address[:at+1] + strings.ToLower(address[at+1:])
}

// distinguishedName is a sequence of sets of attributes, in the order of the certificate. How it was written makes no
// difference (RFC 4514).
type distinguishedName [][]attribute

type attribute struct {
	kind string // the dotted OID
	text string // when it was written as a text
	der  string // when it was written as #hex
}

// isSubjectOf compares set by set: as many, in the same order, each with the same attributes.
func (n distinguishedName) isSubjectOf(cert *x509.Certificate) bool {
	var sequence []asn1.RawValue
	if rest, err := asn1.Unmarshal(cert.RawSubject, &sequence); err != nil || len(rest) > 0 || len(sequence) != len(n) {
		return false
	}
	for i, raw := range sequence {
		var set []certAttribute
		if rest, err := asn1.UnmarshalWithParams(raw.FullBytes, &set, "set"); err != nil || len(rest) > 0 || len(set) != len(n[i]) {
			return false
		}
		for _, want := range n[i] {
			at := slices.IndexFunc(set, want.is)
			if at < 0 {
				return false
			}
			set = slices.Delete(set, at, at+1)
		}
	}
	return true
}

type certAttribute struct {
	Kind  asn1.ObjectIdentifier
	Value asn1.RawValue
}

func (a attribute) is(in certAttribute) bool {
	if in.Kind.String() != a.kind {
		return false
	}
	if a.der != "" {
		return string(in.Value.FullBytes) == a.der
	}
	var value any
	_, err := asn1.Unmarshal(in.Value.FullBytes, &value)
	text, isText := value.(string)
	return err == nil && isText && text == a.text
}

// attributeNames are the short names of RFC 4514 §3 and those that tools print besides, folded.
var attributeNames = map[string]string{
	"cn": "2.5.4.3", "sn": "2.5.4.4", "serialnumber": "2.5.4.5", "c": "2.5.4.6", "l": "2.5.4.7", "st": "2.5.4.8", "s": "2.5.4.8",
	"street": "2.5.4.9", "o": "2.5.4.10", "ou": "2.5.4.11", "title": "2.5.4.12", "t": "2.5.4.12", "businesscategory": "2.5.4.15",
	"postalcode": "2.5.4.17", "gn": "2.5.4.42", "givenname": "2.5.4.42", "organizationidentifier": "2.5.4.97",
	"uid": "0.9.2342.19200300.100.1.1", "dc": "0.9.2342.19200300.100.1.25", "emailaddress": "1.2.840.113549.1.9.1", "e": "1.2.840.113549.1.9.1",
	"jurisdictionl": "1.3.6.1.4.1.311.60.2.1.1", "jurisdictionst": "1.3.6.1.4.1.311.60.2.1.2", "jurisdictionc": "1.3.6.1.4.1.311.60.2.1.3",
}

// parseDN reads the string representation of a distinguished name (RFC 4514 §3), which begins with the last set.
func parseDN(text string) (distinguishedName, error) {
	p := dnParser{rest: text}
	var name distinguishedName
	set := []attribute{}
	for {
		a, err := p.attribute()
		if err != nil {
			return nil, fmt.Errorf("is not a distinguished name as RFC 4514 writes it: %w", err)
		}
		set = append(set, a)
		end := p.next()
		if end == '+' {
			continue
		}
		name, set = append(name, set), nil
		if end == 0 {
			slices.Reverse(name)
			return name, nil
		}
	}
}

type dnParser struct{ rest string }

// next takes what stands behind an attribute: a comma or plus, or 0 at the end.
func (p *dnParser) next() byte {
	if p.rest == "" {
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *dnParser) attribute() (attribute, error) {
	kind, rest, found := strings.Cut(p.rest, "=")
	if !found {
		return attribute{}, errors.New("an attribute has no value")
	}
	kind = strings.Trim(kind, " ")
	oid := attributeNames[strings.ToLower(kind)]
	if oid == "" && kind != "" && strings.Trim(kind, "0123456789.") == "" {
		oid = kind
	}
	if oid == "" {
		return attribute{}, fmt.Errorf("%.32q is not an attribute; use its OID", kind)
	}
	p.rest = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(p.rest, "#") {
		return p.hexValue(oid)
	}
	return p.textValue(oid)
}

func (p *dnParser) hexValue(oid string) (attribute, error) {
	digits := p.rest[1:]
	if end := strings.IndexAny(digits, ",+"); end >= 0 {
		digits = digits[:end]
	}
	p.rest = p.rest[1+len(digits):]
	der, err := hex.DecodeString(strings.TrimRight(digits, " "))
	if err != nil || len(der) == 0 {
		return attribute{}, errors.New("a value that begins with # is not hexadecimal")
	}
	return attribute{kind: oid, der: string(der)}, nil
}

// textValue reads a text up to a comma or plus that is not escaped. Spaces around it do not belong to it.
func (p *dnParser) textValue(oid string) (attribute, error) {
	var value []byte
	kept := 0 // what no trailing space is taken from
	i := 0
	for ; i < len(p.rest) && p.rest[i] != ',' && p.rest[i] != '+'; i++ {
		c := p.rest[i]
		switch {
		case strings.IndexByte("\";<>\x00", c) >= 0:
			return attribute{}, errors.New("a character that must be escaped is not")
		case c != '\\':
			value = append(value, c)
			if c != ' ' {
				kept = len(value)
			}
			continue
		case i+1 < len(p.rest) && strings.IndexByte("\"+,;<> #=\\", p.rest[i+1]) >= 0:
			value = append(value, p.rest[i+1])
			i++
		case i+2 < len(p.rest):
			pair, err := hex.DecodeString(p.rest[i+1 : i+3])
			if err != nil {
				return attribute{}, errors.New("an escape is none")
			}
			value = append(value, pair...)
			i += 2
		default:
			return attribute{}, errors.New("an escape is cut off")
		}
		kept = len(value)
	}
	p.rest = p.rest[i:]
	if value = value[:kept]; !utf8.Valid(value) || kept == 0 {
		return attribute{}, errors.New("a value is empty or not UTF-8")
	}
	return attribute{kind: oid, text: string(value)}, nil
}
