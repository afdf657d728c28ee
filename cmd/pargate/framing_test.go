package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/test/harness"
	"pargate/test/upstream"
)

const okHead = "POST /page HTTP/1.1\r\nHost: x\r\n"

// oddFraming are requests whose end one server sees here and another one there. smuggled stands where the second one would
// begin a request.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

var oddFraming = map[string]string{
	"both lengths":                      okHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"both lengths, the other way round": okHead + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled,
	"both, with a length of zero":       okHead + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"two lengths":                       okHead + "Content-Length: 4\r\nContent-Length: 40\r\n\r\nbody" + smuggled,
	"two lengths that are equal":        okHead + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody" + smuggled,
	"a list of lengths":                 okHead + "Content-Length: 4, 4\r\n\r\nbody" + smuggled,
	"a length with a sign":              okHead + "Content-Length: +4\r\n\r\nbody" + smuggled,
	"a negative length":                 okHead + "Content-Length: -4\r\n\r\nbody" + smuggled,
	"a length in hexadecimal":           okHead + "Content-Length: 0x4\r\n\r\nbody" + smuggled,
	"a length with a blank inside":      okHead + "Content-Length: 1 0\r\n\r\nbody" + smuggled,
	"an empty length":                   okHead + "Content-Length:\r\n\r\n" + smuggled,
	"a length beyond all numbers":       okHead + "Content-Length: 99999999999999999999\r\n\r\nbody" + smuggled,
	"a folded field":                    okHead + "X-A: b\r\n Content-Length: 4\r\n\r\n" + smuggled,
	"a folded field, with a tab":        okHead + "X-A: b\r\n\tc\r\n\r\n" + smuggled,
	"a coding that is folded":           okHead + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"a first field that is folded":      "POST /page HTTP/1.1\r\n Host: x\r\n\r\n" + smuggled,
	"a line that ends with LF alone":    "POST /page HTTP/1.1\nHost: x\r\n\r\n" + smuggled,
	"a field that ends with LF alone":   okHead + "X-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"a head that ends with LF alone":    okHead + "Content-Length: 0\r\n\n" + smuggled,
	"a CR inside a field":               okHead + "X-A: b\rTransfer-Encoding: chunked\r\n\r\n" + smuggled,
	"two CR":                            okHead + "X-A: b\r\r\n\r\n" + smuggled,
	"a blank before the colon":          okHead + "Content-Length : 4\r\n\r\nbody" + smuggled,
	"a tab before the colon":            okHead + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"a field without a name":            okHead + ": chunked\r\n\r\n" + smuggled,
	"a field without a colon":           okHead + "Transfer-Encoding chunked\r\n\r\n" + smuggled,
	"chunks in HTTP/1.0":                "POST /page HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"two codings":                       okHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"two codings, one of which is none": okHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + smuggled,
	"a list of codings":                 okHead + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"identity":                          okHead + "Transfer-Encoding: identity\r\n\r\n" + smuggled,
	"a coding in quotes":                okHead + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + smuggled,
	"a coding with a form feed":         okHead + "Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n" + smuggled,
	"an empty coding":                   okHead + "Transfer-Encoding:\r\n\r\n" + smuggled,
	"a coding behind many blanks":       okHead + "Transfer-Encoding:" + strings.Repeat(" ", 80) + "chunked\r\n\r\n0\r\n\r\n" + smuggled,
	"a coding before many blanks":       okHead + "Transfer-Encoding: chunked" + strings.Repeat(" ", 80) + "\r\n\r\n0\r\n\r\n" + smuggled,
	"a NUL in a field":                  okHead + "X-A: b\x00c\r\n\r\n" + smuggled,
	"two hosts":                         okHead + "Host: y\r\n\r\n" + smuggled,
	"a host with a user":                "GET /page HTTP/1.1\r\nHost: u@x\r\n\r\n" + smuggled,
	"no host":                           "GET /page HTTP/1.1\r\n\r\n" + smuggled,
	"a version that is none":            "GET /page HTTP/1.1x\r\nHost: x\r\n\r\n" + smuggled,
	"HTTP/0.9":                          "GET /page\r\n\r\n" + smuggled,
	"HTTP/2 that nobody has agreed on":  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"an expectation that is unknown":    okHead + "Expect: magic\r\nContent-Length: 4\r\n\r\nbody" + smuggled,
}

// oddChunks are bodies that begin well.
var oddChunks = map[string]string{
	"a size that ends with LF alone":  "4\nbody\r\n0\r\n\r\n",
	"data that ends with LF alone":    "4\r\nbody\n0\r\n\r\n",
	"data that goes on":               "4\r\nbodybody\r\n0\r\n\r\n",
	"a size with a sign":              "+4\r\nbody\r\n0\r\n\r\n",
	"a size with 0x":                  "0x4\r\nbody\r\n0\r\n\r\n",
	"no size":                         "\r\nbody\r\n0\r\n\r\n",
	"a size beyond all numbers":       "fffffffffffffffff\r\nbody\r\n0\r\n\r\n",
	"an extension with a CR":          "4;a\rb\r\nbody\r\n0\r\n\r\n",
	"an extension that ends with LF":  "4;a\nbody\r\n0\r\n\r\n",
	"a trailer that is folded":        "4\r\nbody\r\n0\r\nA: b\r\n c\r\n\r\n",
	"a trailer that ends with LF":     "4\r\nbody\r\n0\r\nA: b\n\r\n",
	"an end that is LF alone":         "4\r\nbody\r\n0\r\n\n",
	"a trailer with a blank for name": "4\r\nbody\r\n0\r\nA : b\r\n\r\n",
}

// goodFraming are requests that are as they should be, and how many answers with 200 they get.
var goodFraming = map[string]struct {
	sent    string
	answers int
}{
	"one without a body":                {"GET /page HTTP/1.1\r\nHost: x\r\n\r\n", 1},
	"ten at once":                       {strings.Repeat("GET /page HTTP/1.1\r\nHost: x\r\n\r\n", 10), 10},
	"with a length":                     {okHead + "Content-Length: 4\r\n\r\nbody" + okHead + "content-length:  4 \r\n\r\nbody", 2},
	"with a length of zero":             {okHead + "Content-Length: 0\r\n\r\n" + okHead + "\r\n", 2},
	"in chunks":                         {strings.Repeat(okHead+"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n00a;ext=\"v\"\r\n0123456789\r\n0\r\n\r\n", 2), 2},
	"in chunks, in other letters":       {strings.Repeat(okHead+"TRANSFER-ENCODING:\tCHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n", 2), 2},
	"with a large body":                 {strings.Repeat(okHead+"Content-Length: 200000\r\n\r\n"+strings.Repeat("\n", 200000), 2), 2},
	"with a large chunk":                {strings.Repeat(okHead+"Transfer-Encoding: chunked\r\n\r\n30d40\r\n"+strings.Repeat("\n", 200000)+"\r\n0\r\n\r\n", 2), 2},
	"an empty line between two":         {okHead + "Content-Length: 4\r\n\r\nbody\r\n" + okHead + "Content-Length: 4\r\n\r\nbody", 2},
	"HTTP/1.0, kept":                    {strings.Repeat("POST /page HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody", 2), 2},
	"fields of any name and value":      {"GET /page HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX!#$%&'*+-.^_`|~: v : \xfc\xe4\r\nX-" + strings.Repeat("a", 300) + ": " + strings.Repeat("v", 3000) + "\r\n\r\n", 1},
	"a field like one of those":         {"GET /page HTTP/1.1\r\nHost: x\r\nX-Content-Length: 9\r\nContent-Length-X: 9\r\n\r\n" + smuggled, 2},
	"a long target":                     {"GET /page?" + strings.Repeat("q", 30000) + " HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, 2},
	"a target that ends like a version": {"GET /page?HTTP/1.0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, 2},
}

// dialers returns how to reach a gateway in plain HTTP and over TLS, and the stand-ins behind both.
func dialers(t *testing.T) map[string]struct {
	dial func() net.Conn
	up   *upstream.Recorder
} {
	t.Helper()
	own := newAuthority(t)
	environ, replace := keyFiles(t)
	replace(own.server)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(own.pem))
	const issuer = "http://127.0.0.1:1"
	plainUp, secureUp := upstream.New(t), upstream.New(t)
	plainUp.SetIssuer(issuer)
	secureUp.SetIssuer(issuer)
	inPlain := serveInside(t, "UPSTREAM_URL="+plainUp.URL, "PUBLIC_URL="+issuer)
	inTLS := serveInside(t, append(environ, "UPSTREAM_URL="+secureUp.URL, "PUBLIC_URL="+issuer)...)
	for _, s := range []*serving{inPlain, inTLS} {
		harness.WaitFor(t, "readiness", func() bool { return s.gateway.server.Ready(t.Context()) == nil })
	}
	open := func(c net.Conn, err error) net.Conn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	return map[string]struct {
		dial func() net.Conn
		up   *upstream.Recorder
	}{
		"plain": {func() net.Conn { return open(net.Dial("tcp", inPlain.listeners[0].Addr().String())) }, plainUp},
		"TLS": {func() net.Conn {
			return open(tls.Dial("tcp", inTLS.listeners[0].Addr().String(), &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}))
		}, secureUp},
	}
}

// conversation sends bytes, as a whole or one by one, and returns every answer until the connection ends or nothing comes.
func conversation(t *testing.T, c net.Conn, sent string, apart bool, answers int) (statuses []int, closed bool) {
	t.Helper()
	go func() {
		if !apart {
			io.WriteString(c, sent)
			return
		}
		for i := range min(len(sent), 400) {
			if _, err := c.Write([]byte{sent[i]}); err != nil {
				return
			}
		}
		io.WriteString(c, sent[min(len(sent), 400):])
	}()
	reader := bufio.NewReader(c)
	for len(statuses) < answers {
		res, err := http.ReadResponse(reader, &http.Request{Method: "POST"})
		if err != nil {
			return statuses, true
		}
		io.Copy(io.Discard, res.Body)
		statuses = append(statuses, res.StatusCode)
	}
	return statuses, false
}

func TestOddFramingEndsTheConnection(t *testing.T) {
	t.Parallel()
	cases := map[string]string{}
	for name, sent := range oddFraming {
		cases[name] = sent
	}
	for name, body := range oddChunks {
		cases["in chunks, "+name] = okHead + "Transfer-Encoding: chunked\r\n\r\n" + body + smuggled
	}
	for way, to := range dialers(t) {
		for name, sent := range cases {
			for _, apart := range []bool{false, true} {
				statuses, closed := conversation(t, to.dial(), sent, apart, 3)
				if !closed || len(statuses) > 1 || len(statuses) == 1 && (statuses[0] < 400 || statuses[0] == 404) {
					t.Errorf("%s, %s, apart %t: answers %v, closed %t", way, name, apart, statuses, closed)
				}
			}
		}
		for _, r := range to.up.Requests() {
			if strings.Contains(r.Path(), "smuggled") || !strings.Contains(r.Target, "page") {
				t.Errorf("%s: the upstream got %s %s", way, r.Method, r.Target)
			}
		}
	}
}

// What is right before it is answered.
func TestARequestBeforeAnOddOneIsServed(t *testing.T) {
	t.Parallel()
	for way, to := range dialers(t) {
		for name, odd := range oddFraming {
			statuses, closed := conversation(t, to.dial(), "GET /page HTTP/1.1\r\nHost: x\r\n\r\n"+odd, false, 4)
			if len(statuses) == 0 || statuses[0] != 200 || len(statuses) > 2 || !closed {
				t.Errorf("%s, %s: %v, closed %t", way, name, statuses, closed)
			}
		}
	}
}

func TestGoodFramingIsServedHoweverItArrives(t *testing.T) {
	t.Parallel()
	for way, to := range dialers(t) {
		for name, c := range goodFraming {
			for _, apart := range []bool{false, true} {
				before := len(to.up.Requests())
				statuses, _ := conversation(t, to.dial(), c.sent, apart, c.answers)
				if len(statuses) != c.answers || strings.Trim(fmt.Sprint(statuses), "[20 ]") != "" {
					t.Errorf("%s, %s, apart %t: %v", way, name, apart, statuses)
				}
				if n := len(to.up.Requests()) - before; n != c.answers {
					t.Errorf("%s, %s, apart %t: the upstream got %d requests, want %d", way, name, apart, n, c.answers)
				}
			}
		}
	}
}

// A body that was refused before it had come must not be taken for a request.
func TestTheConnectionEndsBehindARefusedBody(t *testing.T) {
	t.Parallel()
	to := dialers(t)["plain"]
	for name, head := range map[string]string{
		"too large":          "POST /par HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n\r\n",
		"no form":            "POST /par HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\r\n",
		"the wrong method":   "PUT /par HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n",
		"in chunks":          "PUT /par HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"answered to a HEAD": "HEAD /authorize HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n",
		"a foreign field":    "POST /page HTTP/1.1\r\nHost: x\r\nConnection: Cookie\r\nContent-Length: 35\r\n\r\n",
		"waiting for a word": "POST /par HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 35\r\n\r\n",
	} {
		c := to.dial()
		io.WriteString(c, head+smuggled+smuggled)
		all, _ := io.ReadAll(c)
		if n := strings.Count(string(all), "HTTP/1.1 "); n != 1 {
			t.Errorf("%s: %d answers:\n%s", name, n, all)
		}
	}
	for _, r := range to.up.Requests() {
		t.Errorf("the upstream got %s %s", r.Method, r.Target)
	}
}

// FuzzFraming: whatever the scanner lets through, it has seen every message end where net/http has, and however the bytes
// arrive it says the same.
func FuzzFraming(f *testing.F) {
	for _, sent := range oddFraming {
		f.Add([]byte(sent), uint8(1))
	}
	for _, body := range oddChunks {
		f.Add([]byte(okHead+"Transfer-Encoding: chunked\r\n\r\n"+body+smuggled), uint8(3))
	}
	for _, c := range goodFraming {
		if len(c.sent) < 5000 {
			f.Add([]byte(c.sent), uint8(7))
		}
	}
	f.Fuzz(func(t *testing.T, sent []byte, step uint8) {
		var s framingScanner
		ends := map[int]bool{0: true} // where the scanner is between two messages
		refused := -1
		for i := range sent {
			if _, err := s.scan(sent[i : i+1]); err != nil {
				refused = i
				break
			}
			if s.betweenMessages() {
				ends[i+1] = true
			}
		}

		var apart framingScanner
		passed, n := 0, max(int(step), 1)
		var err error
		for passed < len(sent) && err == nil {
			var good int
			good, err = apart.scan(sent[passed:min(passed+n, len(sent))])
			if err == nil {
				passed += n
			} else {
				passed += good
			}
		}
		if (err != nil) != (refused >= 0) || err != nil && passed > refused {
			t.Fatalf("by %d bytes: %v behind %d, by one: behind %d", n, err, passed, refused)
		}

		limit := len(sent)
		if refused >= 0 {
			limit = refused
		}
		source := bytes.NewReader(sent[:limit])
		reader := bufio.NewReaderSize(source, 64<<10)
		offset := func() int { return limit - source.Len() - reader.Buffered() }
		for {
			lead, _ := reader.Peek(4) // as net/http does behind a POST
			reader.Discard(len(lead) - len(bytes.TrimLeft(lead, "\r\n")))
			req, err := http.ReadRequest(reader)
			if err != nil || req.ProtoMajor != 1 {
				return // net/http ends the connection here
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			if !ends[offset()] {
				t.Fatalf("net/http sees the end of a message at %d, the scanner at %v", offset(), ends)
			}
		}
	})
}
