package raftnode

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"coup/cluster/sim/guest"
)

// openDisk opens the data directory: one file for the log, the term and the
// vote, and a directory of snapshots.
func openDisk(dir string, bug Bug, logger hclog.Logger) (*disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	sync := guest.Sync
	if bug.is(NoSync) {
		sync = func(string) error { return nil }
	}
	w, err := openWAL(dir, sync)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger)
	if err != nil {
		w.close()
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return &disk{w, w, snapshots, w.close}, nil
}
