package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"pargate/config"
)

// socketMode is who may connect to a socket: its user and its group, such as the one of a proxy on the same machine.
const socketMode = 0o660

// openListener opens what a setting asks for.
func openListener(addr config.Addr) (net.Listener, error) {
	if path := addr.Socket(); path != "" {
		return listenAt(path)
	}
	return net.Listen("tcp", string(addr))
}

// socket is a listener at a path. Its file goes when it is closed, unless somebody has put another one there.
type socket struct {
	net.Listener
	path   string
	file   fs.FileInfo
	remove sync.Once
}

// listenAt opens a socket. One that a dead process has left there is taken away; whatever else is there stays.
func listenAt(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	opening := net.ListenConfig{Control: beforeItHasAName}
	l, err := opening.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it would take away whatever has the path by then
	s := &socket{Listener: l, path: path}
	if err := os.Chmod(path, socketMode); err != nil {
		s.Close()
		return nil, err
	}
	if s.file, err = os.Lstat(path); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close implements net.Listener. The file goes first: as long as the listener is open nobody else's can be taken for it.
func (s *socket) Close() error {
	s.remove.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && s.file != nil && os.SameFile(now, s.file) {
			os.Remove(s.path)
		}
	})
	return s.Listener.Close()
}

// removeStale takes away a socket at which nobody listens any more.
func removeStale(path string) error {
	before, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case before.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket; take it away, or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("another process serves at %s; end it, or choose another path", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // a listener that is busy, or one that may not be asked
		return fmt.Errorf("%s is there, and it cannot be told whether a process serves at it: %w", path, err)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(before, now) {
		return fmt.Errorf("another process is about to serve at %s", path)
	}
	return os.Remove(path)
}
