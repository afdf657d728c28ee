//go:build !linux

package proxy

import "syscall"

// endAfterSilence is nil where there is no such thing: keep-alive probes notice most of it.
var endAfterSilence func(network, address string, c syscall.RawConn) error
