package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
)

func TestAPushedBodyMayHaveExactlyTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 2000
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.MaxPushBytes = limit }})
	form := harness.Form().Encode() + "&pad="
	form += strings.Repeat("p", limit-len(form))
	for _, c := range []struct {
		form   string
		status int
	}{{form, 201}, {form + "p", 413}} {
		for name, body := range map[string]io.Reader{"with its length": strings.NewReader(c.form), "in chunks": chunked{strings.NewReader(c.form)}} {
			res := harness.NewBrowser(g.URL).Do(t, "POST", "/par", body, asForm, asWeb)
			if res.Status != c.status {
				t.Errorf("%d bytes %s: %d %s", len(c.form), name, res.Status, res.Body)
			}
			if c.status == 413 && !strings.Contains(res.Body, fmt.Sprint(limit)) {
				t.Errorf("the limit is not told: %s", res.Body)
			}
		}
	}
}

func TestTenThousandParametersAreRefused(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	var form strings.Builder
	form.WriteString("client_id=web")
	for i := range 10_000 {
		fmt.Fprintf(&form, "&%x", i)
	}
	wantPushError(t, pushOf(t, g, form.String(), asWeb), 400, "invalid_request")
}

func TestWhatFitsTravelsByteForByte(t *testing.T) {
	t.Parallel()
	claims := `{"id_token": {"x": {"essential": true, "value": "ü \u00fc+%41 ` + strings.Repeat("0123456789", 2000) + `"}}}`
	for _, c := range []struct {
		name, param, value string
		options            func(*proxy.Options)
	}{
		{"an id_token_hint of 4 kB", "id_token_hint", strings.Repeat("aB3_-.", 683), nil},
		{"claims of 20 kB with a larger limit", "claims", claims, func(o *proxy.Options) { o.MaxQueryBytes = 64 << 10 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Setup{Options: c.options})
			uri := g.Push(t, "web", "s3cret", harness.Form(c.param, c.value))
			harness.NewBrowser(g.URL).Open(t, "web", uri)
			if got := g.Upstream.Last().Query().Get(c.param); got != c.value {
				t.Errorf("%d bytes, want %d", len(got), len(c.value))
			}
		})
	}
}

// dialog is a connection on which a test says one thing at a time.
type dialog struct {
	net.Conn
	*bufio.Reader
}

func (d dialog) Read(b []byte) (int, error) { return d.Reader.Read(b) }

func dialogWith(t *testing.T, g *harness.Gateway) dialog {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return dialog{c, bufio.NewReader(c)}
}

// pushHead is the head of a push of the client web, up to its last header.
func pushHead(protocol string, length int, more ...string) string {
	r, _ := http.NewRequest("POST", "/par", nil)
	asWeb(r)
	return "POST /par " + protocol + "\r\nHost: pargate.example\r\nAuthorization: " + r.Header.Get("Authorization") +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + fmt.Sprint(length) + "\r\n" + strings.Join(more, "")
}

func TestAPushOverHTTP10(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	form := harness.Form().Encode()
	if got := raw(t, g, pushHead("HTTP/1.0", len(form))+"\r\n"+form); !strings.HasPrefix(got, "201 ") || !strings.Contains(got, "request_uri") {
		t.Errorf("got %s", got)
	}
}

func TestAPushThatExpects100Continue(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	form := harness.Form().Encode()
	d := dialogWith(t, g)
	io.WriteString(d, pushHead("HTTP/1.1", len(form), "Expect: 100-continue\r\n", "Connection: close\r\n")+"\r\n")
	if line, err := d.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("before the body: %q %v", line, err)
	}
	d.ReadString('\n')
	io.WriteString(d, form)
	if res, err := http.ReadResponse(d.Reader, nil); err != nil || res.StatusCode != 201 {
		t.Errorf("after the body: %v %v", res, err)
	}
	// Who asks first is told before it has sent anything.
	d = dialogWith(t, g)
	io.WriteString(d, pushHead("HTTP/1.1", 1<<20, "Expect: 100-continue\r\n")+"\r\n")
	if line, err := d.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 413 ") {
		t.Errorf("a push that is too large: %q %v", line, err)
	}
}

func TestATooLargeBodyIsRefusedBeforeItComes(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired, o.BodyTimeout = true, time.Minute }})
	for _, length := range []int{70_000, 200_000, 1 << 20, 1 << 30} {
		for name, head := range map[string]string{
			"a push": pushHead("HTTP/1.1", length),
			"a form on a protected path": "POST /authorize HTTP/1.1\r\nHost: pargate.example\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
				fmt.Sprintf("Content-Length: %d\r\n", length),
		} {
			t.Run(fmt.Sprintf("%s of %d bytes", name, length), func(t *testing.T) {
				t.Parallel()
				d := dialogWith(t, g)
				io.WriteString(d, head+"\r\nclient_id=")
				if line, err := d.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 413 ") {
					t.Errorf("%q %v", line, err)
				}
			})
		}
	}
}
