//go:build unix

package main

import "syscall"

// beforeItHasAName gives a socket its mode before it has a path, where the system lets it (Linux does): so it is at no time
// open to others than in the end. The umask may only take away from it.
func beforeItHasAName(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), socketMode) })
}
