package faults

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pargate/test/harness"
)

// caller sends requests to one address, one after the other on one connection. Unlike a http.Client it never sends one
// again, so that each loss is seen.
type caller struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

// answer is a response, read to its end.
type answer struct {
	status     int
	location   string
	retryAfter string
	cookie     string // name and value of the first that is set
	body       []byte
}

// patience is how long an answer may take before it counts as none.
const patience = 30 * time.Second

// do sends a request, which is complete and one that asks to keep the connection.
func (c *caller) do(request string) (answer, error) {
	if err := c.send(request); err != nil {
		return answer{}, err
	}
	return c.receive()
}

func (c *caller) send(request string) error {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr, patience)
		if err != nil {
			return err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, request); err != nil {
		c.close()
		return err
	}
	return nil
}

func (c *caller) receive() (answer, error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.close()
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, location: res.Header.Get("Location"), retryAfter: res.Header.Get("Retry-After")}
	a.cookie, _, _ = strings.Cut(res.Header.Get("Set-Cookie"), ";")
	if a.body, err = io.ReadAll(res.Body); err != nil || res.Close {
		c.close()
	}
	return a, err
}

func (c *caller) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// callers are one for each of addrs.
func callers(addrs []string) (all []*caller) {
	for _, addr := range addrs {
		all = append(all, &caller{addr: addr})
	}
	return all
}

func closeAll(all []*caller) {
	for _, c := range all {
		c.close()
	}
}

// busy reports a refusal for the moment: 503, and when to come again.
func (a answer) busy() bool { return a.status == http.StatusServiceUnavailable && a.retryAfter != "" }

// atLogin reports that the authorization server has been reached, and has sent the browser to its login.
func (a answer) atLogin() bool {
	return a.status == http.StatusFound && strings.HasPrefix(a.location, "/login?")
}

// dead reports the page for a reference that is not this browser's.
func (a answer) dead() bool {
	return a.status == http.StatusBadRequest && strings.Contains(string(a.body), "invalid_request_uri")
}

// atClient reports an authorization response.
func (a answer) atClient() bool {
	return strings.HasPrefix(a.location, redirectURI+"?") && strings.Contains(a.location, "code=")
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s %.200s", a.status, a.location, a.body)
}

const (
	clientID    = "web"
	redirectURI = "https://app.example/cb"
	host        = "Host: id.example\r\n"
)

var basic = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":s3cret")) + "\r\n"

// pushOf is the push of a request with that state.
func pushOf(state string) string {
	return post("/par", basic, harness.Form("state", state, "redirect_uri", redirectURI).Encode())
}

// post is a form. The fields end their own lines.
func post(path, fields, form string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\n%s%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, host, fields, len(form), form)
}

// get is a request of the browser of that name, which has those cookies.
func get(target, browser, cookies string) string {
	if cookies != "" {
		cookies = "; " + cookies
	}
	return "GET " + target + " HTTP/1.1\r\n" + host + "Accept: application/json\r\nCookie: browser=" + browser + cookies + "\r\n\r\n"
}

// requestURI is what a push was answered with.
func (a answer) requestURI() string {
	var created struct {
		RequestURI string `json:"request_uri"`
	}
	json.Unmarshal(a.body, &created)
	return created.RequestURI
}

// link is the request by reference, of a browser that has its cookie already.
func link(requestURI string) string {
	return "/authorize?client_id=" + clientID + "&request_uri=" + url.QueryEscape(requestURI) + "&pargate=1"
}
