package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
)

// framed refuses requests of HTTP/1 whose end another server could see elsewhere (RFC 9112 §11.2): what stands in front
// of the gateway, or behind it, would take the rest for another request. net/http reads several of them its own way
// without a word. From the first such request on nothing of the connection is read, and net/http is made to answer with
// 400 and to close it.
type framed struct {
	net.Conn
	scanner framingScanner
	refused error
	instead string // what is read before the error
}

// noRequest is what net/http reads in place of a refused request: it may still be serving the one before, which an error
// would end.
const noRequest = "refused\r\n\r\n"

// Read implements net.Conn.
func (c *framed) Read(b []byte) (int, error) {
	if c.refused != nil {
		return c.readInstead(b)
	}
	fresh := c.scanner.betweenMessages()
	n, err := c.Conn.Read(b)
	good, odd := c.scanner.scan(b[:n])
	if odd == nil {
		return n, err
	}
	c.refused = odd
	if c.scanner.inHead() && (fresh || good > 0) { // else net/http has begun to read it
		c.instead = noRequest
	}
	if good > 0 {
		return good, nil
	}
	return c.readInstead(b)
}

func (c *framed) readInstead(b []byte) (int, error) {
	if c.instead == "" {
		return 0, c.refused
	}
	n := copy(b, c.instead)
	c.instead = c.instead[n:]
	return n, nil
}

// CloseWrite lets net/http end a connection so that the client still gets to read the answer.
func (c *framed) CloseWrite() error { return closeWrite(c.Conn) }

// framedTLS is the same behind TLS. net/http makes Request.TLS out of what it returns.
type framedTLS struct {
	framed
	conn *tls.Conn
}

// ConnectionState is what net/http asks for.
func (c *framedTLS) ConnectionState() tls.ConnectionState { return c.conn.ConnectionState() }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// framingScanner follows the messages that a client sends. It judges only what decides where they end; all else is for
// net/http to judge, which reads the same bytes.
type framingScanner struct {
	state   scanState
	length  int    // of the line so far, without its CR
	afterCR bool   // only LF may come next
	line    []byte // its beginning, as far as it is needed, when it comes in pieces
	last    uint64 // the last eight bytes of a request line

	http10        bool
	lengths, size int64 // Content-Length: how many, and how much
	chunked       bool
	left          int64 // of a body or a chunk, in bytes
}

type scanState int

const (
	atRequestLine scanState = iota
	inHeader
	inBody
	atChunkSize
	inChunk
	afterChunk
	inTrailer
)

// keptOfLine is how much of a line is looked at: more than a length or a transfer coding needs.
const keptOfLine = 64

var (
	errLineEnd    = errors.New("a line does not end with CR and LF")
	errFolded     = errors.New("a header field is continued on the next line")
	errFieldName  = errors.New("a header field has no proper name")
	errLength     = errors.New("Content-Length is not one number")
	errTwoLengths = errors.New("more than one of Content-Length and Transfer-Encoding")
	errOldChunks  = errors.New("Transfer-Encoding in HTTP/1.0")
	errCoding     = errors.New("Transfer-Encoding is another than chunked")
	errChunkSize  = errors.New("a chunk has no proper size")
)

const version10 = "HTTP/1.0"

// scan looks at the next bytes. When something is wrong with them it returns how many of them belong to what came before
// the message that is wrong, or to that message's body before the fault.
func (s *framingScanner) scan(b []byte) (good int, err error) {
	for i := 0; i < len(b); {
		switch s.state {
		case inBody, inChunk:
			n := min(int64(len(b)-i), s.left)
			i += int(n)
			s.left -= n
			if s.left == 0 {
				s.bodyEnds()
			}
			good = i
		default:
			n, err := s.takeLine(b[i:])
			if err != nil {
				return good, err
			}
			i += n
			if !s.inHead() || s.betweenMessages() {
				good = i
			}
		}
	}
	return len(b), nil
}

// betweenMessages reports whether nothing of the next message has been seen.
func (s *framingScanner) betweenMessages() bool {
	return s.state == atRequestLine && s.length == 0 && !s.afterCR
}

// inHead reports whether the next byte belongs to a head.
func (s *framingScanner) inHead() bool { return s.state == atRequestLine || s.state == inHeader }

func (s *framingScanner) bodyEnds() {
	if s.state == inChunk {
		s.state = afterChunk
		return
	}
	s.state = atRequestLine
}

// takeLine takes what b has of a line, up to its LF, and returns how many bytes those are. Heads are most of what browsers
// send: they are searched, not walked through.
func (s *framingScanner) takeLine(b []byte) (n int, err error) {
	text, n, ends := b, len(b), false
	if at := bytes.IndexByte(b, '\n'); at >= 0 {
		text, n, ends = b[:at], at+1, true
	}
	if s.afterCR && len(text) > 0 {
		return 0, errLineEnd
	}
	if at := bytes.IndexByte(text, '\r'); at >= 0 {
		if at < len(text)-1 {
			return 0, errLineEnd
		}
		text, s.afterCR = text[:at], true
	}
	if s.state == atRequestLine {
		for _, c := range text[max(len(text)-len(version10), 0):] {
			s.last = s.last<<8 | uint64(c)
		}
	}
	line, length := text, s.length+len(text)
	if s.length > 0 || !ends { // it comes in pieces
		s.line = append(s.line, text[:min(len(text), keptOfLine-len(s.line))]...)
		line = s.line
	}
	if !ends {
		s.length = length
		return n, nil
	}
	if !s.afterCR {
		return 0, errLineEnd
	}
	err = s.lineEnds(line[:min(len(line), keptOfLine)], length)
	s.afterCR, s.length, s.line, s.last = false, 0, s.line[:0], 0
	return n, err
}

// lineEnds takes a whole line: its beginning, and how long it is.
func (s *framingScanner) lineEnds(line []byte, length int) error {
	switch s.state {
	case atRequestLine:
		if length > 0 { // old clients send an empty line behind a body
			*s = framingScanner{state: inHeader, line: s.line, http10: s.last == packed(version10)}
		}
	case inHeader:
		if length == 0 {
			return s.headEnds()
		}
		return s.field(line, length)
	case atChunkSize:
		return s.chunkBegins(line)
	case afterChunk:
		if length > 0 {
			return errChunkSize
		}
		s.state = atChunkSize
	case inTrailer:
		if length == 0 {
			s.state = atRequestLine
			return nil
		}
		_, _, err := fieldOf(line)
		return err
	}
	return nil
}

// field takes a line of the head.
func (s *framingScanner) field(line []byte, length int) error {
	name, value, err := fieldOf(line)
	if err != nil {
		return err
	}
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		s.lengths++
		size, ok := decimal(value)
		if !ok || length > keptOfLine {
			return errLength
		}
		s.size = size
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if s.chunked {
			return errTwoLengths
		}
		s.chunked = true
		if s.http10 {
			return errOldChunks
		}
		if length > keptOfLine || !bytes.EqualFold(value, []byte("chunked")) {
			return errCoding
		}
	}
	return nil
}

// headEnds decides how the body is framed.
func (s *framingScanner) headEnds() error {
	switch {
	case s.lengths > 1 || s.lengths == 1 && s.chunked:
		return errTwoLengths
	case s.chunked:
		s.state = atChunkSize
	case s.size > 0:
		s.state, s.left = inBody, s.size
	default:
		s.state = atRequestLine
	}
	return nil
}

// chunkBegins takes the line with a chunk's size, which may have extensions.
func (s *framingScanner) chunkBegins(line []byte) error {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, ok := hexadecimal(bytes.TrimRight(digits, " \t"))
	if !ok {
		return errChunkSize
	}
	s.left = size
	if s.state = inChunk; size == 0 {
		s.state = inTrailer
	}
	return nil
}

// fieldOf takes a line apart that must be a field.
func fieldOf(line []byte) (name, value []byte, err error) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, errFolded
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	if len(name) == 0 || bytes.ContainsAny(name, " \t") || !found && len(line) < keptOfLine {
		return nil, nil, errFieldName
	}
	return name, bytes.Trim(value, " \t"), nil
}

// decimal reads a length as RFC 9110 §8.6 has it, without sign; one of more than 18 digits is none.
func decimal(text []byte) (n int64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, len(text) > 0 && len(text) <= 18
}

// hexadecimal reads the size of a chunk (RFC 9112 §7.1); one of more than 15 digits is none.
func hexadecimal(text []byte) (n int64, ok bool) {
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = 16*n + int64(c)
	}
	return n, len(text) > 0 && len(text) <= 15
}

// packed is a text of eight bytes as framingScanner.last has it.
func packed(text string) (p uint64) {
	for i := range 8 {
		p = p<<8 | uint64(text[i])
	}
	return p
}
