package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// summary: what no longer works, and what the difference was.
func (s *story) summary(ctx context.Context) error {
	short := s.short.url.String()
	s.refused(ctx, "the request_uri again, in this browser,", s.browser, short)
	s.refused(ctx, "the request_uri again, in another browser,", newBrowser(s.transport, s.demo), short)
	plain := s.refused(ctx, "the plain request, not pushed,", newBrowser(s.transport, s.demo), s.plain)

	s.same("the search that found nothing on the way finds everything in the plain URL", strings.Join(canaries, ", "), sightings(s.pushed, plain.url.String()))

	longest := 0
	for _, x := range s.hopsBeforeCode() {
		longest = max(longest, x.bytesOfURL())
	}
	row := func(what string, without, with int) {
		fmt.Fprintf(s.out, "      %-52s %14d %14d\n", what, without, with)
	}
	fmt.Fprintf(s.out, "      %-52s %14s %14s\n", "", "without PAR", "with PAR")
	row("the URL that the browser was sent to, in bytes", plain.bytesOfURL(), s.short.bytesOfURL())
	row("its longest URL before the code, in bytes", plain.bytesOfURL(), longest)
	row("parameters that it was sent with", len(plain.url.Query()), len(s.short.url.Query()))
	row(fmt.Sprintf("of the %d values looked for, in its URLs", len(canaries)), count(sightings(s.pushed, plain.url.String())), count(s.sightingsInURLs()))
	row("the answer to it", plain.status, s.short.status)
	fmt.Fprintf(s.out, "      pushed by the client: %d bytes; sent on to the legacy server: %d parameters, %d bytes\n",
		len(s.push.body), len(s.authorize.url.Query()), len(s.authorize.url.RawQuery))
	return nil
}

// sightingsInURLs searches every URL that the browser had before the code.
func (s *story) sightingsInURLs() string {
	var urls []string
	for _, x := range s.hopsBeforeCode() {
		urls = append(urls, x.url.String())
	}
	return sightings(s.pushed, urls...)
}

// count returns how many names a list from sightings has.
func count(list string) int {
	if list == "" {
		return 0
	}
	return strings.Count(list, ",") + 1
}

// refused checks that a request is answered 400 and reaches no authorization endpoint.
func (s *story) refused(ctx context.Context, what string, b *browser, address string) exchange {
	toAuthorize := to(http.MethodGet, s.short.url.Path)
	before := len(s.demo.legacy.all(toAuthorize))
	x, err := b.visit(ctx, address)
	if err != nil {
		s.missed(what+" is refused", "400", err.Error())
		return x
	}
	s.seen(fmt.Sprintf("answer %d", x.status), title(x), inBytes(len(x.answer)))
	s.sameNumber(what+" is refused", http.StatusBadRequest, x.status)
	s.sameNumber("and the legacy server saw nothing of it", before, len(s.demo.legacy.all(toAuthorize)))
	return x
}

// title is what a page calls itself.
func title(x exchange) string {
	_, rest, _ := strings.Cut(string(x.answer), "<title>")
	text, _, _ := strings.Cut(rest, "</title>")
	return text
}
