package raftnode

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"coup/cluster/sim/guest"
)

// openDisk opens the data directory: one file for the log, the term and the
// vote, and a directory of snapshots.
func openDisk(dir string, bug Bug, logger hclog.Logger) (*disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	w, err := openWAL(dir, guest.Sync)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if bug.is(NoSync) {
		w.sync = func(string) error { return nil }
	}
	snapshots, err := openSnapshots(dir, logger)
	if err != nil {
		w.close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := intact(snapshots); err != nil {
		w.close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return newDisk(w, w, snapshots, w.close), nil
}
