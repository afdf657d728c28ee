package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Addr is what to listen on: a host:port, or unix: and the path of a socket. Empty means off.
type Addr string

// socketPrefix begins an Addr that is the path of a socket.
const socketPrefix = "unix:"

// Socket returns the path of the socket; empty when the address is none.
func (a Addr) Socket() (path string) {
	path, isSocket := strings.CutPrefix(string(a), socketPrefix)
	if !isSocket {
		return ""
	}
	return path
}

// UnmarshalText takes "off" as empty and leaves the rest to the checks.
func (a *Addr) UnmarshalText(text []byte) error {
	*a = Addr(text)
	if strings.EqualFold(string(text), "off") {
		*a = ""
	}
	return nil
}

// String returns the address, or "off".
func (a Addr) String() string {
	if a == "" {
		return "off"
	}
	return string(a)
}

// Bytes is a size in bytes.
type Bytes int64

// byteUnits are the units that are read, largest first, which is the order in which they are printed.
var byteUnits = []struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// UnmarshalText reads "64KiB", "1MiB" or a number of bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	digits, unit := splitNumber(string(text))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a size such as 64KiB", quote(string(text)))
	}
	if unit == "" || strings.EqualFold(unit, "B") {
		*b = Bytes(n)
		return nil
	}
	for _, u := range byteUnits {
		if strings.EqualFold(unit, u.name) {
			if n > math.MaxInt64/int64(u.size) {
				return fmt.Errorf("%s is too large", quote(string(text)))
			}
			*b = Bytes(n) * u.size
			return nil
		}
		// K, KB and kb: whether they mean 1000 or 1024 is not for us to guess.
		if strings.EqualFold(unit, u.name[:1]) || strings.EqualFold(unit, u.name[:1]+"B") {
			return fmt.Errorf("%s has an unclear unit; did you mean %s%s ?", quote(string(text)), digits, u.name)
		}
	}
	return fmt.Errorf("%s is not a size such as 64KiB", quote(string(text)))
}

// String prints the size so that UnmarshalText reads it back, in the largest unit without a remainder.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Rate is a number of events per second. Zero means that there is no limit.
type Rate float64

// UnmarshalText reads "50/s", "600/m" or "off".
func (r *Rate) UnmarshalText(text []byte) error {
	if strings.EqualFold(string(text), "off") {
		*r = 0
		return nil
	}
	digits, unit := splitNumber(string(text))
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || unit != "/s" && unit != "/m":
		return fmt.Errorf("%s is not a rate such as 50/s or 600/m; off removes the limit", quote(string(text)))
	case n == 0:
		return fmt.Errorf("%s would refuse everything; off removes the limit", quote(string(text)))
	case n > 1_000_000:
		return fmt.Errorf("%s is above 1000000; off removes the limit", quote(string(text)))
	}
	*r = Rate(n)
	if unit == "/m" {
		*r /= 60
	}
	return nil
}

// String prints the rate so that UnmarshalText reads it back.
func (r Rate) String() string {
	switch {
	case r == 0:
		return "off"
	case float64(r) == math.Trunc(float64(r)):
		return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
	default:
		return strconv.FormatFloat(math.Round(float64(r)*60), 'f', -1, 64) + "/m"
	}
}

// splitNumber cuts a text after its leading digits.
func splitNumber(text string) (digits, rest string) {
	rest = strings.TrimLeft(text, "0123456789")
	return text[:len(text)-len(rest)], strings.TrimSpace(rest)
}

// List is a list of words, separated by commas, blanks or both.
type List []string

// UnmarshalText splits the text; empty words are dropped.
func (l *List) UnmarshalText(text []byte) error {
	*l = words(string(text))
	return nil
}

// String joins the words with commas.
func (l List) String() string { return strings.Join(l, ",") }

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
}

// Proxies are peers that are believed. The zero value is nobody.
type Proxies struct {
	Networks []netip.Prefix // masked, IPv4 never as IPv4-mapped IPv6
	Sockets  bool           // whoever connects to a unix socket
}

// socketWord stands for every peer of a socket.
const socketWord = "unix"

// UnmarshalText reads addresses, CIDR ranges and the word unix, separated by commas, blanks or both.
func (p *Proxies) UnmarshalText(text []byte) error {
	*p = Proxies{}
	for _, word := range words(string(text)) {
		if strings.EqualFold(word, socketWord) {
			p.Sockets = true
			continue
		}
		one, err := parsePrefix(word)
		if err != nil {
			return fmt.Errorf("%s %w", quote(word), err)
		}
		p.Networks = append(p.Networks, one)
	}
	return nil
}

// Any reports whether anybody is believed.
func (p Proxies) Any() bool { return p.Sockets || len(p.Networks) > 0 }

// String joins ranges and word with commas.
func (p Proxies) String() string {
	var all []string
	for _, one := range p.Networks {
		all = append(all, one.String())
	}
	if p.Sockets {
		all = append(all, socketWord)
	}
	return strings.Join(all, ",")
}

func parsePrefix(word string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(word); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, errors.New("has a zone, which is not supported")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil {
		return netip.Prefix{}, errors.New("is neither an IP address nor a CIDR range such as 10.0.0.0/8")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, errors.New("mixes IPv4 and IPv6; write two ranges")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
