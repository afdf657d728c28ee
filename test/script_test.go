package test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// A script is a sequence of requests, each followed by what must be true of its response. Lines are:
//
//	# a comment that says why
//	gateway par_required               options of the gateway, before the first request
//	upstream instant                   options of the stand-in, likewise
//	browser NAME                       the next requests come from this browser; "one" until then
//	METHOD /path                       a request; {name} is a captured value
//	  auth ID SECRET | form PAIRS | send NAME: VALUE      what is sent with it, before the first check
//	follow                             the last response's redirect
//	code == 303
//	header NAME == TEXT | ~ REGEXP | absent
//	body contains TEXT | body lacks TEXT
//	upstream query NAME == TEXT | absent       of what reached the upstream last
//	upstream body == TEXT | upstream none | upstream header NAME == TEXT
//	capture NAME = json MEMBER
type script struct {
	t        *testing.T
	gateway  *harness.Gateway
	setup    harness.Setup
	browsers map[string]*harness.Browser
	browser  string
	values   map[string]string

	pending  func() harness.Response // the request that the next check sends
	method   string
	target   string
	change   []func(*http.Request)
	form     string
	response harness.Response
	seen     int // requests at the upstream before the last one was sent
}

func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := &script{t: t, browsers: map[string]*harness.Browser{}, browser: "one", values: map[string]string{}}
			scanner := bufio.NewScanner(f)
			for n := 1; scanner.Scan(); n++ {
				line := strings.TrimSpace(scanner.Text())
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				if err := s.line(s.expand(line)); err != nil {
					t.Fatalf("%s:%d: %s\n\t%v\n\tresponse: %d %v\n\t%.300s", file, n, line, err, s.response.Status, s.response.Header, s.response.Body)
				}
			}
			s.send()
		})
	}
}

func (s *script) expand(line string) string {
	for name, value := range s.values {
		line = strings.ReplaceAll(line, "{"+name+"}", value)
	}
	return strings.ReplaceAll(line, "{gateway}", s.gatewayURL())
}

func (s *script) gatewayURL() string {
	if s.gateway == nil {
		return ""
	}
	return s.gateway.URL
}

func (s *script) line(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "gateway":
		return s.gatewayOption(rest)
	case "browser":
		s.send()
		s.browser = rest
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS":
		s.request(word, rest)
	case "follow":
		s.send()
		s.request("GET", s.response.Location)
	case "auth":
		id, secret, _ := strings.Cut(rest, " ")
		s.change = append(s.change, func(r *http.Request) {
			r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
		})
	case "form":
		s.form = rest
	case "send":
		name, value, _ := strings.Cut(rest, ": ")
		s.change = append(s.change, func(r *http.Request) { r.Header.Set(name, value) })
	case "upstream":
		if rest == "instant" {
			s.setup.Upstream = func(r *upstream.Recorder) { r.Instant = true }
			return nil
		}
		s.send()
		return s.checkUpstream(rest)
	default:
		s.send()
		return s.check(word, rest)
	}
	return nil
}

func (s *script) gatewayOption(name string) error {
	if name != "par_required" {
		return fmt.Errorf("unknown option %q", name)
	}
	s.setup.Options = func(o *proxy.Options) { o.PARRequired = true }
	return nil
}

func (s *script) request(method, target string) {
	s.send()
	s.method, s.target, s.change, s.form = method, target, nil, ""
	s.pending = func() harness.Response {
		if s.gateway == nil {
			s.gateway = harness.Start(s.t, s.setup)
		}
		b := s.browsers[s.browser]
		if b == nil {
			b = harness.NewBrowser(s.gateway.URL)
			s.browsers[s.browser] = b
		}
		s.seen = len(s.gateway.Upstream.Requests())
		if s.form != "" {
			return b.Post(s.t, s.target, s.form, s.change...)
		}
		return b.Do(s.t, s.method, s.target, nil, s.change...)
	}
}

func (s *script) send() {
	if s.pending != nil {
		s.response = s.pending()
		s.pending = nil
	}
}

func (s *script) check(subject, rest string) error {
	switch subject {
	case "code":
		return compare(fmt.Sprint(s.response.Status), rest)
	case "header":
		name, condition, _ := strings.Cut(rest, " ")
		return compare(strings.Join(s.response.Header.Values(name), ", "), condition)
	case "body":
		return compare(s.response.Body, rest)
	case "capture":
		name, source, _ := strings.Cut(rest, " = json ")
		value, ok := s.response.JSON(s.t)[source].(string)
		if !ok {
			return fmt.Errorf("no %q in the body", source)
		}
		s.values[name] = value
		return nil
	}
	return fmt.Errorf("unknown line")
}

func (s *script) checkUpstream(rest string) error {
	requests := s.gateway.Upstream.Requests()[s.seen:]
	if rest == "none" {
		if len(requests) > 0 {
			return fmt.Errorf("the upstream got %s", requests[0].Target)
		}
		return nil
	}
	if len(requests) == 0 {
		return fmt.Errorf("nothing reached the upstream")
	}
	last := requests[len(requests)-1]
	subject, rest, _ := strings.Cut(rest, " ")
	switch subject {
	case "query":
		name, condition, _ := strings.Cut(rest, " ")
		return compare(strings.Join(last.Query()[name], ", "), condition)
	case "header":
		name, condition, _ := strings.Cut(rest, " ")
		return compare(strings.Join(last.Header.Values(name), ", "), condition)
	case "body":
		return compare(last.Body, rest)
	case "method":
		return compare(last.Method, rest)
	case "target":
		return compare(last.Target, rest)
	}
	return fmt.Errorf("unknown line")
}

func compare(got, condition string) error {
	operator, want, _ := strings.Cut(condition, " ")
	ok := false
	switch operator {
	case "==":
		ok = got == want
	case "~":
		ok = regexp.MustCompile(want).MatchString(got)
	case "contains":
		ok = strings.Contains(got, want)
	case "lacks":
		ok = !strings.Contains(got, want)
	case "absent":
		ok = got == ""
	default:
		return fmt.Errorf("unknown operator %q", operator)
	}
	if !ok {
		return fmt.Errorf("got %q", got)
	}
	return nil
}
