//go:build !wasip1

package raftnode

import (
	"os"
	"os/signal"
	"syscall"
)

// asked receives when the process is asked to end: SIGTERM or SIGINT.
func asked() (stop <-chan os.Signal, ignore func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	return signals, func() { signal.Stop(signals) }
}
