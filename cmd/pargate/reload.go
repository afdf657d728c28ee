package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// takeHangups receives SIGHUP from now on, so that the signal no longer ends the process; stop ends that. Where it is
// ignored, as nohup does it, it stays so.
func takeHangups() (received <-chan os.Signal, stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return nil, func() {}
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// reloadOnHangup reads the files again whenever the process is sent SIGHUP, as operators know it of other servers, until
// ctx ends. The files are read every few seconds anyway: it is for who does not want to wait.
func (g *gateway) reloadOnHangup(ctx context.Context, log *zap.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.hangups:
			log.Info("SIGHUP: reading the files again")
			g.reload(log)
		}
	}
}

// reload reads the client file and the files of certificates again. What is broken changes nothing.
func (g *gateway) reload(log *zap.Logger) {
	if g.clients != nil {
		if changed, err := g.clients.Reload(); changed || err != nil {
			g.tellClients(err, log)
		}
	}
	for _, files := range g.files() {
		if changed, err := files.reload(); changed || err != nil {
			g.tellFiles(files, err, log)
		}
	}
}
