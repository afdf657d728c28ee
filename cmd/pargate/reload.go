package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// reloadOnHangup reads the files again whenever the process is sent SIGHUP, as operators know it of other servers, until
// ctx ends. The files are read every few seconds anyway: it is for who does not want to wait, and so that the signal
// does not end the process. Where it is ignored, as nohup does it, it stays so.
func (g *gateway) reloadOnHangup(ctx context.Context, log *zap.Logger) {
	if signal.Ignored(syscall.SIGHUP) {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
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
			files.tell(err, log)
		}
	}
}
