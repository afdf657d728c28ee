package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/pushstore"
)

func testJar(secure bool) *cookieJar {
	return newCookieJar(secure, 30*time.Minute, func() time.Time { return time.Unix(1_800_000_000, 0) })
}

func testReference(n int) pushstore.Reference {
	return pushstore.Reference(fmt.Sprintf("%043d", n))
}

// pairOf is what a browser sends back of a Set-Cookie line.
func pairOf(line string) string {
	pair, _, _ := strings.Cut(line, ";")
	return pair
}

func TestAFlowCookieComesBackAsItWentOut(t *testing.T) {
	t.Parallel()
	j := testJar(true)
	c := j.mint(testReference(1), "https://client.example/ü;,= ")
	line := j.set(c)
	if !strings.HasPrefix(line, "__Host-pargate-") || !strings.HasSuffix(line, "; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=None") {
		t.Errorf("Set-Cookie: %s", line)
	}
	flows, others := j.read([]string{pairOf(line)})
	if len(flows) != 1 || len(others) != 0 || fmt.Sprint(flows[0]) != fmt.Sprint(c) {
		t.Errorf("got %v %v, want %v", flows, others, c)
	}
	flows, _ = j.read([]string{pairOf(j.finish(c))})
	if len(flows) != 1 || !flows[0].finished || flows[0].reference != "" || flows[0].owner() != c.owner() {
		t.Errorf("finished: %v", flows)
	}
	if strings.Contains(j.finish(c), string(c.reference)) {
		t.Error("the mark of a finished flow holds its reference")
	}
}

func TestOtherCookiesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	j := testJar(true)
	ours := pairOf(j.set(j.mint(testReference(1), "web")))
	for _, c := range []struct{ in, out []string }{
		{[]string{`a="x y"; b=1;c=` + "\xff"}, []string{`a="x y"; b=1;c=` + "\xff"}},
		{[]string{"a=1; " + ours + "; b=2"}, []string{"a=1; b=2"}},
		{[]string{ours + "; a=1"}, []string{"a=1"}},
		{[]string{ours}, nil},
		{[]string{"a=1", ours, "b=2"}, []string{"a=1", "b=2"}},
		{[]string{"__Host-pargate-short=1; __Host-pargate-toolong99=2; pargate-abcdefgh=3"}, []string{"__Host-pargate-short=1; __Host-pargate-toolong99=2; pargate-abcdefgh=3"}},
		{[]string{"__Host-pargate-abcdefgh=rubbish; a=1"}, []string{"a=1"}},
	} {
		if _, others := j.read(c.in); fmt.Sprint(others) != fmt.Sprint(c.out) {
			t.Errorf("read(%q) leaves %q, want %q", c.in, others, c.out)
		}
	}
}

func TestForgedFlowCookiesAreNotBelieved(t *testing.T) {
	t.Parallel()
	j := testJar(true)
	good := pairOf(j.set(j.mint(testReference(1), "web")))
	name, value, _ := strings.Cut(good, "=")
	parts := strings.Split(value, ".")
	for what, header := range map[string]string{
		"twice":                good + "; " + good,
		"twice with another":   good + "; " + name + "=x",
		"under another name":   "__Host-pargate-AAAAAAAA=" + value,
		"no secret":            name + "=" + strings.Join([]string{parts[0], parts[1], parts[2], "", parts[4]}, "."),
		"short secret":         name + "=" + strings.Join([]string{parts[0], parts[1], parts[2], "AAAA", parts[4]}, "."),
		"no minute":            name + "=" + strings.Join([]string{parts[0], "x", parts[2], parts[3], parts[4]}, "."),
		"misspelt reference":   name + "=" + strings.Join([]string{parts[0], parts[1], parts[2][1:], parts[3], parts[4]}, "."),
		"unknown version":      name + "=2" + value[1:],
		"more parts":           good + ".x",
		"client not in base64": name + "=" + strings.Join([]string{parts[0], parts[1], parts[2], parts[3], "!"}, "."),
	} {
		if flows, _ := j.read([]string{header}); len(flows) != 0 {
			t.Errorf("%s: %v", what, flows)
		}
	}
}

func TestASixthFlowTakesThePlaceOfTheOldestOfTheBusiestClient(t *testing.T) {
	t.Parallel()
	j := testJar(true)
	var flows []flowCookie
	for i, clientID := range []string{"quiet", "busy", "busy", "middle", "middle"} {
		c := j.mint(testReference(i), clientID)
		c.minute = int64(100 - i) // the later, the older
		flows = append(flows, c)
	}
	flows[0].minute = 1
	lines := j.evict(flows)
	// busy and middle have two each, and the older of those four is the last.
	if len(lines) != 1 || pairOf(lines[0]) != flows[4].name+"=" || !strings.Contains(lines[0], "Max-Age=0") {
		t.Errorf("evicted %q", lines)
	}
	if lines := j.evict(flows[:4]); len(lines) != 0 {
		t.Errorf("evicted %q of four", lines)
	}
	for i := range flows {
		flows[i].finished = true
	}
	if lines := j.evict(flows); len(lines) != 0 {
		t.Errorf("finished flows count: %q", lines)
	}
	for i := range 6 {
		c := j.mint(testReference(10+i), "web")
		c.finished, c.minute = true, int64(i)
		flows = append(flows, c)
	}
	if lines := j.evict(flows); len(lines) != 11-maxFinishedFlows+1 {
		t.Errorf("%d marks of finished flows stay", 11-len(lines))
	}
}

func TestPlainHTTPHasCookiesOfItsOwn(t *testing.T) {
	t.Parallel()
	j := testJar(false)
	line := j.set(j.mint(testReference(1), "web"))
	if !strings.HasPrefix(line, "pargate-") || !strings.HasSuffix(line, "; HttpOnly; SameSite=Lax") || strings.Contains(line, "Secure") {
		t.Errorf("Set-Cookie: %s", line)
	}
}

// Whatever a Cookie header holds: none of our cookies is left in what goes upstream, no byte of another is lost, and
// nothing panics.
func FuzzReadCookies(f *testing.F) {
	j := testJar(true)
	f.Add("a=1; " + pairOf(j.set(j.mint(testReference(1), "web"))) + ";b")
	f.Add("__Host-pargate-abcdefgh=0.1.x; =;;")
	f.Fuzz(func(t *testing.T, header string) {
		_, others := j.read([]string{header})
		rest := strings.Join(others, ";")
		for segment := range strings.SplitSeq(rest, ";") {
			if name, _, _ := strings.Cut(strings.TrimSpace(segment), "="); j.isOurs(strings.TrimSpace(name)) {
				t.Errorf("%q leaves %q", header, others)
			}
		}
		if !strings.Contains(header, j.prefix) && header != "" && rest != header {
			t.Errorf("%q became %q", header, rest)
		}
		_, _ = http.ParseCookie(rest)
	})
}
