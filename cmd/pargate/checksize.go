package main

import (
	"context"
	"fmt"

	"pargate/config"
	"pargate/proxy"
)

// size measures how long a query the authorization server takes, and says whether UPSTREAM_MAX_REQUEST fits.
func (c *checking) size(ctx context.Context, s *proxy.Server) {
	if s.AuthorizeByPOST {
		c.ok(aboutSize, "", "upstream: pushed requests go to it in a form of up to UPSTREAM_MAX_REQUEST, %v; what it takes is not measured", config.Bytes(s.MaxQueryBytes))
		return
	}
	limit, err := s.MeasureLimit(ctx)
	if err != nil {
		c.warn(aboutSize, "", fmt.Sprintf("UPSTREAM_MAX_REQUEST could not be compared with what the authorization server takes: %v", err),
			"set it by what the server's documentation says")
		return
	}
	set, usable := config.Bytes(s.MaxQueryBytes), config.Bytes(limit.Usable())
	if limit.Refused > 0 && set > usable {
		c.warn(aboutSize, "", fmt.Sprintf("UPSTREAM_MAX_REQUEST is %v, but %s", set, describeLimit(limit)), adviseOn(usable))
		return
	}
	raise := ""
	if set < usable {
		raise = fmt.Sprintf(" and could be raised to %v", usable)
	}
	c.ok(aboutSize, "", "upstream: %s; UPSTREAM_MAX_REQUEST is %v%s", describeLimit(limit), set, raise)
}

func describeLimit(l proxy.Limit) string {
	if l.Refused == 0 {
		return fmt.Sprintf("%s takes a query of at least %d bytes, answered %s as short ones are; longer ones were not tried", l.Path, l.Taken, l.Answer)
	}
	text := fmt.Sprintf("%s takes a query of %d bytes and refuses one of %d (%s)", l.Path, l.Taken, l.Refused, l.How)
	if room := l.Taken - l.Usable(); room > 0 {
		text += fmt.Sprintf(", in which a browser's cookies and headers need %d too", room)
	}
	return text
}

// adviseOn says what to do where the setting is above what can be used.
func adviseOn(usable config.Bytes) string {
	if usable < 1<<10 { // the setting's smallest value
		return "that is too little for pushed requests"
	}
	return fmt.Sprintf("set it to %v", usable)
}
