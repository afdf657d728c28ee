//go:build !unix

package main

import "syscall"

// beforeItHasAName does nothing: files have no such modes.
func beforeItHasAName(string, string, syscall.RawConn) error { return nil }
