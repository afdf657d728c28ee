package test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	"pargate/test/upstream/reading"
)

// unpushedRequest is an authorization request that nobody has pushed, written in a way that some server may read.
type unpushedRequest struct {
	r      *rand.Rand
	client string
	host   string

	method, path, query, contentType, body string
	headers                                []string
}

// newUnpushedRequest makes one out of a seed and a number, always the same one.
func newUnpushedRequest(seed, n uint64, host, client string) *unpushedRequest {
	u := &unpushedRequest{r: rand.New(rand.NewPCG(seed, n)), client: client, host: host}
	u.method = pick(u.r, "GET", "GET", "GET", "GET", "POST", "POST", "POST", "PUT", "PATCH", "OPTIONS", "PROPFIND", "get", "SEARCH", "DELETE")
	u.makePath()
	u.makeParameters()
	u.makeHeaders()
	return u
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// one reports true one time in n.
func (u *unpushedRequest) one(n int) bool { return u.r.IntN(n) == 0 }

func (u *unpushedRequest) makePath() {
	u.path = pick(u.r, reading.Endpoint, reading.Endpoint, reading.Endpoint, reading.Endpoint, reading.Endpoint+"/connector", reading.Endpoint+".json",
		"/index.php"+reading.Endpoint, "/x/.."+reading.Endpoint, reading.Alias, "/token/.."+reading.Endpoint, "/par/.."+reading.Endpoint, "/page")
	for range pick(u.r, 0, 0, 0, 1, 1, 2, 3) {
		u.mutatePath()
	}
	if u.one(20) {
		u.path = "http://" + pick(u.r, u.host, "evil.example", "127.0.0.1") + u.path
	}
}

func (u *unpushedRequest) mutatePath() {
	at := u.r.IntN(len(u.path)) // 0 is the slash in front
	before, c, after := u.path[:at], u.path[at:at+1], u.path[at+1:]
	switch u.r.IntN(12) {
	case 0:
		u.path = before + fmt.Sprintf(pick(u.r, "%%%02x", "%%%02X", "%%25%02x", "%%2525%02x", "%%u00%02x"), c[0]) + after
	case 1:
		u.path = before + flipCase(c) + after
	case 2:
		u.path = strings.ToUpper(u.path)
	case 3:
		u.path = strings.Replace(u.path, "/", pick(u.r, "//", "/./", "/x/../", "/%2e/", "/x/%2e%2e/", "/x/%252e./", "/;/", "/;a=b/", "/(S(x))/", "/%28A(x)S(y))/", "/ /", `/\`, "/%5c", "/%2f"), 1)
	case 4:
		u.path += pick(u.r, "/", "//", "/.", "/x/..", "/../authorize", "/..;/authorize")
	case 5:
		u.path += pick(u.r, ".", "..", "%20", "%09", "%00", "%00.css", "%0a", "%2e", "%2f", "%5c", `\`, "%e2%80%8b", "%c2%a0", "%c0%af", "%3f", "%23", "%252f", "%253f")
	case 6:
		u.path += pick(u.r, ";", ";x", ";x=1", "%3bx", ";jsessionid=1/", ";a/b", ";.css")
	case 7:
		u.path += pick(u.r, ".json", ".html", ".do", ".xml", ".", ".%00", "/.json")
	case 8:
		u.path = pick(u.r, "/index.php", "/x.cgi", "/INDEX.PHP", "/index%2ephp", "/a.aspx", "/a/b.php") + u.path
	case 9:
		u.path = strings.Replace(u.path, "/", pick(u.r, `/\`, "/%5c", "/%c0%af", "/%252f", "/..%2f", "/..%5c"), 1)
	case 10:
		u.path = strings.Replace(u.path, "i", pick(u.r, "\u0131", "%c4%b1", "%u0131", "%ef%bd%89", "%uff49"), 1)
	case 11:
		u.path = strings.Replace(u.path, "a", pick(u.r, "%61", "%2561", "%u0061", "%uff41", "%ef%bd%81", "A"), 1)
	}
}

func flipCase(s string) string {
	if upper := strings.ToUpper(s); upper != s {
		return upper
	}
	return strings.ToLower(s)
}

// makeParameters makes the request's parameters, and puts them into the query, the body, the path or several of them.
func (u *unpushedRequest) makeParameters() {
	pairs := [][2]string{{"client_id", u.client}}
	more := [][2]string{{"response_type", "code"}, {"redirect_uri", "https://app.example/cb"}, {"scope", "openid"}, {"state", "1"},
		{"code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, {"nonce", "1"}, {"request", "e30.e30."},
		{"request_uri", pick(u.r, "https://app.example/object", "urn:ietf:params:oauth:request_uri:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "URN:ietf:params:oauth:request_uri:x", "urn:x")}}
	pairs = append(pairs, more[:2]...)
	for _, pair := range more[2:] {
		if u.one(3) && (pair[0] != "request_uri" || u.one(3)) {
			pairs = append(pairs, pair)
		}
	}
	if u.one(6) { // fewer: what a server has by default
		pairs = pairs[:1+u.r.IntN(len(pairs))]
	}
	if u.one(4) {
		u.r.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	}
	half := 1 + u.r.IntN(len(pairs))
	switch where := u.r.IntN(12); {
	case where < 6:
		u.query = u.encode(pairs)
	case where < 9:
		u.makeBody(pairs)
	case where == 9:
		u.query = u.encode(pairs[:half])
		u.makeBody(pairs[half:])
	case where == 10:
		u.path += pick(u.r, "%3f", "%3F", "%253f") + u.encode(pairs)
	default:
		u.query = pick(u.r, "x=1", "%zz", "req=1&hmac=2", "a;b") + pick(u.r, "&", ";", "&&") + u.encode(pairs)
	}
	if u.method != "GET" && u.body == "" && u.one(2) {
		u.contentType = "application/x-www-form-urlencoded"
	}
	if u.one(15) { // a charset for a query, which some servers mind
		u.contentType = "application/x-www-form-urlencoded; charset=" + pick(u.r, "ibm037", "utf-16", "IBM500", "utf-7")
		if u.body == "" {
			u.query = string(u.inEBCDIC(pairs))
		}
	}
}

// encode writes pairs in a way that some server reads.
func (u *unpushedRequest) encode(pairs [][2]string) string {
	separator := "&"
	if u.one(8) {
		separator = pick(u.r, ";", "&&", "&;", "%26", "&x;y&")
	}
	mutated := u.one(3)
	var parts []string
	for _, pair := range pairs {
		name := pair[0]
		if mutated && u.one(2) {
			name = u.mutateName(name)
		}
		value := url.QueryEscape(pair[1])
		if u.one(10) && pair[0] != "client_id" {
			value += pick(u.r, "%zz", "%", "%00", "%ff", ";x")
		}
		if u.one(15) {
			parts = append(parts, name+"=")
		}
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, separator)
}

func (u *unpushedRequest) mutateName(name string) string {
	at := u.r.IntN(len(name))
	switch u.r.IntN(14) {
	case 0:
		return name[:at] + fmt.Sprintf(pick(u.r, "%%%02x", "%%%02X", "%%25%02x", "%%u00%02x"), name[at]) + name[at+1:]
	case 1:
		return name[:at] + flipCase(name[at:at+1]) + name[at+1:]
	case 2:
		return strings.ToUpper(name)
	case 3:
		return pick(u.r, "[", "%5b", "[]", "]") + name + pick(u.r, "]", "%5d", "")
	case 4:
		return name + pick(u.r, "[]", "[0]", "[a][b]", "%5b%5d", "]", "[", "[x", "%5Bx]")
	case 5:
		return strings.Replace(name, "_", pick(u.r, ".", "+", "%20", "[", "%5b", "%2e", "_"), 1)
	case 6:
		return pick(u.r, "+", "%20", "%09", "%0a", "%00", "%ef%bb%bf", "%c2%a0", "%0d%0a", " ") + name
	case 7:
		return name + pick(u.r, "+", "%20", "%00", "%00x", "%09", "%0a", "%c2%a0")
	case 8:
		return strings.Replace(name, "i", pick(u.r, "%c4%b1", "\u0131", "%u0131", "I", "%ef%bd%89", "%uff49"), 1)
	case 9:
		return strings.Replace(name, "s", pick(u.r, "%c5%bf", "\u017f", "%u017f", "%uff53"), 1)
	case 10:
		return strings.Replace(name, "e", pick(u.r, "%65", "%2565", "%u0065", "%uff45"), 1)
	}
	return name
}

// inEBCDIC writes pairs in a charset in which no byte is what it seems.
func (u *unpushedRequest) inEBCDIC(pairs [][2]string) []byte {
	var b bytes.Buffer
	for i, pair := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		for _, c := range reading.ToEBCDIC(pair[0]) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		b.WriteByte('=')
		for _, c := range reading.ToEBCDIC(pair[1]) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.Bytes()
}

// makeBody writes pairs as a body of some type.
func (u *unpushedRequest) makeBody(pairs [][2]string) {
	const form = "application/x-www-form-urlencoded"
	switch kind := u.r.IntN(16); {
	case kind < 6:
		u.contentType, u.body = form, u.encode(pairs)
	case kind == 6:
		u.contentType = pick(u.r, "", form+"; charset=utf-8", form+";charset=iso-8859-1", form+"; charset", "Application/X-WWW-Form-URLEncoded", form+",text/plain",
			"text/plain", " "+form, form+"; boundary=x; charset=utf-8", form+";", form+"; charset=utf-7", "application/x-www-form-urlencoded+x")
		u.body = u.encode(pairs)
	case kind == 7:
		u.contentType = pick(u.r, "multipart/form-data; boundary=b", `multipart/form-data; boundary="b"`, "multipart/mixed; boundary=b", "Multipart/Form-Data;boundary=b")
		for _, pair := range pairs {
			u.body += "--b\r\nContent-Disposition: form-data; name=" + pick(u.r, `"`+pair[0]+`"`, pair[0]) + "\r\n\r\n" + pair[1] + "\r\n"
		}
		u.body += "--b--\r\n"
	case kind == 8:
		members := map[string]string{}
		for _, pair := range pairs {
			members[pair[0]] = pair[1]
		}
		text, _ := json.Marshal(members)
		u.contentType, u.body = pick(u.r, "application/json", "application/json; charset=utf-8", "application/vnd.api+json", "text/x-json", "text/json"), string(text)
	case kind == 9:
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(u.encode(pairs)))
		w.Close()
		u.contentType, u.body = form, b.String()
		u.headers = append(u.headers, "Content-Encoding: "+pick(u.r, "gzip", "x-gzip", "GZIP", "identity, gzip"))
	case kind == 10:
		u.contentType, u.body = form+"; charset="+pick(u.r, "ibm037", "IBM500", `"ibm037"`), string(u.inEBCDIC(pairs))
	case kind == 11:
		u.contentType = form + "; charset=" + pick(u.r, "utf-16", "utf-16le", "utf-16be")
		little := strings.HasSuffix(u.contentType, "le")
		for _, c := range []byte(u.encode(pairs)) {
			if little {
				u.body += string([]byte{c, 0})
			} else {
				u.body += string([]byte{0, c})
			}
		}
	default:
		u.contentType, u.body = form, "username=u&"+u.encode(pairs)+"&password=p%E4ss"
	}
	if u.method == "GET" && u.one(2) {
		u.method = "POST"
	}
}

func (u *unpushedRequest) makeHeaders() {
	if u.one(8) {
		full := reading.Endpoint + "?" + url.Values{"client_id": {u.client}, "response_type": {"code"}}.Encode()
		u.headers = append(u.headers, pick(u.r, "X-Original-URL", "X-Rewrite-URL", "X_Original_Url", "x-original-uri", "X-Rewrite-Uri", "X_REWRITE_URL")+": "+pick(u.r, full, reading.Endpoint))
	}
	if u.one(8) {
		u.headers = append(u.headers, pick(u.r, "X-HTTP-Method-Override: GET", "X-HTTP-Method: POST", "X_Method_Override: POST", "X-Forwarded-Prefix: /authorize", "X-Forwarded-Uri: /authorize",
			"Forwarded: host=evil.example", "X-Forwarded-Host: evil.example"))
	}
	if u.one(8) {
		u.headers = append(u.headers, pick(u.r, "Sec-Fetch-Mode: navigate", "Sec-Purpose: prefetch", "Cookie: pargate-AAAAAAAA=x; __Host-pargate-BBBBBBBB=1.2.3.4", "Cookie: session=1", "Accept: application/json", "Range: bytes=0-"))
	}
	if u.one(10) {
		u.headers = append(u.headers, "Connection: "+pick(u.r, "Content-Type", "X-Original-Url", "keep-alive, Content-Encoding", "X-Forwarded-Host"))
	}
}

// raw is the request as it is sent.
func (u *unpushedRequest) raw() []byte {
	var b bytes.Buffer
	b.WriteString(u.method + " " + strings.ReplaceAll(u.path, " ", "%20"))
	if u.query != "" {
		b.WriteString("?" + strings.ReplaceAll(u.query, " ", "%20"))
	}
	fmt.Fprintf(&b, " HTTP/1.1\r\nHost: %s\r\n", u.host)
	if u.contentType != "" {
		b.WriteString("Content-Type: " + u.contentType + "\r\n")
	}
	for _, h := range u.headers {
		b.WriteString(h + "\r\n")
	}
	switch {
	case u.body == "" && (u.method == "GET" || u.one(2)):
		b.WriteString("\r\n")
	case u.one(4):
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for chunk := range slices.Chunk([]byte(u.body), 1+u.r.IntN(60)) {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		b.WriteString("0\r\n\r\n")
	default:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(u.body), u.body)
	}
	return b.Bytes()
}
