package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// lane is one of the five that take part.
type lane int

const (
	atClient lane = iota
	atBrowser
	atGateway
	atStore
	atServer
)

// lanes are the five in the order in which they are drawn.
var lanes = []lane{atClient, atBrowser, atGateway, atStore, atServer}

func (l lane) String() string {
	return [...]string{"client", "browser", "pargate", "store", "server"}[l]
}

// said is the lane in a sentence.
func (l lane) said() string {
	if l == atGateway {
		return "pargate"
	}
	return "the " + l.String()
}

// event is one arrow: a request or a response that a tap has seen, or what pargate asked of its store.
type event struct {
	ID       int // from 1, in the order of time
	Step     int // 1 to 10; zero: it belongs to none, as the metadata
	From, To lane
	Title    string
	Bytes    int // as the one saw it who received it
	Sides    []side
	Of       string // the attack that it belongs to; empty: none
	Inside   string // names of the request's values that are in it, during the login; empty: none
	TakenOut string // those that the server's answer had, and what pargate made of it has not

	version int      // of the film, when it was changed last
	seen    exchange // what the tap had; of a request without its response
	answer  bool     // it is a response
	keeps   bool     // the store has kept a request
}

// side is what one of the two has sent or seen.
type side struct {
	Title  string
	First  string // the request line or the status line
	Lines  []line // header fields
	Params []line // of the query or the form, decoded, in their order
	Body   string // when it is no form
	Secret bool   // first line or body hold some
	Bytes  int    // of all of it
}

// line is a name and its value.
type line struct {
	Name, Value string
	Secret      bool // it would have to stay hidden anywhere else
}

// maxText is how much of a body, or of one value, is kept for the picture.
const maxText = 8 << 10

// maxFirst is how much of a request line is: what its query holds stands below it.
const maxFirst = 400

// told are the header fields that say something of the story. Those that only say how bytes travel are counted, and not shown.
var told = []string{"Host", "Authorization", "Content-Type", "Cookie", "Referer", "Origin", "Location", "Set-Cookie", "Cache-Control", "Referrer-Policy"}

// secretFields are header fields and parameters that hold what must stay hidden.
var secretFields = []string{"Authorization", "Cookie", "Set-Cookie", "password", "code", "code_verifier", "client_secret", "refresh_token", "access_token", "id_token"}

// requestSide is a request as one side has it.
func requestSide(title string, x exchange) side {
	first := x.method + " " + x.target
	s := side{Title: title, First: cutTo(maxFirst, first), Lines: headLines(x.header, x.url.Host)}
	s.Bytes = len(first) + len(" HTTP/1.1\r\n") + len("Host: \r\n") + len(x.url.Host) + len(headerText(x.header)) + len("\r\n") + len(x.body)
	s.Params, s.Secret = paramLines(x.url.RawQuery), x.url.Query().Has("code")
	if x.form() {
		s.Params = append(s.Params, paramLines(string(x.body))...)
	} else {
		s.Body = cut(string(x.body))
	}
	return s
}

// answerSide is a response as one side has it.
func answerSide(title string, x exchange) side {
	s := side{Title: title, First: fmt.Sprint(x.status, " ", http.StatusText(x.status)), Lines: headLines(x.answerHeader, ""), Body: cut(string(x.answer))}
	s.Bytes = len("HTTP/1.1 \r\n") + len(s.First) + len(headerText(x.answerHeader)) + len("\r\n") + len(x.answer)
	s.Secret = bytes.Contains(x.answer, []byte(`"access_token"`))
	to := x.location()
	if to == nil {
		return s
	}
	s.Params = paramLines(to.RawQuery)
	if to.Query().Has("code") {
		s.Secret = s.Secret || len(x.answer) > 0 // frameworks repeat the address there
		for i := range s.Lines {
			s.Lines[i].Secret = s.Lines[i].Secret || s.Lines[i].Name == "Location"
		}
	}
	return s
}

func headLines(h http.Header, host string) (all []line) {
	for _, name := range told {
		values := h.Values(name)
		if name == "Host" && host != "" {
			values = []string{host}
		}
		for _, value := range values {
			all = append(all, line{name, cut(value), slices.Contains(secretFields, name)})
		}
	}
	return all
}

// paramLines decodes a query or a form. What cannot be decoded is one line.
func paramLines(encoded string) (all []line) {
	list, err := parse(encoded)
	if err != nil {
		return []line{{Name: "(malformed)", Value: cut(encoded)}}
	}
	for _, p := range list {
		all = append(all, line{p.name, cut(p.value), slices.Contains(secretFields, p.name)})
	}
	return all
}

func cut(text string) string { return cutTo(maxText, text) }

func cutTo(n int, text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + fmt.Sprintf("… (%d bytes in all)", len(text))
}

// form reports whether the body of the request is a form.
func (x exchange) form() bool {
	return strings.HasPrefix(x.header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// inBrief is a request target as a title has it: where it goes, and what it carries.
func inBrief(x exchange) string {
	list, err := parse(x.url.RawQuery)
	switch {
	case err != nil || len(list) == 0:
		return x.url.Path
	case len(list) <= 3:
		return x.url.Path + "?" + strings.ReplaceAll(list.names(), ", ", "&")
	}
	return fmt.Sprintf("%s with %d parameters", x.url.Path, len(list))
}

// requestTitle is what a request's arrow is called.
func requestTitle(x exchange) string {
	title := x.method + " " + inBrief(x)
	if x.form() {
		if list, err := parse(string(x.body)); err == nil && len(list) > 0 {
			title += fmt.Sprintf(", a form with %d fields", len(list))
		}
	}
	return title
}

// answerTitle is what a response's arrow is called.
func answerTitle(x exchange) string {
	text := fmt.Sprint(x.status, " ", http.StatusText(x.status))
	if to := x.location(); to != nil {
		return text + ", to " + inBrief(exchange{url: to})
	}
	if name := title(x); name != "" {
		return text + ", “" + clip(name, 60) + "”"
	}
	return text
}
