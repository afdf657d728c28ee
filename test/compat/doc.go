// Package compat puts pargate in front of authorization servers that others wrote, and walks through their logins
// with a scripted browser: natively, to know what is a server's own, and behind a gateway that requires PAR.
//
//	servers/   the servers' set-ups, each as small as it can be
//
// Its tests are behind the build tag compat, because they need what go.mod cannot bring: make compat installs that
// and runs them. With -write they write docs/compatibility.md.
package compat
